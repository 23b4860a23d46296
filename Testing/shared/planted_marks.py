"""Texts that stand nowhere else, to be planted in headers and names, and looked for in whatever was written or said."""

from __future__ import annotations

import gzip
import re
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet

TEXTS = {"PN", "LO", "SH", "LT", "ST", "UT", "UC", "UR", "AE", "CS", "DA", "TM", "DT", "UI"}
"""DICOM's types that hold text."""
_MARK = re.compile(
    rb"ZQ\d{5}K|1\.2\.826\.0\.1\.3680043\.8\.498\.7777\.\d+|(?<!\d)11[01]\d(?:0[1-9]|1[0-2])(?:0[1-9]|1\d|2[0-8])(?!\d)|101112\.9\d{5}"
)


def mark(vr: str, number: int) -> str:
    """A text of a type that stands nowhere else."""
    if vr == "UI":
        return f"1.2.826.0.1.3680043.8.498.7777.{number}"
    if vr == "TM":
        return f"101112.9{number:05d}"
    date = f"{1100 + number // 336:04d}{number // 28 % 12 + 1:02d}{number % 28 + 1:02d}"
    return {"DA": date, "DT": f"{date}101112.9{number:05d}", "PN": f"ZQ{number:05d}K^ANNA"}.get(vr, f"ZQ{number:05d}K")


def everything(path: Path) -> Iterator[bytes]:
    """The bytes of a file, and those that are packed in it."""
    raw = path.read_bytes()
    yield raw
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                yield name.encode() + archive.read(name)
    if raw.startswith(b"\x1f\x8b"):
        yield gzip.decompress(raw)
    if path.suffix == ".parquet":
        yield repr(pyarrow.parquet.read_table(path).to_pylist()).encode()
    if path.name.endswith((".nrrd", ".mha")):
        yield zlib.decompress(raw.partition(b"\n\n")[2], wbits=47)
    if raw.startswith(b"\x89PNG"):
        for text in re.finditer(rb"(?:zTXt|iTXt)", raw):
            yield raw[text.start() : text.start() + 4096]


def marks_in(raw: bytes) -> list[bytes]:
    """The marks in some bytes, texts of two bytes a sign among them."""
    return _MARK.findall(raw) + _MARK.findall(raw.replace(b"\0", b""))
