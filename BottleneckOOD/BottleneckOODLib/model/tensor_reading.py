"""Tensors that PyTorch saved, read without running code from the file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from BottleneckOODLib.errors import EvaluationError


def read_tensor(path: Path) -> npt.NDArray[np.float32]:
    """The tensor in a ``.pt`` file, float32, with its own shape.

    Raises:
        DependencyError: The installed PyTorch is too old to read such a file safely.
        EvaluationError: The file cannot be read, wants to run code, or holds something else than one tensor.
    """
    import torch  # noqa: PLC0415 - takes seconds; only who has such files needs it

    from BottleneckOODLib.model.saved_by_torch import (  # noqa: PLC0415
        HoldsCodeError,
        UnreadableError,
        load_without_code,
    )

    try:
        loaded = load_without_code(path)
    except HoldsCodeError:
        message = (
            f"The file {path} holds more than a tensor, perhaps code, and was not loaded; "
            "save the bare tensor with torch.save."
        )
        raise EvaluationError(message) from None
    except UnreadableError:
        message = f"The file {path} cannot be read as a tensor; it may be damaged: save it again with torch.save."
        raise EvaluationError(message) from None
    if isinstance(loaded, np.ndarray):
        return np.asarray(loaded, dtype=np.float32)
    if not isinstance(loaded, torch.Tensor):
        message = f"The file {path} holds a {type(loaded).__name__} and no tensor; save one tensor a case."
        raise EvaluationError(message)
    if (
        loaded.is_complex()
        or loaded.layout != torch.strided
        or loaded.is_quantized
        or loaded.is_meta
        or loaded.is_nested
    ):
        message = f"The file {path} holds no plain tensor of real numbers; save a dense tensor of floats."
        raise EvaluationError(message)
    if loaded.numel() * loaded.element_size() > loaded.untyped_storage().nbytes():
        message = f"The file {path} repeats its numbers in place of holding them; save tensor.contiguous() instead."
        raise EvaluationError(message)
    return np.asarray(loaded.detach().to(torch.float32).numpy())
