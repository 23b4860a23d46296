"""An nnU-Net v2 model, run by nnU-Net itself; its one pass also gives the bottleneck."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import safetensors.torch
import torch

from BottleneckOODLib.errors import ModelError
from BottleneckOODLib.imaging.volume import Volume
from BottleneckOODLib.model.bottleneck import BottleneckReached, BottleneckTap
from BottleneckOODLib.model.memory_steps import Attempt, attempts, first_output_that_fits
from BottleneckOODLib.model.model_folder import ModelFolder
from BottleneckOODLib.model.nnunet_features import NnunetFeatures, NnunetWindows, box_of
from BottleneckOODLib.model.nnunet_network import Weights, load_weights, managers, network_of, require_nnunet
from BottleneckOODLib.model.nnunet_plans import DATASET_FILE, PLANS_FILE, read_plans
from BottleneckOODLib.model.segmenter import Bottleneck, LocalView, SegmenterOutput, WindowCallback
from BottleneckOODLib.ood.output_scores import disagreement
from BottleneckOODLib.tensor_file import sha256_of

if TYPE_CHECKING:
    from BottleneckOODLib.model.nnunet_grid import NnunetGrid
    from BottleneckOODLib.model.nnunet_predictor import WatchedPredictor

Float32Array = npt.NDArray[np.float32]
# What resampling by splines leaves of air is not exactly air.
_AIR_MARGIN = 0.05


class NnunetSegmenter:
    """An nnU-Net v2 model, loaded and ready.

    Preprocessing, network, windows, mirroring and the mean over folds are nnU-Net's own code. The bottleneck is that of
    the first fold, from its windows as they are; mirrored windows and further folds give logits alone, so that the
    features do not depend on how many folds were installed beside it.

    Args:
        model: The model folder; its weights are read now.
        device: Where to compute.
        notes: What a user should know about that choice; comes with every output.

    Raises:
        DependencyError: nnunetv2 is not installed.
        ModelError: A file of the folder is missing or was changed.
    """

    def __init__(self, model: ModelFolder, device: torch.device, notes: tuple[str, ...] = ()) -> None:
        require_nnunet()
        self._model = model
        self.device = device
        self._notes = notes
        details = model.framework_settings
        _check_files(model)
        self._plans = read_plans(model.folder, str(details["configuration"]))
        self._plans_manager, self._configuration = managers(self._plans)
        self._mirroring = tuple(int(axis) for axis in details["mirroring"])
        self._network = network_of(self._plans, self._configuration)
        self._folds: list[Weights] = [_own_weights(model.folder / name) for name in details["folds"]]
        # What was read is what had been checked, also where somebody replaces the model just now.
        _check_files(model)
        load_weights(self._network, self._folds[0], model.name)

    @property
    def model(self) -> ModelFolder:
        """The model folder."""
        return self._model

    def prepare(self, volume: Volume) -> tuple[Float32Array, NnunetGrid]:
        """nnU-Net's own preprocessing, and the grid that it made.

        Raises:
            ModelError: The volume cannot be prepared.
        """
        from BottleneckOODLib.model.nnunet_grid import prepared  # noqa: PLC0415 - imports SimpleITK's filters

        orientation = self._model.preprocessing.orientation
        return prepared(volume, self._plans, orientation, self._plans_manager, self._configuration)

    def window_count(self, shape: tuple[int, ...]) -> int:
        """Number of windows that ``run`` takes for an input of ``shape`` (Z, Y, X), all folds together."""
        padded = tuple(max(n, p) for n, p in zip(shape, self._plans.patch, strict=True))
        return len(self._predictor(torch.device("cpu")).window_starts(padded)) * len(self._folds)

    def run(
        self,
        tensor: Float32Array,
        on_window: WindowCallback | None = None,
        local_view: LocalView | None = None,
        *,
        stages: bool = False,
    ) -> SegmenterOutput:
        """Segment with all folds, and keep the bottleneck of every window of the first; see ``Segmenter.run``.

        Where the device's memory does not suffice, windows are stitched on the CPU, and then all is computed there.

        Returns:
            The output; its logits are in half precision, in which nnU-Net keeps them.

        Raises:
            ModelError: The memory of the computer does not suffice, the network failed, or its values are not finite.
        """
        return first_output_that_fits(
            attempts(self.device, lambda _: 1),
            self._model.name,
            self._notes,
            lambda attempt: self._pass(tensor, attempt, on_window, local_view, stages),
        )

    def sweep(self, tensor: Float32Array, on_window: WindowCallback | None = None) -> Bottleneck | None:
        """The bottleneck alone, from windows that hardly overlap, the decoder never run; see ``Segmenter.sweep``."""
        try:
            return self._swept(tensor, on_window)
        except (RuntimeError, ValueError, MemoryError):
            return None

    def _swept(self, tensor: Float32Array, on_window: WindowCallback | None) -> Bottleneck:
        predictor = self._predictor(self.device)
        predictor.tile_step_size = 1.0
        padded, occupied = self._padded(tensor)
        seen = NnunetWindows(occupied, self._plans.patch)
        starts = predictor.window_starts(padded.shape)
        load_weights(self._network, self._folds[0], self._model.name)
        network = self._network.to(self.device)
        with torch.inference_mode(), BottleneckTap(network, self._model.bottleneck_layer, stop=True) as tap:
            for index, start in enumerate(starts):
                if on_window is not None:
                    on_window(index, len(starts))
                window = np.ascontiguousarray(padded[box_of(start, self._plans.patch)])
                try:
                    with _autocast(self.device):
                        network(torch.from_numpy(window)[None, None].to(self.device))
                except BottleneckReached:
                    seen.add(tap.take(), start)
        return seen.bottleneck()

    def _predictor(self, device: torch.device, *, on_device: bool = False) -> WatchedPredictor:
        from BottleneckOODLib.model.nnunet_predictor import WatchedPredictor  # noqa: PLC0415 - imports nnunetv2

        return WatchedPredictor(
            device,
            self._network,
            self._plans_manager,
            self._configuration,
            dict(self._plans.dataset),
            self._mirroring,
            results_on_device=on_device,
        )

    def _pass(
        self,
        tensor: Float32Array,
        attempt: Attempt,
        on_window: WindowCallback | None,
        local_view: LocalView | None,
        stages: bool,
    ) -> SegmenterOutput:
        device, on_device = attempt.device, attempt.blended_on.type != "cpu"
        predictor = self._predictor(device, on_device=on_device)
        _, occupied = self._padded(tensor)
        first: NnunetFeatures | None = None
        total: npt.NDArray[np.float16] | None = None
        masks: list[npt.NDArray[np.bool_]] = []
        mirrored: list[float] = []
        for number, weights in enumerate(self._folds):
            load_weights(self._network, weights, self._model.name)
            network = self._network.to(device)
            if on_window is not None:
                predictor.before_window = _counted(on_window, number, len(self._folds))
            with ExitStack() as taps:
                if first is None:
                    watched = NnunetFeatures(taps, network, self._model, self.stage_names, occupied, local_view, stages)
                    predictor.on_window = watched.add
                logits = predictor.stitched(tensor, self._model.organ_classes)
                if first is None:
                    first = watched
            predictor.on_window = None
            disagreeing = predictor.mirror_agreement.disagreement()
            mirrored += [] if disagreeing is None else [disagreeing]
            if len(self._folds) > 1:
                masks.append(np.isin(logits.argmax(axis=0), self._model.organ_classes))
            # In half precision and in this order, as nnU-Net adds them.
            total = logits if total is None else total + logits
        if total is None or first is None:
            message = f"The model {self._model.name} has no weights; add it again."
            raise ModelError(message)
        if len(self._folds) > 1:
            total = (torch.from_numpy(total) / len(self._folds)).numpy()
        found: dict[str, float] = {"mirroring": float(np.mean(mirrored))} if mirrored else {}
        if masks:
            found["folds"] = disagreement(masks)
        if on_window is not None:
            count = self.window_count(tensor.shape)
            on_window(count, count)
        pooled, local = first.stages(), first.windows.local()
        return SegmenterOutput(total, first.windows.bottleneck(), "", (), local, pooled, found)  # type: ignore[arg-type]

    def _padded(self, tensor: Float32Array) -> tuple[Float32Array, npt.NDArray[np.bool_]]:
        """The image as nnU-Net pads it to a window, and where it holds more than air."""
        air = self.air_of(tensor)
        missing = [max(p - n, 0) for n, p in zip(tensor.shape, self._plans.patch, strict=True)]
        widths = [(m // 2, m - m // 2) for m in missing]
        return np.pad(tensor, widths), np.pad(tensor > air, widths)

    def air_of(self, tensor: Float32Array) -> float:
        """The value up to which a voxel of a prepared image is taken for air."""
        if self._plans.normalization == "CTNormalization":
            numbers = self._plans.intensity
            deviation = max(numbers["std"], 1e-8)
            low, high = ((numbers[key] - numbers["mean"]) / deviation for key in ("percentile_00_5", "percentile_99_5"))
        else:
            low, high = float(tensor.min()), float(tensor.max())
        return low + _AIR_MARGIN * (high - low)

    @property
    def stage_names(self) -> tuple[str, ...]:
        """The encoder's stages, from shallow to deep."""
        return tuple(f"encoder.stages.{index}" for index in range(self._plans.n_stages))


def _check_files(model: ModelFolder) -> None:
    for name, digest in dict(model.framework_settings["files"]).items():
        _check_file(model, str(name), str(digest))


def _own_weights(path: Path) -> Weights:
    """Copied: what is mapped would change, or end the program, when somebody writes over the file later."""
    return {name: tensor.clone() for name, tensor in safetensors.torch.load_file(path).items()}


def _check_file(model: ModelFolder, name: str, digest: str) -> None:
    known = {PLANS_FILE, DATASET_FILE, *(str(fold) for fold in model.framework_settings["folds"])}
    path = model.folder / name
    if name not in known or not path.is_file() or sha256_of(path) != digest:
        message = f"The file {name} in {model.folder} is missing or was changed since it was made; add the model again."
        raise ModelError(message)


def _counted(on_window: WindowCallback, fold: int, folds: int) -> WindowCallback:
    return lambda done, total: on_window(fold * total + done, folds * total)


def _autocast(device: torch.device) -> Any:
    return torch.autocast(device.type, enabled=device.type == "cuda") if device.type == "cuda" else ExitStack()
