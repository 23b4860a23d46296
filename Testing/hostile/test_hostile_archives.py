"""200 archives that are made to do harm: nothing is written outside of the target folder, and no limit is passed."""

from __future__ import annotations

import io
import itertools
import stat
import struct
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from BottleneckOODLib.errors import ModelError
from BottleneckOODLib.model import nnunet_archive
from BottleneckOODLib.model.nnunet_archive import extracted

SOUND = ("plans.json", "dataset.json", "fold_0/checkpoint_final.pth")
ELSEWHERE = (
    "../out", "../../out", "a/../../out", "a/b/../../../out", "/out", "//out", "///tmp/out", "./../out", "..", "../",
    "a/..", "C:/out", "C:out", "c:\\out", "D:", "\\\\host\\share\\out", "//host/share/out", "\\\\?\\C:\\out",
    "\\\\.\\PhysicalDrive0", "..\\out",
    "a\\..\\..\\out", "\\out", "a/..\\../out", "file:///out", "plans.json:stream", "~/../out", "a/b/c/../../../../out",
)  # fmt: skip
NO_FILES = (
    "NUL", "con", "aux.json", "COM1", "lpt9.txt", "a/nul", "a/CON.pth", "name.", "name ", "a./b", "a /b", "a\tb",
    "a\nb", "a\x1b[2Jb",
    "what?", "a*b", "a|b", "a<b", 'a"b', "x" * 300, "a/" + "y" * 200, "\x7f", "\x01", "COM2.weights", "prn",
)  # fmt: skip
KINDS = {
    "a link": stat.S_IFLNK, "a block device": stat.S_IFBLK, "a character device": stat.S_IFCHR, "a pipe": stat.S_IFIFO,
    "a socket": stat.S_IFSOCK,
}  # fmt: skip


# A machine may have a folder of the second name itself.
OUTSIDE = (Path("/etc/passwd"), Path("/out"))


def archive_of(*entries: tuple[str | zipfile.ZipInfo, bytes], packed: int = zipfile.ZIP_DEFLATED) -> bytes:
    made = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(made, "w", packed) as archive:
        warnings.simplefilter("ignore")
        for name, content in entries:
            archive.writestr(name, content)
    return made.getvalue()


def named(name: str) -> zipfile.ZipInfo:
    """An entry of exactly this name, whatever the library would make of it."""
    entry = zipfile.ZipInfo("x")
    entry.filename = name
    return entry


def patched(raw: bytes, places: str, value: bytes) -> bytes:
    """Replace a field of the first entry, in its own header and in the directory."""
    fields = {"flags": (6, 8), "method": (8, 10), "packed": (18, 20), "size": (22, 24), "name": (26, 28)}
    local, central = fields[places]
    directory = raw.index(b"PK\x01\x02")
    out = bytearray(raw)
    out[local : local + len(value)] = value
    out[directory + central : directory + central + len(value)] = value
    return bytes(out)


def overlapping(copies: int) -> bytes:
    """One packed megabyte, to which many entries point."""
    raw = archive_of(("a", bytes(1_000_000)))
    body, directory = raw[: raw.index(b"PK\x01\x02")], raw[raw.index(b"PK\x01\x02") : raw.rindex(b"PK\x05\x06")]
    entries = b"".join(directory[:46] + struct.pack("<B", 33 + n % 90) + directory[47:] for n in range(copies))
    end = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, copies, copies, len(entries), len(body), 0)
    return body + entries + end


