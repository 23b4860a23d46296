"""nnU-Net's own predictor, watched: the same pass gives the features of every window, and can be stopped.

The only file that imports nnunetv2 when it is loaded; who wants it goes through ``nnunet.py``.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import queue
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

with contextlib.redirect_stdout(io.StringIO()):
    # It tells about unset variables of its training.
    from nnunetv2.inference import predict_from_raw_data
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
    from nnunetv2.utilities.get_network_from_plans import get_network_from_plans
    from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager, PlansManager

__all__ = ["ConfigurationManager", "PlansManager", "WatchedPredictor", "get_network_from_plans"]

OnWindow = Callable[[torch.Tensor, torch.Tensor, list[int]], None]
"""Called with a window (1, 1, Z, Y, X), its un-mirrored logits (1, n_classes, Z, Y, X) and its first voxel."""
BeforeWindow = Callable[[int, int], None]
_NO_MORE_WINDOWS = "end"
"""What nnU-Net's thread says last."""


class WatchedPredictor(nnUNetPredictor):  # type: ignore[misc]
    """``nnUNetPredictor`` whose windows are seen one by one; what it computes is unchanged.

    nnU-Net feeds its windows from a thread that would wait for ever, holding the image, if a window raised. So what a
    window raises is kept, the remaining windows are not fed, and it is raised when nnU-Net's loop has ended. What that
    thread raises, as where a window does not fit beside the network on a card, is kept in the same way.

    Args:
        device: Where to compute.
        network: The network, with its weights.
        plans_manager: nnU-Net's plans.
        configuration_manager: nnU-Net's configuration.
        dataset: Content of ``dataset.json``.
        mirroring: Axes along which windows are mirrored too.
        results_on_device: Stitch where the network runs, instead of on the CPU.
    """

    def __init__(
        self,
        device: torch.device,
        network: torch.nn.Module,
        plans_manager: Any,
        configuration_manager: Any,
        dataset: dict[str, Any],
        mirroring: tuple[int, ...],
        *,
        results_on_device: bool,
    ) -> None:
        with contextlib.redirect_stdout(io.StringIO()):
            super().__init__(
                use_mirroring=bool(mirroring),
                perform_everything_on_device=results_on_device,
                device=device,
                allow_tqdm=False,
            )
        self.manual_initialization(network, plans_manager, configuration_manager, None, dataset, "", mirroring or None)
        # Compiled by a variable of the environment, the network would not call the taps.
        self.network = network
        self.before_window: BeforeWindow | None = None
        self.on_window: OnWindow | None = None
        self.mirror_agreement = MirrorAgreement()
        self._organ_classes: tuple[int, ...] = (1,)
        self._starts: list[list[int]] = []
        self._done = 0
        self._raised: BaseException | None = None

    def stitched(
        self, tensor: npt.NDArray[np.float32], organ_classes: tuple[int, ...]
    ) -> npt.NDArray[np.float16]:
        """Logits of the whole image by nnU-Net's own sliding window, shape (n_classes, Z, Y, X), half precision.

        Raises:
            BaseException: Whatever ``before_window``, ``on_window`` or the network raised.
        """
        self._organ_classes = organ_classes
        with contextlib.redirect_stdout(io.StringIO()):
            logits = self.predict_sliding_window_return_logits(torch.from_numpy(tensor)[None])
        found: npt.NDArray[np.float16] = logits.cpu().numpy()
        return found

    def window_starts(self, shape: tuple[int, ...]) -> list[list[int]]:
        """First voxel of each window for an image of ``shape`` that is no smaller than a window."""
        return [[int(s.start) for s in window[1:]] for window in self._internal_get_sliding_window_slicers(shape)]

    def _internal_predict_sliding_window_return_logits(
        self, data: torch.Tensor, slicers: list[tuple[slice, ...]], do_on_device: bool = True
    ) -> torch.Tensor:
        self._starts = [[int(s.start) for s in window[1:]] for window in slicers]
        self._done, self._raised = 0, None
        self.mirror_agreement = MirrorAgreement()
        try:
            logits: torch.Tensor = super()._internal_predict_sliding_window_return_logits(
                data, _UntilRaised(self, slicers), do_on_device
            )
        except RuntimeError as error:
            # nnU-Net would begin anew on the CPU, and the features with it; who called begins anew as a whole instead.
            self.keep(error)
            raise _Stopped from error
        if self._raised is not None:
            raise _Stopped
        return logits

    def predict_sliding_window_return_logits(self, input_image: torch.Tensor) -> torch.Tensor:
        """nnU-Net's own, but what a window raised comes out as it was."""
        try:
            logits: torch.Tensor = super().predict_sliding_window_return_logits(input_image)
        except _Stopped:
            raised, self._raised = self._raised, None
            assert raised is not None
            raise raised from None
        return logits

    def keep(self, error: BaseException) -> None:
        """Raise this when nnU-Net's loop has ended."""
        self._raised = self._raised or error

    @property
    def stopped(self) -> bool:
        """Whether a window raised."""
        return self._raised is not None

    def _internal_maybe_mirror_and_predict(self, x: torch.Tensor) -> torch.Tensor:
        if self._raised is not None:
            return self._nothing(x)
        try:
            return self._watched(x)
        except BaseException as error:
            self.keep(error)
            return self._nothing(x)

    def _watched(self, x: torch.Tensor) -> torch.Tensor:
        if self.before_window is not None:
            self.before_window(self._done, len(self._starts))
        members: list[torch.Tensor] = []
        first: list[torch.Tensor] = []

        def keep(_module: torch.nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
            if not first:
                first.append(output.clone())
                if self.on_window is not None:
                    self.on_window(x, first[0], self._starts[self._done])
            # Which axes are mirrored is nnU-Net's to know: it asks for one combination after another.
            members.append(self._organ(output))

        handle = self.network.register_forward_hook(keep)
        try:
            prediction: torch.Tensor = super()._internal_maybe_mirror_and_predict(x)
        finally:
            handle.remove()
        self.mirror_agreement.add(self._flipped_back(members))
        self._done += 1
        return prediction

    def _organ(self, logits: torch.Tensor) -> torch.Tensor:
        winner = logits[0].argmax(dim=0)
        return torch.isin(winner, torch.tensor(self._organ_classes, device=winner.device))

    def _flipped_back(self, members: list[torch.Tensor]) -> list[torch.Tensor]:
        axes: list[tuple[int, ...]] = [()]
        if len(members) > 1:
            allowed = tuple(self.allowed_mirroring_axes)
            axes += [c for n in range(len(allowed)) for c in itertools.combinations(allowed, n + 1)]
        return [torch.flip(member, list(a)) for member, a in zip(members, axes, strict=True)]

    def _nothing(self, x: torch.Tensor) -> torch.Tensor:
        return x.new_zeros((1, self.label_manager.num_segmentation_heads, *x.shape[2:]))


class MirrorAgreement:
    """How far the organ's masks of mirrored windows are the same, summed over the windows of a pass."""

    def __init__(self) -> None:
        self._common: npt.NDArray[np.float64] | None = None

    def add(self, masks: list[torch.Tensor]) -> None:
        """Count the voxels that each pair of masks of one window has in common."""
        flat = torch.stack([mask.flatten() for mask in masks]).to(torch.float32)
        # Single precision counts exactly up to 2^24 voxels, which is a window of 256 along each axis.
        common = (flat @ flat.T).cpu().numpy().astype(np.float64)
        self._common = common if self._common is None else self._common + common

    def disagreement(self) -> float | None:
        """1 - mean Dice over all pairs of masks, over all windows at once; None where nothing was mirrored."""
        if self._common is None or len(self._common) < 2:  # noqa: PLR2004 - a pair
            return None
        sizes = np.diag(self._common)
        i, j = np.triu_indices(len(sizes), 1)
        both = sizes[i] + sizes[j]
        dice = np.where(both > 0, 2 * self._common[i, j] / np.maximum(both, 1), 1.0)
        return float(1 - dice.mean())


class _UntilRaised(list[tuple[slice, ...]]):
    """Windows that end once one of them raised."""

    def __init__(self, predictor: WatchedPredictor, windows: list[tuple[slice, ...]]) -> None:
        super().__init__(windows)
        self._predictor = predictor

    def failed(self, error: BaseException) -> None:
        """The thread that takes them failed."""
        self._predictor.keep(error)

    def __iter__(self) -> Iterator[tuple[slice, ...]]:
        for window in super().__iter__():
            if self._predictor.stopped:
                return
            yield window


class _Feeder(threading.Thread):
    """The thread that nnU-Net feeds windows from: when it fails it says so, or a window is waited for without end."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._given = tuple(named.get("args", ()))

    def run(self) -> None:
        """Feed; of windows that are not watched here a failure is as nnU-Net has it."""
        try:
            super().run()
        except BaseException as error:
            watched = [given for given in self._given if isinstance(given, _UntilRaised)]
            if not watched:
                raise
            watched[0].failed(error)
            for given in self._given:
                if isinstance(given, queue.Queue):
                    given.put(_NO_MORE_WINDOWS)
        finally:
            # Of a thread that nobody joins nothing is to be kept, least of all the image.
            self._given = ()


# nnU-Net makes its thread by this name, and hands out neither it nor its queue.
predict_from_raw_data.Thread = _Feeder


class _Stopped(Exception):
    """A window raised; not a RuntimeError, after which nnU-Net would begin anew on the CPU."""
