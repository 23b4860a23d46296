"""NRRD and MetaImage: what their text declares, checked against the bytes that are there before any voxel is read.

Such a header may name the file of its voxels. It is taken only from the header's own folder, or one inside of it: a
header that came with a download must not make the reader open anything else.
"""

from __future__ import annotations

import math
import re
import stat
import zlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath

from BottleneckOODLib.errors import InputError
from BottleneckOODLib.imaging.headers import MAX_GZIP_RATIO, MAX_VOXELS, check_size, first_bytes

_MOST_HEADER_BYTES = 1 << 20
_META_ITEM_BYTES = {
    "CHAR": 1, "UCHAR": 1, "SHORT": 2, "USHORT": 2, "INT": 4, "UINT": 4, "LONG": 4, "ULONG": 4, "LONG_LONG": 8,
    "ULONG_LONG": 8, "FLOAT": 4, "DOUBLE": 8,
}  # fmt: skip
_NRRD_ITEM_BYTES = {
    1: ("signed char", "int8", "int8_t", "uchar", "unsigned char", "uint8", "uint8_t"),
    2: ("short", "short int", "signed short", "signed short int", "int16", "int16_t", "ushort", "unsigned short",
        "unsigned short int", "uint16", "uint16_t"),
    4: ("int", "signed int", "int32", "int32_t", "uint", "unsigned int", "uint32", "uint32_t", "float"),
    8: ("longlong", "long long", "long long int", "signed long long", "signed long long int", "int64", "int64_t",
        "ulonglong", "unsigned long long", "unsigned long long int", "uint64", "uint64_t", "double"),
}  # fmt: skip
_TEXT_ENCODINGS = ("ascii", "text", "txt")
_RAW_ENCODINGS = ("raw",)
_META_FIELD = re.compile(r"\s*(\w+)[ \t]*[=:][\s=:]*(.*)", re.ASCII)
_META_DATA = "ElementDataFile"
_META_CHECKED = ("NDims", "DimSize", "ElementType", "ElementNumberOfChannels", "CompressedData", "CompressedDataSize")
_BLOCK_BYTES = 1 << 22
_NRRD_FIELD = re.compile(r"([^:#]+):\s(.*)")
_MOST_DIGITS = 19
_LONGEST_FIELD = 300
"""Nine numbers of full precision take 200. The reading library ends the program as it complains of much longer ones."""


def check_nrrd_header(path: Path) -> tuple[str, ...]:
    """Check a NRRD header for what the reading library would silently replace, or believe.

    Returns:
        Warnings: what it had to guess.

    Raises:
        InputError: A spacing, direction or origin is not a finite number, more is declared than there is, or the voxels
            lie elsewhere or in several files.

    Source:
        https://teem.sourceforge.net/nrrd/format.html
    """
    fields, end = _nrrd_fields(path)
    place = [fields.get(name, "") for name in ("spacings", "spacedirections", "spaceorigin")]
    if any(word in text for text in place for word in ("nan", "inf")):
        message = f"The voxel spacing or position of {path.name} is zero or not a number; export the image again."
        raise InputError(message)
    named = fields.get("datafile", "")
    data = _beside(path, named) if named else path
    values = _product(fields.get("sizes", ""), path)
    item = next((size for size, kinds in _NRRD_ITEM_BYTES.items() if fields.get("type", "") in kinds), None)
    if values is not None and values > MAX_VOXELS:
        check_size(tuple(int(n) for n in fields["sizes"].split()), path.name)
    if values is not None and item is not None:
        available = data.stat().st_size - (0 if named else end)
        encoding = fields.get("encoding", "")
        if encoding in _TEXT_ENCODINGS:
            # A digit and a space.
            declared = 2 * values - 1
        elif encoding == "hex":
            declared = 2 * values * item
        else:
            declared = values * item
            available *= 1 if encoding in _RAW_ENCODINGS else MAX_GZIP_RATIO
        _check_declared(declared, available, data)
    if not place[0] and not place[1]:
        return (f"The file {path.name} does not say how large its voxels are; 1 mm was taken.",)
    return ()


