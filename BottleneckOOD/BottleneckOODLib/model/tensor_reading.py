"""Tensors that PyTorch saved, read without running code from the file."""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from BottleneckOODLib.errors import EvaluationError


def read_tensor(path: Path) -> npt.NDArray[np.float32]:
    """The tensor in a ``.pt`` file, float32, with its own shape.

    Raises:
        EvaluationError: The file cannot be read, wants to run code, or holds something else than one tensor.
    """
    import torch  # noqa: PLC0415 - takes seconds; only who has such files needs it

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            loaded: Any = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        message = (
            f"The file {path} holds more than a tensor, perhaps code, and was not loaded; "
            "save the bare tensor with torch.save."
        )
        raise EvaluationError(message) from None
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, AttributeError, TypeError):
        message = f"The file {path} cannot be read as a tensor; it may be damaged: save it again with torch.save."
        raise EvaluationError(message) from None
    if isinstance(loaded, np.ndarray):
        return np.asarray(loaded, dtype=np.float32)
    if not isinstance(loaded, torch.Tensor):
        message = f"The file {path} holds a {type(loaded).__name__} and no tensor; save one tensor a case."
        raise EvaluationError(message)
    if loaded.is_complex() or loaded.is_sparse or loaded.is_quantized:
        message = f"The file {path} holds no plain tensor of real numbers; save a dense tensor of floats."
        raise EvaluationError(message)
    return np.asarray(loaded.detach().to(torch.float32).numpy())
