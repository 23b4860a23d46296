"""What every kind of model can do: one interface, and which class a model folder asks for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from BottleneckOODLib.errors import ModelError
from BottleneckOODLib.imaging.volume import Geometry, LabelVolume, Volume
from BottleneckOODLib.model.model_folder import ModelFolder

if TYPE_CHECKING:
    import torch

    from BottleneckOODLib.model.segmenter import Bottleneck, LocalView, SegmenterOutput, WindowCallback

Float32Array = npt.NDArray[np.float32]


class ModelGrid(Protocol):
    """The model's grid over one volume, and the way back to the volume's own."""

    @property
    def size_ijk(self) -> tuple[int, int, int]:
        """Voxels of the model's grid along i, j, k: the input's shape, reversed."""
        ...

    @property
    def voxel_volume_ml(self) -> float:
        """Volume of one voxel of the model's grid, in ml."""
        ...

    def in_cells(self, cell: int) -> Geometry:
        """The geometry of cells of ``cell`` voxels along each axis; the first begins at the first voxel's edge."""
        ...

    def restore(
        self, logits: Float32Array, labels: Mapping[str, int], leave_out: npt.NDArray[np.bool_] | None = None
    ) -> LabelVolume:
        """Labels in the volume's own geometry, as ``Grid.restore`` documents it."""
        ...


class Adapter(Protocol):
    """A model, loaded and ready, of whatever framework.

    What holds for each: the input is prepared as the model was trained; mask and bottleneck come from ONE pass of
    windows; the window's callback is called before each batch, and what it raises ends the pass; what the network gives
    is finite, or a ``ModelError`` says so; the same input gives the same numbers again.
    """

    @property
    def model(self) -> ModelFolder:
        """The model folder."""
        ...

    @property
    def stage_names(self) -> tuple[str, ...]:
        """Names of the encoder's stages, from shallow to deep, the bottleneck last; as ``run`` gives them."""
        ...

    def prepare(self, volume: Volume) -> tuple[Float32Array, ModelGrid]:
        """The network's input, shape (Z, Y, X), float32, and the grid that knows the way back.

        Args:
            volume: The volume. Not modified.

        Raises:
            ModelError: The volume cannot be prepared for this model.
        """
        ...

    def window_count(self, shape: tuple[int, ...]) -> int:
        """Number of windows that ``run`` takes for an input of ``shape`` (Z, Y, X)."""
        ...

    def run(
        self,
        tensor: Float32Array,
        on_window: WindowCallback | None = None,
        local_view: LocalView | None = None,
        *,
        stages: bool = False,
    ) -> SegmenterOutput:
        """Logits on the model's grid and the bottleneck of every window, as ``Segmenter.run`` documents them."""
        ...

    def sweep(self, tensor: Float32Array, on_window: WindowCallback | None = None) -> Bottleneck | None:
        """The bottleneck alone, from few windows, for a preliminary light; None where there is none to be had."""
        ...


def loaded(model: ModelFolder, device: torch.device, notes: tuple[str, ...] = ()) -> Adapter:
    """Load a model with the class that its folder's ``framework`` asks for.

    Args:
        model: The model folder.
        device: Where to compute.
        notes: What a user should know about that choice; comes with every output.

    Raises:
        ModelError: The framework is unknown, or the weights do not fit the network.
    """
    if model.framework == "monai":
        from BottleneckOODLib.model.segmenter import Segmenter  # noqa: PLC0415 - no MONAI for models of others

        return Segmenter(model, device, notes)
    if model.framework == "nnunet":
        from BottleneckOODLib.model.nnunet import NnunetSegmenter  # noqa: PLC0415 - only for such models

        return NnunetSegmenter(model, device, notes)
    message = f'The model {model.name} is made for the framework "{model.framework}", which this version does not know.'
    raise ModelError(message)
