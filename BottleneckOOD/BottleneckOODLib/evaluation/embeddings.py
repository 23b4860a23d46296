"""Folders of saved embeddings, one file a case."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from BottleneckOODLib.errors import EvaluationError
from BottleneckOODLib.ood.average_pooling import pool_windows

Array = npt.NDArray[np.floating]
ReadTensor = Callable[[Path], npt.NDArray[np.float32]]

SUFFIXES = (".npy", ".pt", ".pth")
_IMAGE_SUFFIXES = (".nii.gz", ".nii", ".seg.nrrd", ".nrrd", ".mha", ".mhd", ".dcm")
_SHAPES = "(windows, C, z, y, x), (C, z, y, x) or (d,)"
_ALLOWED = (1, 2, 4, 5)
LEAST_TRAINING_CASES = 5
_NUMPY_MAGIC = b"\x93NUMPY"


@dataclass(frozen=True, eq=False)
class Embeddings:
    """The cases of one folder.

    Attributes:
        names: Name of each case, in rising order.
        features: Shape (n, ...), one shape for all.
    """

    names: tuple[str, ...]
    features: Array


def case_name(text: str) -> str:
    """The name of a case from a file's name or a table's entry: without folder and known extensions, dots kept.

    >>> case_name("scans/1.2.840.113.nii.gz.pt")
    '1.2.840.113'
    """
    name = text.strip().replace("\\", "/").rsplit("/", maxsplit=1)[-1]
    # "case.nii.gz.pt" is as common as "case.pt".
    for suffixes in (SUFFIXES, _IMAGE_SUFFIXES):
        for suffix in suffixes:
            if name.lower().endswith(suffix) and len(name) > len(suffix):
                name = name[: -len(suffix)]
                break
    return name


def read_embeddings(folder: Path, windows: str, read_tensor: ReadTensor) -> Embeddings:
    """Read every embedding of a folder.

    Args:
        folder: Holds ``.npy``, ``.pt`` or ``.pth`` files; other files are left alone.
        windows: How the sliding-window axis is pooled: ``"none"``, ``"mean"`` or ``"max"``.
        read_tensor: Reads a ``.pt`` file.

    Raises:
        EvaluationError: The folder is missing or empty, or a file in it cannot be used.
    """
    if not folder.is_dir():
        message = f"The folder of embeddings {folder} is not there; give a folder with one .npy or .pt file a case."
        raise EvaluationError(message)
    files: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or not path.name.lower().endswith(SUFFIXES) or not path.is_file():
            continue
        name = case_name(path.name)
        if name in files:
            message = f"The files {files[name]} and {path} are of one case, {name}; keep one of them."
            raise EvaluationError(message)
        files[name] = path
    if not files:
        message = f"The folder {folder} holds no embedding; give a folder with one .npy or .pt file a case."
        raise EvaluationError(message)
    names = tuple(sorted(files))
    cases = [_read_one(files[name], windows, read_tensor) for name in names]
    for name, case in zip(names, cases, strict=True):
        _check_same_shape(files[names[0]], cases[0], files[name], case)
    return Embeddings(names, np.stack(cases))


def _read_one(path: Path, windows: str, read_tensor: ReadTensor) -> Array:
    array = read_npy(path) if path.suffix.lower() == ".npy" else read_tensor(path)
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiu":
        message = f"The file {path} holds no array of numbers; save the embedding as floats."
        raise EvaluationError(message)
    if array.ndim not in _ALLOWED or not array.size:
        message = f"The embedding {path} has shape {array.shape}; expected {_SHAPES}."
        raise EvaluationError(message)
    kept = np.float32 if array.dtype.itemsize <= 4 else np.float64  # noqa: PLR2004 - bytes
    values: Array = np.asarray(array, dtype=kept)
    if not np.isfinite(values).all():
        message = f"The embedding {path} holds a value that is not a finite number; make it again or leave it out."
        raise EvaluationError(message)
    return np.asarray(pool_windows(values, windows))


def read_npy(path: Path, *, mapped: bool = False) -> Array:
    """Read an array that numpy saved; nothing in it is run.

    Args:
        path: The file.
        mapped: Only what is looked at is read, so that a volume need not fit into memory twice.

    Raises:
        EvaluationError: It is no such file.
    """
    try:
        with path.open("rb") as stream:
            # numpy would take an archive for several arrays, and leaves a broken one open.
            is_array = stream.read(len(_NUMPY_MAGIC)) == _NUMPY_MAGIC
        if is_array:
            array: Array = np.load(path, allow_pickle=False, mmap_mode="r" if mapped else None)
            return array
    except (OSError, ValueError, EOFError):
        pass
    message = f"The file {path} cannot be read as an array; save it again with numpy.save, as numbers only."
    raise EvaluationError(message)


def _check_same_shape(first_path: Path, first: Array, path: Path, case: Array) -> None:
    if case.shape == first.shape:
        return
    only_windows = case.ndim == first.ndim and case.ndim in {2, 5} and case.shape[1:] == first.shape[1:]
    remedy = "pool the windows with --windows mean" if only_windows else "all cases need one shape"
    message = f"The embedding {path} has shape {case.shape}, but {first_path} has {first.shape}; {remedy}."
    raise EvaluationError(message)
