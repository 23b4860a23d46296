"""What a NIfTI header declares, read from its first bytes and checked before any voxel is; sizes of any format."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import BinaryIO, Literal, cast

import numpy as np

from BottleneckOODLib.errors import InputError
from BottleneckOODLib.imaging.volume import DIRECTION_TOLERANCE

MAX_VOXELS = 1_500_000_000
"""More than any scan of one patient; such a volume would need 6 GB as float32."""
MAX_GZIP_RATIO = 1100
"""Deflate cannot pack tighter."""
_NIFTI_HEADER_BYTES = 348
_GZIP_MAGIC = b"\x1f\x8b"
_VOLUME_DIMENSIONS = 3
_MIN_SLICES = 2
_BLOCK_BYTES = 1 << 22
_MOST_SURPLUS_BYTES = 1 << 20
_MOST_HEADER_BYTES = 1 << 26
_FLOAT_TYPES = {16: np.float32, 64: np.float64}
_ITEM_BYTES = {
    2: 1, 4: 2, 8: 4, 16: 4, 32: 8, 64: 8, 128: 3, 256: 1, 512: 2, 768: 4, 1024: 8, 1280: 8, 1536: 16, 1792: 16,
    2048: 32, 2304: 4,
}  # fmt: skip


def check_size(size: tuple[int, ...], name: str) -> None:
    """Refuse what is not one three-dimensional volume of a possible size.

    Raises:
        InputError: It is 2-D, 4-D, empty, a single slice, or larger than ``MAX_VOXELS``.
    """
    if len(size) > _VOLUME_DIMENSIONS and math.prod(size[_VOLUME_DIMENSIONS:]) > 1:
        message = (
            f"The image {name} has {len(size)} dimensions (a series over time or channels); choose one volume of it."
        )
        raise InputError(message)
    spatial = size[:_VOLUME_DIMENSIONS]
    if min(spatial, default=0) < 1:
        message = f"The image {name} holds no voxels; export it again."
        raise InputError(message)
    if len(spatial) < _VOLUME_DIMENSIONS or min(spatial) < _MIN_SLICES:
        message = f"The image {name} is a single slice; a volume of at least {_MIN_SLICES} slices is needed."
        raise InputError(message)
    if math.prod(spatial) > MAX_VOXELS:
        text = " x ".join(str(n) for n in spatial)
        message = f"The image {name} declares {text} voxels, more than a scan can have; export it again or crop it."
        raise InputError(message)


def check_nifti_header(path: Path) -> tuple[str, ...]:
    """Check a NIfTI-1 header for what the reading library would silently repair.

    Returns:
        Warnings: what it had to guess.

    Raises:
        InputError: It is no NIfTI file, truncated, not one volume, larger than its file, sheared, or of zero spacing.
    """
    raw = _first_bytes(path, _NIFTI_HEADER_BYTES)
    if len(raw) < _NIFTI_HEADER_BYTES or raw[344:347] not in (b"n+1", b"ni1"):
        second = raw[4:7] in (b"n+2", b"ni2")
        message = (
            f"The file {path.name} is a NIfTI-2 image; export it as NIfTI-1 or NRRD."
            if second
            else f"The file {path.name} is not a NIfTI image; check that the right file was chosen."
        )
        raise InputError(message)
    order = _byte_order(raw)
    dimensions = struct.unpack(f"{order}8h", raw[40:56])
    if not 1 <= dimensions[0] <= len(dimensions) - 1 or min(dimensions[1 : dimensions[0] + 1]) < 0:
        message = f"The header of {path.name} is damaged; export the image again."
        raise InputError(message)
    size = tuple(dimensions[1 : dimensions[0] + 1])
    check_size(size, path.name)
    spacing = struct.unpack(f"{order}8f", raw[76:108])[1:4]
    if not all(math.isfinite(s) and s != 0 for s in spacing):
        message = f"The voxel spacing of {path.name} is zero or not a number; export the image again."
        raise InputError(message)
    (vox_offset,) = struct.unpack(f"{order}f", raw[108:112])
    if not 0 <= vox_offset <= _MOST_HEADER_BYTES:
        message = f"The header of {path.name} is damaged; export the image again."
        raise InputError(message)
    _check_declared_bytes(path, math.prod(size) * _item_bytes(raw, order))
    return _check_affine(raw, order, path.name)


def _check_affine(raw: bytes, order: str, name: str) -> tuple[str, ...]:
    qform_code, sform_code = struct.unpack(f"{order}2h", raw[252:256])
    if sform_code <= 0:
        if qform_code <= 0:
            return (f"The file {name} does not say how it lies in the patient; left and right may be exchanged.",)
        if not np.isfinite(struct.unpack(f"{order}6f", raw[256:280])).all():
            message = f"The position of {name} is not a number; export the image again."
            raise InputError(message)
        return ()
    rows = np.array(struct.unpack(f"{order}12f", raw[280:328]), dtype=np.float64).reshape(3, 4)
    lengths = np.linalg.norm(rows[:, :3], axis=0)
    if not np.isfinite(rows).all() or (lengths <= 0).any():
        message = f"The voxel spacing or position of {name} is zero or not a number; export the image again."
        raise InputError(message)
    axes = rows[:, :3] / lengths
    if np.abs(axes.T @ axes - np.eye(3)).max() > DIRECTION_TOLERANCE:
        message = f"The image {name} has axes that are not perpendicular (sheared); resample it to a regular grid."
        raise InputError(message)
    return ()


def check_nifti_voxels(path: Path) -> None:
    """Read the voxels once as a stream, in constant memory, for what the reading library would hide.

    It replaces NaN by zero, and does not mind a compressed file that goes on for gigabytes.

    Raises:
        InputError: The file is truncated or damaged, unpacks to more than it declares, or holds non-finite voxels.
    """
    raw = _first_bytes(path, _NIFTI_HEADER_BYTES)
    order = _byte_order(raw)
    dimensions = struct.unpack(f"{order}8h", raw[40:56])
    (datatype,) = struct.unpack(f"{order}h", raw[70:72])
    start = int(struct.unpack(f"{order}f", raw[108:112])[0])
    left = math.prod(max(n, 1) for n in dimensions[1 : dimensions[0] + 1]) * _item_bytes(raw, order)
    kind = _FLOAT_TYPES.get(datatype)
    wrong = 0
    try:
        with _opened(path) as stream:
            while start > 0 and (block := stream.read(min(start, _BLOCK_BYTES))):
                start -= len(block)
            while left > 0 and (block := stream.read(min(left, _BLOCK_BYTES))):
                left -= len(block)
                if kind is not None:
                    dtype = np.dtype(kind).newbyteorder(order)
                    values = np.frombuffer(block[: len(block) // dtype.itemsize * dtype.itemsize], dtype=dtype)
                    wrong += len(values) - int(np.count_nonzero(np.isfinite(values)))
            surplus = len(stream.read(_MOST_SURPLUS_BYTES + 1))
    except (EOFError, gzip.BadGzipFile, zlib.error):
        left, surplus = 1, 0
    if left > 0:
        message = f"The file {path.name} is truncated or damaged; copy or download it again."
        raise InputError(message)
    if surplus > _MOST_SURPLUS_BYTES:
        message = f"The file {path.name} holds far more than its header declares; check where it comes from."
        raise InputError(message)
    if wrong:
        raise InputError(not_finite_sentence(wrong, path.name))


def not_finite_sentence(count: int, name: str) -> str:
    """The sentence for voxels that are NaN or infinite."""
    return f"The image {name} has {count} voxels that are not finite numbers; export it again."


def _opened(path: Path) -> BinaryIO:
    if first_bytes(path, 2) == _GZIP_MAGIC:
        return cast("BinaryIO", gzip.open(path, "rb"))
    return path.open("rb")


def _byte_order(raw: bytes) -> Literal["<", ">"]:
    return "<" if struct.unpack("<i", raw[:4])[0] == _NIFTI_HEADER_BYTES else ">"


def _item_bytes(raw: bytes, order: str) -> int:
    """Bytes of a voxel; 0 for a type that there is not, which the reading library refuses.

    By its type: what the header says of its bits is not asked by the library, which leaves in the place of missing
    voxels whatever the memory held before.
    """
    (datatype,) = struct.unpack(f"{order}h", raw[70:72])
    return _ITEM_BYTES.get(datatype, 0)


def _check_declared_bytes(path: Path, declared: int) -> None:
    available = path.stat().st_size
    if first_bytes(path, 2) == _GZIP_MAGIC:
        available *= MAX_GZIP_RATIO
    if declared > available:
        message = (
            f"The file {path.name} is truncated: it declares more voxels than it holds; copy or download it again."
        )
        raise InputError(message)


def _first_bytes(path: Path, count: int) -> bytes:
    if first_bytes(path, 2) != _GZIP_MAGIC:
        return first_bytes(path, count)
    try:
        with gzip.open(path, "rb") as stream:
            return stream.read(count)
    except (EOFError, gzip.BadGzipFile, zlib.error):
        message = f"The file {path.name} is truncated or damaged; copy or download it again."
        raise InputError(message) from None


def first_bytes(path: Path, count: int) -> bytes:
    """Up to ``count`` bytes from the beginning of a file, as they lie there.

    Raises:
        OSError: The file cannot be read.
    """
    with path.open("rb") as stream:
        return stream.read(count)
