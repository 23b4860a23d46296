"""The file with the training cases' tokens."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from BottleneckOODLib.ood.token_bank import TokenBank
from BottleneckOODLib.tensor_file import TensorFileError, check_tensor_file, read_arrays, write_arrays

_MAX_BYTES = 200_000_000
_TABLE = 2


def write_bank(bank: TokenBank, path: Path) -> None:
    """Write the tokens and which case each is of."""
    write_arrays({"tokens": bank.tokens, "case_index": bank.case_index}, path)


def read_bank(path: Path, spread: Any) -> TokenBank:
    """Read what ``write_bank`` wrote.

    Args:
        path: The file.
        spread: Of the tokens, as the reference's document tells it.

    Raises:
        TensorFileError: The file holds other arrays than a bank has.
        ValueError: A number is not finite, or the spread is not positive.
        OSError: The file cannot be read.
    """
    facts = check_tensor_file(path)
    kinds = {name: (dtype, len(shape)) for name, (dtype, shape) in facts.items()}
    if kinds != {"tokens": ("F16", _TABLE), "case_index": ("I32", 1)} or path.stat().st_size > _MAX_BYTES:
        message = "it holds other arrays than a bank has"
        raise TensorFileError(message)
    arrays = read_arrays(path)
    tokens, index = arrays["tokens"], arrays["case_index"]
    sound = type(spread) is float and math.isfinite(spread) and spread > 0
    if not sound or len(tokens) < _TABLE or len(tokens) != len(index) or not np.isfinite(tokens).all():
        message = "the tokens are damaged"
        raise ValueError(message)
    return TokenBank(tokens, index, spread)
