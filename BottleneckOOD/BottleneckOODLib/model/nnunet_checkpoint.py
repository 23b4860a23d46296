"""An nnU-Net checkpoint, read without running anything of it.

A checkpoint holds the weights, and beside them the training's log: numbers of NumPy, which pickle as calls of NumPy
functions. None of these functions is called: each of the few names that occur there stands for a class that forgets
what it is given (``torch.serialization.safe_globals``). Any other name makes PyTorch refuse the file.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from BottleneckOODLib.errors import ModelError
from BottleneckOODLib.model.saved_by_torch import HoldsCodeError, UnreadableError, load_without_code

FORGOTTEN_NAMES = (
    "numpy._core.multiarray.scalar",
    "numpy.core.multiarray.scalar",
    "numpy._core.multiarray._reconstruct",
    "numpy.core.multiarray._reconstruct",
    "numpy.ndarray",
    "numpy.dtype",
    "numpy.dtypes.Float64DType",
    "numpy.dtypes.Float32DType",
    "numpy.dtypes.Int64DType",
    "_codecs.encode",
)


class _Forgotten:
    """Takes the place of what is not needed, and keeps nothing of it."""

    def __new__(cls, *_arguments: object, **_named: object) -> _Forgotten:
        return super().__new__(cls)

    def __setstate__(self, _state: object) -> None:
        return


@dataclass(frozen=True)
class NnunetCheckpoint:
    """What is taken from a checkpoint.

    Attributes:
        weights: Tensors by name.
        trainer: Name of the class that trained it; that class is not run.
        configuration: Such as ``"3d_fullres"``.
        mirroring: Axes of the network along which test-time mirroring was allowed.
    """

    weights: dict[str, torch.Tensor]
    trainer: str
    configuration: str
    mirroring: tuple[int, ...]


def read_nnunet_checkpoint(path: Path) -> NnunetCheckpoint:
    """Read one ``checkpoint_final.pth``.

    Raises:
        ModelError: It is missing, damaged, wants to run code, or is no checkpoint of nnU-Net v2.
        DependencyError: The installed PyTorch is too old to read such files safely.
    """
    if not path.is_file():
        message = f"The checkpoint {path} was not found; give a folder whose training was finished, or other --folds."
        raise ModelError(message)
    try:
        loaded = load_without_code(path, tuple((_Forgotten, name) for name in FORGOTTEN_NAMES))
    except HoldsCodeError:
        message = (
            f"The checkpoint {path} holds more than tensors and plain values, perhaps code, and was not loaded; "
            "take the model from a source that you trust."
        )
        raise ModelError(message) from None
    except UnreadableError:
        message = f"The checkpoint {path} cannot be read; it may be cut off: copy it again."
        raise ModelError(message) from None
    try:
        return _taken(loaded)
    except (KeyError, TypeError, ValueError, AttributeError):
        message = f"The file {path} is no checkpoint of nnU-Net v2; give the folder that nnU-Net's training made."
        raise ModelError(message) from None


def _taken(loaded: Any) -> NnunetCheckpoint:
    weights = {str(name): value for name, value in loaded["network_weights"].items()}
    if not weights or not all(isinstance(value, torch.Tensor) for value in weights.values()):
        message = "no weights"
        raise TypeError(message)
    axes = loaded.get("inference_allowed_mirroring_axes")
    mirroring = tuple(int(axis) for axis in axes) if axes is not None else ()
    trainer, configuration = loaded["trainer_name"], loaded["init_args"]["configuration"]
    if not isinstance(trainer, str) or not isinstance(configuration, str) or set(mirroring) - {0, 1, 2}:
        message = "no trainer"
        raise TypeError(message)
    # Compiled networks and those trained on several cards have a prefix that nnU-Net takes off too.
    short = {name.removeprefix("module.").removeprefix("_orig_mod."): value for name, value in weights.items()}
    return NnunetCheckpoint(short, trainer, configuration, mirroring)
