"""From a volume to the network's input, and the way back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk
from monai.data.utils import compute_shape_offset, zoom_affine

from BottleneckOODLib.imaging.volume import Geometry, LabelVolume, Volume, geometry_of, to_sitk
from BottleneckOODLib.model.model_folder import ModelFolder, PreprocessingSettings
from BottleneckOODLib.model.restoring import restored_labels

Float32Array = npt.NDArray[np.float32]

# MONAI's AFFINE_TOL: spacings that differ by less are the same to it.
_SAME_SPACING_MM = 1e-3
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0])


@dataclass(frozen=True)
class Grid:
    """The model's grid over one volume, and the way back to the volume's own.

    Attributes:
        volume: The volume as it was read.
        size_ijk: Voxels of the model's grid along i, j, k.
        spacing_mm: Its spacing along i, j, k, in mm.
        origin_lps_mm: Centre of its first voxel, LPS, in mm.
        direction: Its axes as columns, LPS, row-major.
    """

    volume: Volume
    size_ijk: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    origin_lps_mm: tuple[float, float, float]
    direction: tuple[float, ...]

    @property
    def voxel_volume_ml(self) -> float:
        """Volume of one voxel of the model's grid, in ml."""
        return float(np.prod(self.spacing_mm)) / 1000

    def in_cells(self, cell: int) -> Geometry:
        """The geometry of cells of ``cell`` voxels along each axis; the first begins at the first voxel's edge."""
        i, j, k = (-(-n // cell) for n in self.size_ijk)
        spacing = np.array(self.spacing_mm)
        axes = np.array(self.direction).reshape(3, 3)
        x, y, z = np.array(self.origin_lps_mm) + axes @ (spacing * (cell - 1) / 2)
        si, sj, sk = spacing * cell
        return Geometry((i, j, k), (float(si), float(sj), float(sk)), (float(x), float(y), float(z)), self.direction)

    def restore(
        self, logits: Float32Array, labels: Mapping[str, int], leave_out: npt.NDArray[np.bool_] | None = None
    ) -> LabelVolume:
        """Labels in the volume's own geometry; each class is interpolated linearly before the largest is taken.

        Args:
            logits: Network output on this grid, shape (n_classes, Z, Y, X). Not modified.
            labels: Label value (= class index) of each structure, by name.
            leave_out: Where background is taken whatever the network says, shape (Z, Y, X).

        Returns:
            Labels with the volume's geometry; 0 is background.
        """
        winner = restored_labels(logits, self.in_cells(1), self.volume.geometry, labels.values(), leave_out)
        return LabelVolume(winner, self.volume.geometry, {value: name for name, value in labels.items()})


class Preprocessing:
    """The preprocessing that a model was trained with.

    Args:
        settings: Orientation, spacing and intensity.
    """

    def __init__(self, settings: PreprocessingSettings) -> None:
        self.settings = settings

    @classmethod
    def of_model(cls, model: ModelFolder) -> Preprocessing:
        """The preprocessing of a model folder."""
        return cls(model.preprocessing)

    @property
    def air(self) -> float:
        """The network's input value for air and for padding."""
        return self.settings.intensity.air

    def apply(self, volume: Volume) -> tuple[Float32Array, Grid]:
        """Bring a volume onto the model's grid.

        Axes are permuted and flipped to the model's orientation (an oblique volume keeps its obliqueness). Where the
        grids share their centre, whole voxels are averaged where the model's are much larger, so that fine noise does
        not alias; the rest is linear.

        Args:
            volume: The volume. Not modified.

        Returns:
            The network's input, shape (Z, Y, X), float32, and its grid.
        """
        settings = self.settings
        voxels = settings.intensity.apply(volume.voxels, before=True)
        image = sitk.DICOMOrient(to_sitk(voxels, volume.geometry), settings.orientation)
        if settings.resampling == "first_voxel":
            grid = _sharing_first_voxel(image, volume, settings)
            image = _with_margin(image, grid)
        else:
            grid = _sharing_centre(image, volume, settings)
            factors = np.floor(np.array(grid.spacing_mm) / np.array(image.GetSpacing()) + 1e-6).astype(int)
            factors = np.clip(factors, 1, np.array(image.GetSize()))
            if factors.max() > 1:
                image = sitk.BinShrink(image, [int(f) for f in factors])
        resampler = sitk.ResampleImageFilter()
        resampler.SetSize(grid.size_ijk)
        resampler.SetOutputSpacing(grid.spacing_mm)
        resampler.SetOutputOrigin(grid.origin_lps_mm)
        resampler.SetOutputDirection(grid.direction)
        resampler.SetInterpolator(sitk.sitkLinear)
        resampler.SetUseNearestNeighborExtrapolator(True)
        array = np.asarray(sitk.GetArrayFromImage(resampler.Execute(image)), dtype=np.float32)
        return settings.intensity.apply(array), grid


def _sharing_centre(image: sitk.Image, volume: Volume, settings: PreprocessingSettings) -> Grid:
    """The grid whose centre is the image's, so that rounding the size moves no structure."""
    old_spacing, old_size = np.array(image.GetSpacing()), np.array(image.GetSize())
    new_spacing = np.array(settings.spacing_mm)
    new_size = np.maximum(1, np.round(old_size * old_spacing / new_spacing)).astype(int)
    axes = np.array(image.GetDirection()).reshape(3, 3)
    centre = np.array(image.GetOrigin()) + axes @ (old_spacing * (old_size - 1) / 2)
    return _grid(volume, new_size, settings.spacing_mm, centre - axes @ (new_spacing * (new_size - 1) / 2), axes)


def _with_margin(image: sitk.Image, grid: Grid) -> sitk.Image:
    """The image with its edge repeated as far as the grid reaches: ITK would take the nearest voxel along all axes."""
    ends = np.array([[0, 0, 0], np.array(grid.size_ijk) - 1])
    first, last = geometry_of(image).lps_to_ijk(grid.in_cells(1).ijk_to_lps(ends))
    before = np.maximum(0, np.ceil(-first)).astype(int)
    after = np.maximum(0, np.ceil(last - np.array(image.GetSize()) + 1)).astype(int)
    if not (before.any() or after.any()):
        return image
    return sitk.ZeroFluxNeumannPad(image, [int(n) for n in before], [int(n) for n in after])


def _sharing_first_voxel(image: sitk.Image, volume: Volume, settings: PreprocessingSettings) -> Grid:
    """The grid that MONAI's ``Spacing`` makes, by its own functions.

    Spacings that are nearly the wanted ones stay. Where rounding in the header of an oblique image hides which corner
    is the first, MONAI lets the grids share something else than their first voxel; so it is here.
    """
    old_spacing, wanted = np.array(image.GetSpacing()), np.array(settings.spacing_mm)
    spacing = np.where(np.abs(old_spacing - wanted) <= _SAME_SPACING_MM, old_spacing, wanted)
    axes = np.array(image.GetDirection()).reshape(3, 3)
    # MONAI's world is RAS, and its axes are in the order of the array.
    affine = np.eye(4)
    affine[:3, :3] = (_LPS_TO_RAS @ axes * old_spacing)[:, ::-1]
    affine[:3, 3] = _LPS_TO_RAS @ np.array(image.GetOrigin())
    size, origin = compute_shape_offset(image.GetSize()[::-1], affine, zoom_affine(affine, spacing[::-1], False))
    spacing_mm = (float(spacing[0]), float(spacing[1]), float(spacing[2]))
    return _grid(volume, size[::-1], spacing_mm, _LPS_TO_RAS @ np.asarray(origin), axes)


def _grid(
    volume: Volume,
    size: npt.NDArray[np.int64],
    spacing_mm: tuple[float, float, float],
    origin: npt.ArrayLike,
    axes: npt.NDArray[np.float64],
) -> Grid:
    x, y, z = (float(value) for value in np.asarray(origin, dtype=np.float64))
    return Grid(
        volume=volume,
        size_ijk=(int(size[0]), int(size[1]), int(size[2])),
        spacing_mm=spacing_mm,
        origin_lps_mm=(x, y, z),
        direction=tuple(float(value) for value in axes.ravel()),
    )