def check_meta_header(path: Path) -> None:
    """Check a MetaImage's header against the bytes that are there.

    The reading library takes packed voxels that are damaged or end too early, and leaves in their place whatever the
    memory held before: perhaps another image. So they are unpacked once as a stream, in constant memory.

    Raises:
        InputError: The file of its voxels is missing, named twice, lies elsewhere, is damaged, or is shorter than the
            header declares; the voxels lie in several files; or that is no volume.

    Source:
        https://itk.org/Wiki/ITK/MetaIO/Documentation
    """
    fields, end = _meta_fields(path)
    named = fields.get(_META_DATA, "")
    # What is missing in a line is taken from the next one by the reading library.
    if not named or fields.get("NDims", "") != str(len(fields.get("DimSize", "").split())):
        raise InputError(_damaged(path))
    local = named.upper() == "LOCAL"
    _check_last_field(path, end)
    values = _product(fields.get("DimSize", ""), path)
    if values is not None:
        check_size(tuple(int(n) for n in fields["DimSize"].split()), path.name)
    data = path if local else _beside(path, named)
    available = data.stat().st_size - (end if local else 0)
    item = _META_ITEM_BYTES.get(fields.get("ElementType", "").removeprefix("MET_").removesuffix("_ARRAY"))
    channels = _product(fields.get("ElementNumberOfChannels", "1"), path) or 1
    declared = None if values is None or item is None else values * item * channels
    if fields.get("CompressedData", "").lower() == "true":
        packed = _product(fields.get("CompressedDataSize", "0"), path)
        if packed == 0 and not local:
            # As the reading library has it: without a size, all of a file of their own.
            packed = available
        # A size that is none counts as more than there is.
        _check_declared(packed or available + 1, available, data)
        _check_declared(declared or 0, available * MAX_GZIP_RATIO, data)
        _check_packed(data, end if local else 0, packed or 0, declared)
    elif declared is not None:
        _check_declared(declared, available, data)


def detached_file(path: Path) -> Path | None:
    """The other file that holds the voxels of a header; None where they lie in its own, or it does not say.

    Raises:
        InputError: They lie outside of the header's folder, in several files, or are missing.
        OSError: The header cannot be read.
    """
    named = data_file_named(path)
    return _beside(path, named) if named else None


def data_file_named(path: Path) -> str:
    """What a header calls the other file that holds its voxels; empty where they lie in its own, or it does not say.

    Raises:
        InputError: The header is damaged.
        OSError: It cannot be read.
    """
    name = path.name.lower()
    if name.endswith((".nrrd", ".nhdr")):
        named = _nrrd_fields(path)[0].get("datafile", "")
    elif name.endswith((".mha", ".mhd")):
        named = _meta_fields(path)[0].get(_META_DATA, "")
        named = "" if named.upper() == "LOCAL" else named
    else:
        named = ""
    return named


def _nrrd_fields(path: Path) -> tuple[Mapping[str, str], int]:
    """Fields by name, both in lower case, names without spaces; and how many bytes the header takes."""
    start = first_bytes(path, _MOST_HEADER_BYTES)
    fields: dict[str, str] = {}
    end = 0
    # As bytes: text has more ends of a line than the reading library knows, and would hide or show a field.
    for row in start.splitlines(keepends=True):
        end += len(row)
        line = row.rstrip(b"\r\n").decode("latin-1")
        if not line:
            return fields, end
        if len(line) > _LONGEST_FIELD and line[:1] != "#" and ":=" not in line and not line.startswith("content:"):
            message = f"The header of {path.name} is damaged: a line is longer than any field is; export it again."
            raise InputError(message)
        if field := _NRRD_FIELD.match(line):
            name = field[1].lower().replace(" ", "")
            if name in fields:
                raise InputError(_damaged(path))
            # The name of a file keeps its capitals.
            fields[name] = field[2].strip() if name == "datafile" else field[2].strip().lower()
    if len(start) == _MOST_HEADER_BYTES:
        raise InputError(_too_long(path))
    return fields, end


