"""Finding the folder of a trained nnU-Net, and unpacking one that came as a ZIP file without trusting it."""

from __future__ import annotations

import lzma
import stat
import struct
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO

from BottleneckOODLib.errors import ModelError
from BottleneckOODLib.imaging.reading import safe_name
from BottleneckOODLib.model.nnunet_plans import DATASET_FILE, PLANS_FILE

MAX_FILES = 2_000
MAX_BYTES = 20_000_000_000
MAX_RATIO = 200
_DEEPEST = 4
_BLOCK = 1 << 20
_RATIO_COUNTS_FROM = 10_000_000
_LONGEST_SHOWN = 100
_DAMAGED = (
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    OverflowError,
)


def extracted(archive: Path, into: Path) -> None:
    """Unpack a ZIP file into an empty folder.

    Args:
        archive: The file. Not modified.
        into: Where to; what is written is what was counted, whatever the file says of its sizes.

    Raises:
        ModelError: It is damaged, no ZIP file, has a name that leads elsewhere, a link, or more than is reasonable.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            members = opened.infolist()
            _check(archive, members)
            written = 0
            for member in members:
                if not member.is_dir():
                    path = into / PurePosixPath(member.filename)
                    path.parent.mkdir(parents=True, exist_ok=True)
                    with path.open("wb") as target:
                        written += _copied(opened, member, target, MAX_BYTES - written)
    except _DAMAGED:
        message = f"The file {archive} cannot be unpacked as ZIP; it may be cut off: download or copy it again."
        raise ModelError(message) from None


def trained_folder(root: Path) -> Path:
    """The folder with ``plans.json``, ``dataset.json`` and folds, at ``root`` or some levels below.

    Raises:
        ModelError: There is none, or several.
    """
    if not root.is_dir():
        message = f"The folder {root} was not found; give the folder of a trained nnU-Net model."
        raise ModelError(message)
    level = [root]
    for _ in range(_DEEPEST):
        found = sorted(folder for folder in level if (folder / PLANS_FILE).is_file() and any(folder.glob("fold_*")))
        if len(found) > 1:
            names = ", ".join(folder.relative_to(root).as_posix() for folder in found[:5])
            message = f"The folder {root} holds several trained models ({names}); give one of them."
            raise ModelError(message)
        if found:
            if not (found[0] / DATASET_FILE).is_file():
                message = f"The folder {found[0]} has no {DATASET_FILE}; copy the trained model again."
                raise ModelError(message)
            return found[0]
        level = [path for folder in level for path in folder.iterdir() if path.is_dir() and not path.is_symlink()]
    message = (
        f"The folder {root} is no trained nnU-Net v2 model: it has no {PLANS_FILE} beside fold_0; give the folder that "
        "nnU-Net's training or TotalSegmentator's download made."
    )
    raise ModelError(message)


def _check(archive: Path, members: list[zipfile.ZipInfo]) -> None:
    if len(members) > MAX_FILES:
        message = f"The file {archive} holds {len(members)} files, more than a trained model has; check its source."
        raise ModelError(message)
    seen: set[str] = set()
    folders: set[str] = set()
    for member in members:
        path = PurePosixPath(member.filename.replace("\\", "/"))
        outside = path.is_absolute() or ".." in path.parts or ":" in member.filename
        kind = stat.S_IFMT(member.external_attr >> 16)
        if outside or kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            message = f"The file {archive} has an entry that leads outside ({_shown(path)}) and was not unpacked."
            raise ModelError(message)
        if not path.parts or any(safe_name(part) != part for part in path.parts):
            message = f"The file {archive} has an entry that can be no file ({_shown(path)}) and was not unpacked."
            raise ModelError(message)
        # On many systems names that differ in case alone are one file; on every one a file is no folder.
        name = path.as_posix().casefold()
        if member.is_dir():
            folders.add(name)
        elif name in seen:
            message = f"The file {archive} holds {_shown(path)} twice and was not unpacked; check its source."
            raise ModelError(message)
        else:
            seen.add(name)
        folders.update(parent.as_posix().casefold() for parent in path.parents)
    if clash := sorted(seen & folders):
        message = f"The file {archive} holds {clash[0]!a} as file and as folder and was not unpacked; check its source."
        raise ModelError(message)
    total = sum(member.file_size for member in members)
    # Not what the entries say of themselves: several may share the same bytes.
    packed = archive.stat().st_size
    if total > MAX_BYTES or (total > _RATIO_COUNTS_FROM and total > MAX_RATIO * max(packed, 1)):
        message = f"The file {archive} would unpack to {total / 1e9:.1f} GB and was not unpacked; check its source."
        raise ModelError(message)


def _shown(path: PurePosixPath) -> str:
    return ascii(str(path)[:_LONGEST_SHOWN]).strip("'")


def _copied(opened: zipfile.ZipFile, member: zipfile.ZipInfo, target: BinaryIO, at_most: int) -> int:
    written = 0
    with _reading(opened, member) as source:
        while block := _block(source):
            written += len(block)
            if written > min(at_most, member.file_size):
                message = f"The file {opened.filename} unpacks to more than it says, and was not taken."
                raise ModelError(message)
            target.write(block)
    return written


def _reading(opened: zipfile.ZipFile, member: zipfile.ZipInfo) -> IO[bytes]:
    try:
        return opened.open(member)
    except OSError:
        # A place that lies before the file's beginning.
        raise zipfile.BadZipFile from None


def _block(source: IO[bytes]) -> bytes:
    try:
        return source.read(_BLOCK)
    except OSError:
        raise zipfile.BadZipFile from None
