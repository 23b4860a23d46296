"""nnU-Net's grid over one volume: its own preprocessing on the way there, its own resampling on the way back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk
import torch

from BottleneckOODLib.errors import ModelError
from BottleneckOODLib.imaging.volume import Geometry, LabelVolume, Volume, to_sitk
from BottleneckOODLib.model.nnunet_plans import AS_STORED, NnunetPlans

Float32Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class NnunetGrid:
    """The grid that nnU-Net's preprocessing made of a volume.

    Its axes are the image's own (or those of ``orientation``), permuted as the plans say; the image was cropped to what
    is not 0 and resampled edge to edge.

    Attributes:
        volume: The volume as it was read.
        oriented: Geometry of the image as it was handed to nnU-Net.
        orientation: Its orientation, or ``AS_STORED``.
        transpose: The image's axes (k, j, i) in the order of the network.
        shape: Voxels along the network's axes.
        properties: What nnU-Net noted of the image.
        configuration: nnU-Net's configuration, which resamples.
    """

    volume: Volume
    oriented: Geometry
    orientation: str
    transpose: tuple[int, int, int]
    shape: tuple[int, int, int]
    properties: Mapping[str, Any]
    configuration: Any

    @property
    def size_ijk(self) -> tuple[int, int, int]:
        """Voxels along i, j, k: the network's axes, last to first."""
        a, b, c = self.shape
        return c, b, a

    @property
    def voxel_volume_ml(self) -> float:
        """Volume of one voxel, in ml."""
        return float(np.prod(self.in_cells(1).spacing_mm)) / 1000

    def in_cells(self, cell: int) -> Geometry:
        """The geometry of cells of ``cell`` voxels along each axis; the first begins at the first voxel's edge."""
        # Axis 0 of the image's array is k, which is column 2 of the geometry.
        columns = [2 - axis for axis in self.transpose]
        old_spacing = np.array(self.oriented.spacing_mm)[columns]
        axes = self.oriented.axes[:, columns]
        box = np.array(self.properties["bbox_used_for_cropping"], dtype=np.float64)
        extent = (box[:, 1] - box[:, 0]) * old_spacing
        spacing = extent / np.array(self.shape) * cell
        edge = (box[:, 0] - 0.5) * old_spacing
        origin = np.array(self.oriented.origin_lps_mm) + axes @ (edge + spacing / 2)
        k, j, i = (-(-n // cell) for n in self.shape)
        sk, sj, si = (float(s) for s in spacing)
        x, y, z = (float(o) for o in origin)
        direction = tuple(float(value) for value in axes[:, ::-1].ravel())
        return Geometry((i, j, k), (si, sj, sk), (x, y, z), direction)

    def restore(
        self, logits: Float32Array, labels: Mapping[str, int], leave_out: npt.NDArray[np.bool_] | None = None
    ) -> LabelVolume:
        """Labels in the volume's own geometry; nnU-Net's own resampling, class by class, before the largest is taken.

        Args:
            logits: Network output on this grid, shape (n_classes, Z, Y, X), in nnU-Net's half precision. Not modified.
            labels: Label value (= class index) of each structure, by name.
            leave_out: Where background is taken whatever the network says, shape (Z, Y, X).

        Raises:
            ModelError: nnU-Net's resampling gave what is no number.
        """
        background = logits[0]
        if leave_out is not None and leave_out.any():
            background = np.where(leave_out, logits.max(axis=0) + 1, background).astype(logits.dtype)
        best = self._resampled(background)
        winner = np.zeros(best.shape, dtype=np.uint8)
        for index in range(1, logits.shape[0]):
            candidate = self._resampled(logits[index])
            winner[candidate > best] = index
            best = np.maximum(best, candidate)
        if not np.isfinite(best).all():
            # It would be smaller than nothing, and so taken for background.
            message = "The resampling of nnU-Net gave values that are not numbers; update or install nnunetv2 again."
            raise ModelError(message)
        winner[~np.isin(winner, list(labels.values()))] = 0
        whole = np.zeros(self.properties["shape_before_cropping"], dtype=np.uint8)
        whole[tuple(slice(low, high) for low, high in self.properties["bbox_used_for_cropping"])] = winner
        stored = whole.transpose(np.argsort(self.transpose))
        names = {value: name for name, value in labels.items()}
        return LabelVolume(self._as_read(np.ascontiguousarray(stored)), self.volume.geometry, names)

    def _resampled(self, logit: Float32Array) -> Float32Array:
        spacing = [self.properties["spacing"][axis] for axis in self.transpose]
        shape = self.properties["shape_after_cropping_and_before_resampling"]
        own = self.configuration.spacing
        tensor = torch.from_numpy(np.ascontiguousarray(logit))[None]
        back = self.configuration.resampling_fn_probabilities(tensor, shape, own, spacing)
        return np.asarray(back[0])

    def _as_read(self, labels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        if self.orientation == AS_STORED:
            return labels
        image = sitk.GetImageFromArray(labels)
        image.CopyInformation(to_sitk(np.zeros(self.oriented.shape, np.uint8), self.oriented))
        stored = sitk.DICOMOrientImageFilter_GetOrientationFromDirectionCosines(self.volume.geometry.direction)
        return np.asarray(sitk.GetArrayFromImage(sitk.DICOMOrient(image, stored)), dtype=np.uint8)


def prepared(
    volume: Volume, plans: NnunetPlans, orientation: str, plans_manager: Any, configuration: Any
) -> tuple[Float32Array, NnunetGrid]:
    """nnU-Net's own preprocessing of a volume.

    Args:
        volume: The volume. Not modified.
        plans: The model's plans.
        orientation: What the image is turned to before nnU-Net sees it, or ``AS_STORED``.
        plans_manager: nnU-Net's plans.
        configuration: nnU-Net's configuration.

    Returns:
        The network's input, shape (Z, Y, X) along the network's axes, and its grid.

    Raises:
        ModelError: The volume holds nothing but zeros.
    """
    if not volume.voxels.any():
        message = "The volume holds nothing but zeros, to which nnU-Net crops; choose another volume."
        raise ModelError(message)
    voxels, geometry = volume.voxels, volume.geometry
    if orientation != AS_STORED:
        image = sitk.DICOMOrient(to_sitk(voxels, geometry), orientation)
        voxels = np.asarray(sitk.GetArrayFromImage(image), dtype=np.float32)
        geometry = Geometry(image.GetSize(), image.GetSpacing(), image.GetOrigin(), image.GetDirection())
    properties: dict[str, Any] = {"spacing": list(geometry.spacing_mm[::-1])}
    preprocessor = configuration.preprocessor_class(verbose=False)
    data, _, properties = preprocessor.run_case_npy(
        voxels[None], None, properties, plans_manager, configuration, plans.dataset
    )
    tensor = np.ascontiguousarray(data[0], dtype=np.float32)
    a, b, c = (int(axis) for axis in plans.plans["transpose_forward"])
    n, m, k = tensor.shape
    return tensor, NnunetGrid(volume, geometry, orientation, (a, b, c), (n, m, k), properties, configuration)
