"""The one place where a file that ``torch.save`` wrote is opened; code in it never runs."""

from __future__ import annotations

import pickle
import re
import warnings
from pathlib import Path
from typing import Any

import torch

from BottleneckOODLib.errors import DependencyError

# Before 2.10 a crafted file could corrupt memory even with weights_only (CVE-2026-24747).
_SAFE_TORCH = (2, 10)


class HoldsCodeError(Exception):
    """The file holds more than tensors and plain values; its text names what, where PyTorch tells."""


class UnreadableError(Exception):
    """The file is cut off, damaged, or nothing that PyTorch saved."""


def load_without_code(path: Path, stand_ins: tuple[tuple[type, str], ...] = ()) -> Any:
    """What ``torch.save`` wrote, on the CPU.

    Args:
        path: The file.
        stand_ins: Harmless classes, each with the name in the file that it stands for.

    Raises:
        DependencyError: The installed PyTorch is too old to keep such a file from running code.
        HoldsCodeError: It names anything else than tensors and plain values.
        UnreadableError: It cannot be read.
    """
    if torch_version() < _SAFE_TORCH:
        message = (
            f"The file {path} is a pickled one, which only PyTorch 2.10 or newer reads without running code from it; "
            "update PyTorch, or save it as safetensors."
        )
        raise DependencyError(message)
    try:
        with warnings.catch_warnings(), torch.serialization.safe_globals(list(stand_ins)):
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        wanted = re.search(r"GLOBAL ([\w.]+)|Unsupported (?:class|operand|global)[: ]+(?:GLOBAL )?([\w.]+)", str(error))
        raise HoldsCodeError(next(filter(None, wanted.groups())) if wanted else "") from None
    except Exception:
        # PyTorch raises whatever its parsing of a damaged file trips over.
        raise UnreadableError from None


def torch_version() -> tuple[int, int]:
    """Major and minor version of the installed PyTorch."""
    major, minor = torch.__version__.split(".")[:2]
    return int(major), int(re.match(r"\d*", minor).group() or 0)  # type: ignore[union-attr]
