"""Seeded mutations of sound files: what damage, carelessness and malice make of them."""

from __future__ import annotations

import copy
import gzip
import json
import random
import re
import struct
import zlib
from typing import Any

HEADER_BYTES = 700
EXTREME_NUMBERS: tuple[Any, ...] = (
    0, -1, 1, 2, 255, 2**15, 2**31 - 1, 2**31, 2**32, 2**63, 2**64, -(2**63), 10**19, 10**400, 0.5, -0.0, 1e-310, 1e308,
    -1e308, float("nan"), float("inf"), float("-inf"),
)  # fmt: skip
EXTREME_TEXTS = (
    "", " ", "\0", "nan", "../../../etc/passwd", "/etc/passwd", "C:\\x", "\\\\host\\share", "\ud800", "x" * 5000,
    "9" * 5000, "%s%n", "\u202e", "'; DROP TABLE cases; --", "<script>", "=1+1", "[" * 500, "\N{SUPERSCRIPT TWO}",
)  # fmt: skip
EXTREME_VALUES: tuple[Any, ...] = (*EXTREME_NUMBERS, *EXTREME_TEXTS, None, True, False, [], {}, [[]], {"": None})
TEXT_VALUES = (
    "0", "-1", "1", "2", "3.5", "65536", "2147483647", "2147483648", "4294967296", "18446744073709551616", "1e400",
    "1e-310", "nan", "-nan", "inf", "9" * 5000, "", "x", "0 0 0", "-1 -1 -1", "1 1 1", "40000 40000 2",
    "2147483648 2 2", "1 2", "1 2 3 4 5 6 7 8 9 10", "nan nan nan", "inf 1 1", "1e-310 1 1",
    "(1,0,0) (0,1,0) (0,0,0)", "(1,0.5,0) (0,1,0) (0,0,1)", "(nan,0,0) (0,1,0) (0,0,1)", "1 0.5 0 0 1 0 0 0 1",
    "0 0 0 0 0 0 0 0 0", "raw", "gzip", "bzip2", "ascii", "hex", "zrl", "block", "double", "MET_DOUBLE", "MET_OTHER",
    "True", "False", "little", "big", "LOCAL", "LIST", "LIST 3", "/etc/passwd", "/dev/zero", "/dev/stdin",
    "../../x.raw", "x%03d.raw 1 1000000 1", "x%d%s%n.raw 1 3 1", "http://127.0.0.1/x.raw", "C:\\x.raw",
)  # fmt: skip


def mutated_json(text: bytes, rng: random.Random) -> bytes:
    """JSON, or one line of several, with values replaced, removed, doubled, renamed or moved; else damaged bytes."""
    lines = text.split(b"\n")
    if len(lines) > 1 and text[:1] == b"{" and lines[0][-1:] == b"}":
        at = rng.randrange(len(lines))
        return b"\n".join([*lines[:at], mutated_json(lines[at], rng), *lines[at + 1 :]])
    try:
        document = json.loads(text)
        for _ in range(rng.randint(1, 3)):
            document = _edited(document, rng)
        return json.dumps(document, ensure_ascii=rng.random() < 0.5).encode("utf-8", "surrogatepass")
    except (ValueError, RecursionError, TypeError):
        return mutated_bytes(text, rng)