def _meta_fields(path: Path) -> tuple[Mapping[str, str], int]:
    """Fields by name, and how many bytes the header takes."""
    start = first_bytes(path, _MOST_HEADER_BYTES)
    fields: dict[str, str] = {}
    end = 0
    # The reading library ends a line here alone.
    for row in start.split(b"\n"):
        end += len(row) + 1
        if field := _META_FIELD.match(row.decode("latin-1")):
            if field[1] in fields and field[1] in _META_CHECKED:
                raise InputError(_damaged(path))
            fields[field[1]] = field[2].strip()
            if field[1] == _META_DATA:
                return fields, min(end, len(start))
    if len(start) == _MOST_HEADER_BYTES:
        raise InputError(_too_long(path))
    return fields, len(start)


def _check_last_field(path: Path, end: int) -> None:
    """Refuse a header that names the file of its voxels twice, however that is hidden.

    A line without all of its numbers, or without any value, swallows the next one in the reading library, which would
    then take the second.
    """
    wanted = _META_DATA.encode("ascii")
    with path.open("rb") as stream:
        found = stream.read(end).count(wanted)
        kept = b""
        while found == 1 and (block := stream.read(_BLOCK_BYTES)):
            found += wanted in kept + block
            kept = block[-len(wanted) :]
    if found != 1:
        raise InputError(_damaged(path))


def _damaged(path: Path) -> str:
    return f"The header of {path.name} is damaged; export the image again."


def _too_long(path: Path) -> str:
    return f"The header of {path.name} is longer than that of a scan; check where it comes from."


def _product(text: str, path: Path) -> int | None:
    """How many values whole numbers in a row make; None where it is something else, which the library judges."""
    words = text.split()
    if any(len(word) > _MOST_DIGITS for word in words):
        raise InputError(_damaged(path))
    if not words or not all(word.isascii() and word.isdecimal() for word in words):
        return None
    return math.prod(int(word) for word in words)


def _check_declared(declared: int, available: int, data: Path) -> None:
    if declared > available:
        raise InputError(_missing(data))


def _missing(data: Path) -> str:
    return f"The file {data.name} is truncated or damaged: voxels are missing; copy or download it again."


def _check_packed(data: Path, begin: int, packed: int, declared: int | None) -> None:
    """Refuse packed voxels, so many bytes from ``begin`` on, that do not end or are not as many as declared."""
    # zlib or gzip, as the stream says.
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 32)
    unpacked = 0
    with data.open("rb") as stream:
        stream.seek(begin)
        try:
            while not unpacker.eof and (block := stream.read(min(packed, _BLOCK_BYTES))):
                packed -= len(block)
                while block and not unpacker.eof and unpacked <= (declared or 0):
                    unpacked += len(unpacker.decompress(block, _BLOCK_BYTES))
                    block = unpacker.unconsumed_tail
        except zlib.error:
            raise InputError(_missing(data)) from None
    if not unpacker.eof or unpacked != declared:
        raise InputError(_missing(data))


def _beside(path: Path, named: str) -> Path:
    """The file that a header names, when it is one plain file in the header's folder or inside of it."""
    if named.startswith("LIST") or "%" in named:
        message = f"The voxels of {path.name} lie in several files, which is not supported; save it as one file."
        raise InputError(message)
    windows = PureWindowsPath(named)
    if windows.drive or windows.root or PurePosixPath(named).is_absolute() or ".." in windows.parts:
        message = (
            f"The file {path.name} says that its voxels lie in another folder, and was not read; put both files into "
            "one folder, and name the second without its path."
        )
        raise InputError(message)
    data = path.parent / named
    try:
        plain = stat.S_ISREG(data.stat().st_mode)
    except (OSError, ValueError):
        plain = False
    if not plain:
        shown = named if len(named) <= 100 else f"{named[:100]}..."  # noqa: PLR2004 - signs
        message = f"The voxels of {path.name} lie in {shown}, which is missing; copy both files."
        raise InputError(message)
    return data