def archives() -> Iterator[tuple[str, bytes]]:
    sound = [(name, b"{}") for name in SOUND]
    for name, first in itertools.product(ELSEWHERE, (True, False)):
        bad = (named(name), b"escaped")
        yield f"elsewhere {name!r} {first}", archive_of(*([bad, *sound] if first else [*sound, bad]))
    for name, first in itertools.product(NO_FILES, (True, False)):
        bad = (named(name), b"content")
        yield f"no file {name!r} {first}", archive_of(*([bad, *sound] if first else [*sound, bad]))
    for (kind, mode), target in itertools.product(KINDS.items(), (b"/etc/passwd", b"../../out", b"plans.json")):
        entry = zipfile.ZipInfo("entry")
        entry.external_attr = (mode | 0o777) << 16
        yield f"{kind} to {target!r}", archive_of((entry, target), (named("entry/out"), b"escaped"))
    for one, other in (
        ("plans.json", "plans.json"), ("plans.json", "PLANS.JSON"), ("a/b", "A/B"), ("a", "a/b"), ("a/b", "a"),
        ("A/b", "a"),
        ("straße", "STRASSE"), ("fold_0", "fold_0/checkpoint_final.pth"),
    ):  # fmt: skip
        yield f"twice {one} {other}", archive_of((named(one), b"1"), (named(other), b"2"))
    for megabytes in (11, 50, 200):
        yield f"a bomb of {megabytes} MB", archive_of(("plans.json", bytes(megabytes << 20)))
        half = bytes(megabytes << 19)
        yield f"two of {megabytes} MB", archive_of(("a", half), ("b", half), packed=zipfile.ZIP_BZIP2)
    inner = archive_of(("inner.zip", archive_of(("a", bytes(50 << 20)))))
    yield "a bomb in a bomb", archive_of(("inner.zip", inner), ("../b", b""))
    yield "too many", archive_of(*((f"f{n}", b"") for n in range(nnunet_archive.MAX_FILES + 1)))
    for copies in (20, 60, 90):
        yield f"{copies} on the same bytes", overlapping(copies)
    raw = archive_of(("plans.json", b"0" * 5000), ("dataset.json", b"1" * 100))
    for size in (0, 1, 4999, 2**31 - 1, 2**32 - 2):
        yield f"says it unpacks to {size}", patched(raw, "size", struct.pack("<I", size))
        yield f"says it is packed to {size}", patched(raw, "packed", struct.pack("<I", size))
    for method in (1, 6, 9, 12, 14, 93, 95, 97, 99, 65535):
        yield f"packed by method {method}", patched(raw, "method", struct.pack("<H", method))
    for flags in (1, 0x41, 0x20, 0x2000):
        yield f"flags {flags}", patched(raw, "flags", struct.pack("<H", flags))
    for length in (0, 1, 3000, 65535):
        yield f"a name of {length}", patched(raw, "name", struct.pack("<H", length))
    for share in (0.0, 0.1, 0.5, 0.9, 0.99):
        yield f"cut at {share}", raw[: int(share * len(raw))]
    for at in range(30, len(raw) - 22, 5):
        yield f"a flipped byte at {at}", raw[:at] + bytes([raw[at] ^ 0xFF]) + raw[at + 1 :]


ARCHIVES = dict(archives())


def test_there_are_two_hundred() -> None:
    assert len(ARCHIVES) >= 200


@pytest.mark.parametrize("name", ARCHIVES)
def test_nothing_is_written_outside(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nnunet_archive, "MAX_BYTES", 100_000_000)
    target = tmp_path / "deep" / "er" / "target"
    target.mkdir(parents=True)
    archive = tmp_path / "model.zip"
    archive.write_bytes(ARCHIVES[name])
    before = [path.stat().st_mtime_ns if path.exists() else 0 for path in OUTSIDE]
    sentence = "Unpacked."
    try:
        extracted(archive, target)
    except ModelError as error:
        sentence = str(error)
    assert sentence.endswith(".")
    assert sentence.isprintable()
    assert len(sentence) < 600
    assert sentence != "Unpacked." or name.startswith(("a flipped byte", "flags", "says it is packed"))
    written = [path for path in tmp_path.rglob("*") if path not in (archive, *target.parents, target)]
    assert all(target in path.parents for path in written)
    assert not any(path.is_symlink() or not (path.is_file() or path.is_dir()) for path in written)
    assert sum(path.stat().st_size for path in written if path.is_file()) < 60_000_000
    assert [path.stat().st_mtime_ns if path.exists() else 0 for path in OUTSIDE] == before


def test_a_sound_archive_is_unpacked(tmp_path: Path) -> None:
    (tmp_path / "model.zip").write_bytes(archive_of(("a model/", b""), *((f"a model/{name}", b"{}") for name in SOUND)))
    (tmp_path / "target").mkdir()
    extracted(tmp_path / "model.zip", tmp_path / "target")
    assert all((tmp_path / "target" / "a model" / name).read_bytes() == b"{}" for name in SOUND)
