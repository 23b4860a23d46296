"""What a file's header declares, read from its first bytes and checked before any voxel is."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np

from BottleneckOODLib.errors import InputError
from BottleneckOODLib.imaging.volume import DIRECTION_TOLERANCE

MAX_VOXELS = 1_500_000_000
"""More than any scan of one patient; such a volume would need 6 GB as float32."""
_NIFTI_HEADER_BYTES = 348
_GZIP_MAGIC = b"\x1f\x8b"
_VOLUME_DIMENSIONS = 3
_MIN_SLICES = 2
_MAX_GZIP_RATIO = 1100


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


def check_nifti_header(path: Path) -> None:
    """Check a NIfTI-1 header for what the reading library would silently repair.

    Raises:
        InputError: It is no NIfTI file, truncated, not one volume, larger than its file, sheared, or of zero spacing.
    """
    raw = _first_bytes(path, _NIFTI_HEADER_BYTES)
    if len(raw) < _NIFTI_HEADER_BYTES or raw[344:347] not in (b"n+1", b"ni1"):
        message = f"The file {path.name} is not a NIfTI image; check that the right file was chosen."
        raise InputError(message)
    order = "<" if struct.unpack("<i", raw[:4])[0] == _NIFTI_HEADER_BYTES else ">"
    dimensions = struct.unpack(f"{order}8h", raw[40:56])
    if not 1 <= dimensions[0] <= len(dimensions) - 1 or min(dimensions[1 : dimensions[0] + 1]) < 0:
        message = f"The header of {path.name} is damaged; export the image again."
        raise InputError(message)
    size = tuple(dimensions[1 : dimensions[0] + 1])
    check_size(size, path.name)
    (bits,) = struct.unpack(f"{order}h", raw[72:74])
    spacing = struct.unpack(f"{order}8f", raw[76:108])[1:4]
    if not all(math.isfinite(s) and s != 0 for s in spacing):
        message = f"The voxel spacing of {path.name} is zero or not a number; export the image again."
        raise InputError(message)
    (vox_offset,) = struct.unpack(f"{order}f", raw[108:112])
    if not math.isfinite(vox_offset):
        message = f"The header of {path.name} is damaged; export the image again."
        raise InputError(message)
    _check_declared_bytes(path, math.prod(size) * max(bits, 0) // 8)
    _check_affine(raw, order, path.name)


def _check_affine(raw: bytes, order: str, name: str) -> None:
    _qform_code, sform_code = struct.unpack(f"{order}2h", raw[252:256])
    if sform_code <= 0:
        return
    rows = np.array(struct.unpack(f"{order}12f", raw[280:328]), dtype=np.float64).reshape(3, 4)
    lengths = np.linalg.norm(rows[:, :3], axis=0)
    if not np.isfinite(rows).all() or (lengths <= 0).any():
        message = f"The voxel spacing or position of {name} is zero or not a number; export the image again."
        raise InputError(message)
    axes = rows[:, :3] / lengths
    if np.abs(axes.T @ axes - np.eye(3)).max() > DIRECTION_TOLERANCE:
        message = f"The image {name} has axes that are not perpendicular (sheared); resample it to a regular grid."
        raise InputError(message)


def check_gzip(path: Path) -> None:
    """Refuse a damaged or implausibly compressed gzip file, reading it as a stream in constant memory.

    Raises:
        InputError: It is truncated, damaged, or unpacks to far more than its size allows.
    """
    if _first_bytes_raw(path, 2) != _GZIP_MAGIC:
        return
    limit = min(path.stat().st_size * _MAX_GZIP_RATIO, MAX_VOXELS * 8)
    unpacked = 0
    try:
        with gzip.open(path, "rb") as stream:
            while block := stream.read(1 << 22):
                unpacked += len(block)
                if unpacked > limit:
                    message = f"The file {path.name} unpacks to more than a scan can have; check where it comes from."
                    raise InputError(message)
    except (EOFError, gzip.BadGzipFile, zlib.error):
        message = f"The file {path.name} is truncated or damaged; copy or download it again."
        raise InputError(message) from None


def _check_declared_bytes(path: Path, declared: int) -> None:
    available = path.stat().st_size
    if _first_bytes_raw(path, 2) == _GZIP_MAGIC:
        # Deflate cannot pack tighter than this.
        available *= _MAX_GZIP_RATIO
    if declared > available:
        message = (
            f"The file {path.name} is truncated: it declares more voxels than it holds; copy or download it again."
        )
        raise InputError(message)


def _first_bytes(path: Path, count: int) -> bytes:
    if _first_bytes_raw(path, 2) != _GZIP_MAGIC:
        return _first_bytes_raw(path, count)
    try:
        with gzip.open(path, "rb") as stream:
            return stream.read(count)
    except (EOFError, gzip.BadGzipFile, zlib.error):
        message = f"The file {path.name} is truncated or damaged; copy or download it again."
        raise InputError(message) from None


def _first_bytes_raw(path: Path, count: int) -> bytes:
    with path.open("rb") as stream:
        return stream.read(count)
