"""Words that no command takes are refused in one sentence, before any work is done, with what may have been meant."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from BottleneckOODLib.cli.main import build_parser, main

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def refused(words: list[str], capsys: Captured) -> str:
    assert main(words) == 2
    said = capsys.readouterr()
    assert said.out == ""
    told = said.err.rstrip("\n")
    assert told.startswith("bottleneck-ood: ")
    assert "\n" not in told, told
    assert "usage" not in told
    return told


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        ("asses ct.nii", ["VERB is asses", "did you mean assess?"]),
        ("review nxt --store t.db", ["ACTION is nxt", "did you mean next?"]),
        ("review decide ct --store t.db --rating rejct", ["--rating is rejct", "did you mean reject?", "minor_edit"]),
        ("review decide ct --store t.db --rating accept --reason bad", ["--reason is bad", "contour_off"]),
        ("triage status --stor t.db", ["no option --stor;", "did you mean --store?"]),
        ("review next --store=t.db --read 2", ["no option --read;", "--help"]),
        ("assess ct.nii", ["--output", "bottleneck-ood assess --help"]),
        ("assess ct.nii --output", ["--output", "expected one argument"]),
        ("assess ct.nii --output o --overwrit=1", ["no option --overwrit;", "did you mean --overwrite?"]),
        ("", ["VERB"]),
        ("triage staus --store t.db", ["staus", "did you mean the word status?"]),
        ("benchmark --data d --output o --resume --overwrite", ["--resume goes on", "give one of the two"]),
        ("evaluate --train a --test b --performance c --output o --resume --overwrite", ["give one of the two"]),
    ],
)
def test_a_wrong_word_is_one_sentence(line: str, parts: list[str], capsys: Captured, here: Path) -> None:
    told = refused(line.split(), capsys)
    for part in parts:
        assert part in told
    assert list(here.iterdir()) == []


@pytest.mark.parametrize(
    "line", ["triage {} --store t.db", "assess {} --output o", "reference build --cases {} --output o", "model show {}"]
)
def test_a_name_that_is_longer_than_any_file_s_is_no_fault_of_the_program(
    line: str, capsys: Captured, here: Path
) -> None:
    told = refused(line.format("x" * 300).split(), capsys)
    assert "xxx" in told
    assert "fault of the program" not in told
    assert len(told) < 400


def test_a_folder_without_images_is_told(here: Path, capsys: Captured) -> None:
    (here / "notes").mkdir()
    (here / "notes" / "a.txt").write_text("no image")
    assert main(["triage", "notes", "--store", "t.db", "--device", "cpu"]) == 0
    assert "note: Nothing in notes is an image" in capsys.readouterr().out


@pytest.mark.parametrize("output", [".", "..", "/"])
def test_a_reference_goes_to_a_folder_with_a_name(output: str, capsys: Captured, here: Path) -> None:
    told = refused(["reference", "build", "--generated", "30", "--output", output, "--overwrite"], capsys)
    assert f"The output {output} has no name of its own" in told
    assert list(here.iterdir()) == []


@pytest.mark.parametrize(
    ("line", "part"),
    [
        ("triage scans --store ~nobody-of-that-name/t.db", "home folder of a user that is not known"),
        ("triage status --store ~nobody-of-that-name/t.db", "home folder of a user that is not known"),
        ("triage scans --store=", "The store has no name"),
        ("review next --reader AB --store=", "The store has no name"),
    ],
)
def test_a_store_that_can_be_no_file_is_one_sentence(line: str, part: str, capsys: Captured, here: Path) -> None:
    (here / "scans").mkdir()
    assert part in refused(line.split(), capsys)
    assert [path.name for path in here.iterdir()] == ["scans"]


def parsers_of(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for one in action.choices.values():
                yield from parsers_of(one)


def test_no_command_takes_a_shortened_option() -> None:
    parsers = list(parsers_of(build_parser()))
    assert len(parsers) > 20
    assert not any(parser.allow_abbrev for parser in parsers)


def test_what_stands_behind_two_dashes_is_no_option(capsys: Captured, here: Path) -> None:
    assert main(["assess", "--output", "out", "--", "--ct.nii"]) == 2
    assert "--ct.nii does not exist" in capsys.readouterr().err


FOLDERS = {
    "assess": "assess no.nii --output {}",
    "triage": "triage no --store t.db --output {}",
    "embed": "embed --cases no --output {}",
    "evaluate": "evaluate --train no --test no --performance no --output {}",
    "benchmark": "benchmark --data no --output {}",
    "reference build": "reference build --cases no --output {}",
    "export-dicom": "export-dicom no --source no --output {}",
}


@pytest.mark.parametrize("place", ["below a file", "a name too long", "not there to write"])
@pytest.mark.parametrize("verb", FOLDERS)
def test_an_output_that_cannot_be_written_is_told_before_anything_is_read(
    verb: str, place: str, capsys: Captured, here: Path
) -> None:
    (here / "file").write_bytes(b"")
    output = {"below a file": "file/out", "a name too long": "x" * 300, "not there to write": "/proc/out"}[place]
    if place == "not there to write" and not Path("/proc/self").exists():
        pytest.skip("this system has no /proc")
    told = refused(FOLDERS[verb].format(output).split(), capsys)
    assert re.search(r"The output (folder )?\S+ (cannot be written|is a file)", told)
    assert [path.name for path in here.iterdir()] == ["file"]


@pytest.mark.parametrize("action", ["report", "export"])
def test_a_file_that_cannot_be_written_is_told_before_the_store_is_read(
    action: str, capsys: Captured, here: Path
) -> None:
    told = refused(["triage", action, "--store", "no.db", "--output", "gone/out.csv"], capsys)
    assert "gone/out.csv cannot be written" in told.replace("\\", "/")


def test_a_file_that_is_no_store_is_told_as_such(capsys: Captured, here: Path) -> None:
    pdf = here / "paper.pdf"
    pdf.write_bytes(b"%PDF-1.7\n" * 200)
    told = refused(["triage", "status", "--store", str(pdf)], capsys)
    assert f"The store {pdf} cannot be opened, because it is none; name a file that" in told
    assert pdf.read_bytes() == b"%PDF-1.7\n" * 200


@pytest.mark.parametrize(
    ("line", "header"),
    [
        ("triage {} --store t.db", "image;label"),
        ("embed --cases {} --output out", "image;label"),
        ("reference build --cases {} --output out", "image\tlabel"),
        ("evaluate --train {0} --test {0} --performance {0} --output out", "filename;DICE_Score"),
    ],
)
def test_a_table_with_semicolons_is_told_as_such(line: str, header: str, capsys: Captured, here: Path) -> None:
    (here / "t.csv").write_text(f"{header}\na.nii;b.nii\n")
    told = refused(line.format("t.csv").split(), capsys)
    assert "save it with commas" in told


def test_a_name_that_a_terminal_would_obey_is_told_in_letters(capsys: Captured, here: Path) -> None:
    told = refused(["assess", "ct\x1b[2J.nii.gz", "--output", "o"], capsys)
    assert "ct\\x1b[2J.nii.gz" in told
    assert "\x1b" not in told


@pytest.mark.skipif(os.name == "nt", reason="Windows takes no such names")
def test_a_name_that_a_terminal_would_obey_is_told_in_letters_among_the_results(here: Path, capsys: Captured) -> None:
    (here / "scans").mkdir()
    (here / "scans" / "ct\x1b[2J.nii.gz").write_text("no image")
    (here / "scans" / "link\x1b[2J").symlink_to(here)
    assert main(["triage", "scans", "--names", "files", "--store", "t.db", "--device", "cpu"]) == 0
    assert main(["review", "show", "ct_[2J", "--store", "t.db"]) == 0
    told = capsys.readouterr().out
    assert told.count("ct\\x1b[2J.nii.gz") == 4
    assert "link\\x1b[2J: it is a link" in told
    assert "\x1b" not in told