def _places(value: Any, found: list[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in list(items)[:200]:
        found.append((value, key))
        _places(inner, found)
    return found


def _edited(document: Any, rng: random.Random) -> Any:
    document = copy.deepcopy(document)
    places = _places(document, [])
    if not places or rng.random() < 0.01:
        return rng.choice(EXTREME_VALUES)
    holder, key = rng.choice(places)
    kind = rng.randrange(6)
    if kind <= 2:
        holder[key] = _near(holder[key], rng) if kind else rng.choice(EXTREME_VALUES)
    elif kind == 3:
        del holder[key]
    elif kind == 4:
        other, there = rng.choice(places)
        holder[key] = copy.deepcopy(other[there])
    elif isinstance(holder, list):
        holder.extend(copy.deepcopy(holder[key : key + 1]) * rng.choice((1, 2, 50)))
    else:
        holder[str(rng.choice(EXTREME_TEXTS))] = holder.pop(key)
    return document


def _near(value: Any, rng: random.Random) -> Any:
    """Another value of the same kind, which a check of types does not find."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return rng.choice((*EXTREME_NUMBERS, -value, value + 1, value * 1000))
    if isinstance(value, str):
        return rng.choice((*EXTREME_TEXTS, value + "x", value[:-1], value.upper()))
    if isinstance(value, list):
        return value[: len(value) // 2] if rng.random() < 0.5 else list(reversed(value))
    return rng.choice(EXTREME_VALUES)


def mutated_bytes(data: bytes, rng: random.Random, others: tuple[bytes, ...] = ()) -> bytes:
    """Damage to bytes that knows nothing of the format: flips, extreme words, cuts, junk, swaps, splices."""
    raw = bytearray(data)
    if not raw:
        return rng.randbytes(rng.randrange(64))
    kind = rng.randrange(9)
    head = min(len(raw), HEADER_BYTES)
    if kind <= 1:
        for _ in range(rng.choice((1, 1, 2, 8, 64))):
            raw[rng.randrange(head)] ^= 1 << rng.randrange(8)
    elif kind == 2:
        form, size = rng.choice((("h", 2), ("i", 4), ("q", 8), ("f", 4), ("d", 8)))
        at = rng.randrange(max(1, head - size)) // size * size
        raw[at : at + size] = _packed(rng.choice("<>") + form, rng)
    elif kind == 3:
        return bytes(raw[: rng.randrange(len(raw))])
    elif kind == 4:
        return bytes(raw) + rng.choice((rng.randbytes(rng.randrange(1, 5000)), bytes(3_000_000)))
    elif kind == 5:
        size = rng.choice((2, 4, 8))
        at, count = rng.randrange(head), rng.choice((1, 8, head))
        for start in range(at // size * size, min(len(raw) - size + 1, at + count * size), size):
            raw[start : start + size] = raw[start : start + size][::-1]
    elif kind == 6 and others:
        other, at = rng.choice(others), rng.randrange(len(raw))
        return bytes(raw[:at]) + other[rng.randrange(max(1, len(other))) :]
    elif kind == 7:
        at, count = rng.randrange(head), rng.randrange(1, 200)
        del raw[at : at + count]
    else:
        at, count = rng.randrange(head), rng.randrange(1, 200)
        raw[at:at] = raw[at : at + count] if rng.random() < 0.5 else bytes(count)
    return bytes(raw)


def _packed(form: str, rng: random.Random) -> bytes:
    number = rng.choice(EXTREME_NUMBERS)
    try:
        return struct.pack(form, number if form[-1] in "fd" else int(number))
    except (struct.error, OverflowError, ValueError):
        return b"\xff" * struct.calcsize(form)


_NIFTI_FIELDS = (
    (0, "i", 1), (40, "h", 8), (70, "h", 1), (72, "h", 1), (76, "f", 8), (108, "f", 1), (112, "f", 2), (123, "b", 1),
    (252, "h", 2), (256, "f", 6), (280, "f", 12), (344, "b", 4), (348, "b", 4),
)  # fmt: skip


def mutated_nifti(data: bytes, rng: random.Random, others: tuple[bytes, ...] = ()) -> bytes:
    """A NIfTI-1 file, compressed or not, with a field at an extreme, in the other order of bytes, or damaged."""
    packed = data[:2] == b"\x1f\x8b"
    try:
        raw = bytearray(gzip.decompress(data) if packed else data)
    except (OSError, EOFError, zlib.error):
        return mutated_bytes(data, rng, others)
    if rng.random() < 0.6:
        for _ in range(rng.choice((1, 1, 2, 4))):
            at, form, count = rng.choice(_NIFTI_FIELDS)
            at += rng.randrange(count) * struct.calcsize(form)
            value = _packed(rng.choice("<<<>") + form, rng)
            raw[at : at + len(value)] = value
        mutated = bytes(raw)
    else:
        mutated = mutated_bytes(bytes(raw), rng, others)
    if not packed:
        return mutated
    again = gzip.compress(mutated, 1)
    return mutated_bytes(again, rng) if rng.random() < 0.2 else again


_FIELD = re.compile(rb"^([\w ]+?)(\s*[:=]+\s*)(.*)$", re.MULTILINE)


def mutated_text_header(data: bytes, rng: random.Random, others: tuple[bytes, ...] = ()) -> bytes:
    """An NRRD or MetaImage file with a field at an extreme, missing, doubled or strange, or damaged."""
    fields = list(_FIELD.finditer(data[:2000]))
    if not fields or rng.random() < 0.3:
        return mutated_bytes(data, rng, others)
    for _ in range(rng.choice((1, 1, 2, 3))):
        fields = list(_FIELD.finditer(data[:2000]))
        if not fields:
            break
        field = rng.choice(fields)
        name, between, value = field.groups()
        kind = rng.randrange(6)
        new = rng.choice(TEXT_VALUES).encode()
        line = (
            b"" if kind == 0
            else name + between + value + b"\n" + name + between + new if kind == 1
            else name + between + value.replace(b"1", b"0", 1) if kind == 2
            else name + between + new
        )  # fmt: skip
        data = data[: field.start()] + line + data[field.end() :]
    return data


def mutated_archive(data: bytes, rng: random.Random, others: tuple[bytes, ...] = ()) -> bytes:
    """A ZIP file with its directory, which lies at the end, damaged as well as its beginning."""
    if rng.random() < 0.5:
        return mutated_bytes(data, rng, others)
    tail = min(len(data), 400)
    return data[:-tail] + mutated_bytes(data[-tail:], rng)


def mutated_tensors(data: bytes, rng: random.Random, others: tuple[bytes, ...] = ()) -> bytes:
    """A safetensors file with a changed description, with its length put right; or damaged."""
    (length,) = struct.unpack("<Q", data[:8].ljust(8, b"\0"))
    kind = rng.randrange(8)
    if kind == 0 or length > len(data):
        return mutated_bytes(data, rng, others)
    if kind == 1:
        lengths = (0, 1, max(0, length - 1), length + 1, len(data), 2**31, 2**62, 2**64 - 1)
        return struct.pack("<Q", rng.choice(lengths)) + data[8:]
    header = data[8 : 8 + length]
    if kind == 2:
        header = header.replace(b'"data_offsets":[0,', b'"data_offsets":[%d,' % rng.choice((1, 7, 2**40, 10**30)), 1)
    elif kind == 3:
        names = re.findall(rb'"([^"]+)":\{', header)
        if names:
            header = header.replace(rng.choice(names), rng.choice(names))
    elif kind == 4:
        kinds = (b'"F8"', b'"BF16"', b'"F8_E4M3"', b'"C64"', b'"pickle"', b'"F32"', b"64")
        header = header.replace(b'"F64"', rng.choice(kinds), 1)
    else:
        header = mutated_json(header, rng)
    return struct.pack("<Q", len(header)) + header + data[8 + length :]


def deflated(data: bytes) -> bytes:
    """As DICOM's deflated transfer syntax stores a data set."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()
