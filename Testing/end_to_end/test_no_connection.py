"""No command opens a connection: nothing is sent anywhere."""

from __future__ import annotations

import argparse
import io
import os
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import no_network
import pytest
import SimpleITK as sitk

from BottleneckOODLib.cli.main import build_parser, main
from BottleneckOODLib.imaging import reading_process
from BottleneckOODLib.imaging.volume import Volume, to_sitk
from BottleneckOODLib.model.model_folder import ModelFolder

_START = """
import no_network, pathlib
def tell(what):
    with pathlib.Path({record!r}).open("a") as stream:
        stream.write(what + "\\n")
no_network.forbid(tell)
with pathlib.Path({started!r}).open("a") as stream:
    stream.write("x")
"""


def commands_of(parser: argparse.ArgumentParser, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every verb, and the verbs below it."""
    below = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not below:
        yield words
    for action in below:
        for name, inner in action.choices.items():
            yield from commands_of(inner, (*words, name))


@pytest.mark.parametrize(("host", "within"), [("127.0.0.1", True), ("::1", True), ("198.51.100.7", False)])
def test_only_loopback_is_within(host: str, within: bool) -> None:
    assert no_network.is_within(host) is within


def test_what_would_leave_the_machine_is_refused_and_taken_down() -> None:
    tried: list[str] = []
    before = socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo
    try:
        no_network.forbid(tried.append)
        with pytest.raises(OSError, match="no connection"):
            socket.create_connection(("198.51.100.7", 9), timeout=1)
        with pytest.raises(OSError, match="no connection"):
            socket.getaddrinfo("example.org", 80)
    finally:
        socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo = before
    assert tried == ["getaddrinfo 198.51.100.7", "getaddrinfo example.org"]


def test_no_command_opens_a_connection(
    a_model_with_its_reference: tuple[ModelFolder, Path],
    make_a_body: Callable[[int], Volume],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    model, reference = a_model_with_its_reference
    if model.network_type != "unet":
        pytest.skip("one family is enough")
    scans, site, out, nothing = (tmp_path / name for name in ("scans", "site", "out", "nothing"))
    scans.mkdir(), site.mkdir(), nothing.mkdir()
    body = make_a_body(2000)
    sitk.WriteImage(to_sitk(body.voxels, body.geometry), str(scans / "body.nii.gz"))
    record, started = tmp_path / "record", tmp_path / "started"
    (site / "sitecustomize.py").write_text(_START.format(record=str(record), started=str(started)))
    library, shared = Path(sys.modules["BottleneckOODLib"].__path__[0]).parent, Path(no_network.__file__).parent
    # The processes that read images begin with it; this one is held back as they are.
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(str, (site, shared, library))))
    monkeypatch.setattr(sys, "stdin", io.StringIO("q\n"))
    mine = ["--model", str(model.folder), "--device", "cpu"]
    named = [*mine, "--reference", str(reference)]
    store = ["--store", str(tmp_path / "t.db")]
    reader = [*store, "--reader", "AB"]
    # One that an earlier test has started would not be held back.
    reading_process._own_process.cache_clear()
    # In this order; where the whole of it would take long, as far as what is wrong with the input (2).
    commands: dict[tuple[str, ...], list[tuple[list[str], int]]] = {
        ("assess",): [([str(scans / "body.nii.gz"), "--output", str(out), *named], 0)],
        ("triage",): [
            ([str(scans), *store, "--names", "files", *named], 0),
            (["status", *store], 0),
            (["report", *store, "--output", str(tmp_path / "r.html")], 0),
            (["export", *store, "--output", str(tmp_path / "c.csv")], 0),
            (["drift", *store, *named], 0),
        ],
        ("review", "next"): [(reader, 0)],
        ("review", "show"): [(["body", *store], 0)],
        ("review", "decide"): [(["body", *reader, "--rating", "accept"], 0)],
        ("review", "undo"): [(["body", *reader], 0)],
        ("review", "session"): [(reader, 0)],
        ("review", "agreement"): [(store, 0)],
        ("review", "export"): [([*store, "--output", str(tmp_path / "d.csv")], 0)],
        ("export-dicom",): [([str(out / "body"), "--source", str(scans), "--output", str(tmp_path / "dicom")], 2)],
        ("embed",): [(["--cases", str(scans), "--output", str(tmp_path / "embedded"), *mine], 0)],
        ("evaluate",): [
            (["--train", str(nothing), "--test", str(nothing), "--performance", "x.csv", "--output", str(out)], 2)
        ],
        ("reference", "build"): [([*mine, "--cases", str(scans), "--output", str(tmp_path / "built")], 2)],
        ("reference", "extend"): [
            ([str(reference), *store, "--model", str(model.folder), "--output", str(tmp_path / "two")], 2)
        ],
        ("reference", "list"): [([], 0)],
        ("reference", "show"): [([str(reference)], 0)],
        ("model", "list"): [([], 0)],
        ("model", "show"): [([str(model.folder)], 0)],
        ("model", "add"): [(["nothing", "--bundle", str(nothing)], 2)],
        ("model", "train-demo"): [(["--data", str(nothing), "--output", str(tmp_path / "trained")], 2)],
        ("benchmark",): [(["--data", str(nothing), "--output", str(tmp_path / "measured"), *mine], 2)],
        ("demo",): [(["--output", str(scans / "body.nii.gz")], 2)],
        ("completion",): [(["bash"], 0)],
    }
    assert set(commands) == set(commands_of(build_parser()))
    tried: list[str] = []
    before = socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo
    no_network.forbid(tried.append)
    try:
        for words, runs in commands.items():
            for more, code in runs:
                try:
                    ended = main([*words, *more])
                except SystemExit as exit_:
                    ended = exit_.code
                assert ended == code, (words, more, capsys.readouterr())
    finally:
        socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo = before
    assert tried == []
    assert len(started.read_text()) >= 2
    assert not record.exists(), record.read_text()
