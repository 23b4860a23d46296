"""``reference build`` and ``model train-demo``: what they refuse, and that they stop without a trace."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import pytest

from BottleneckOODLib.cli.main import main
from BottleneckOODLib.logic import BottleneckOODLogic

Captured = pytest.CaptureFixture[str]


def build(output: Path, *arguments: object) -> int:
    return main(["reference", "build", *map(str, arguments), "--output", str(output), "--device", "cpu"])


def interrupt(*_arguments: object, **_options: object) -> NoReturn:
    raise KeyboardInterrupt


def the_one_sentence(capsys: Captured) -> str:
    """What was told besides the progress; exactly one line, and nothing on standard output."""
    said = capsys.readouterr()
    assert said.out == ""
    assert "Traceback" not in said.err
    told = [line for line in said.err.splitlines() if line.startswith("bottleneck-ood: ")]
    assert len(told) == 1, said.err
    assert told[0].endswith(".")
    return told[0]


def a_table(folder: Path, content: bytes) -> Path:
    path = folder / "cases.csv"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"image,case_id\n,one\n", "Line 2 of cases.csv names no image"),
        (b"file\na.nii.gz\n", "Line 2 of cases.csv names no image"),
        (b"image\na.nii.gz\n \n", "Line 3 of cases.csv names no image"),
        ("image\nMüller.nii.gz\n".encode("latin-1"), "cannot be read; give a CSV in UTF-8"),
        (b"image\n", "cases.csv names no image"),
        (b"", "cases.csv names no image"),
    ],
    ids=["empty cell", "no column", "empty line", "not UTF-8", "no cases", "empty file"],
)
def test_a_bad_table_is_one_sentence(content: bytes, sentence: str, tmp_path: Path, capsys: Captured) -> None:
    assert build(tmp_path / "made", "--cases", a_table(tmp_path, content)) == 2
    assert sentence in the_one_sentence(capsys)
    assert not (tmp_path / "made").exists()


def test_a_table_that_is_not_there_is_one_sentence(tmp_path: Path, capsys: Captured) -> None:
    assert build(tmp_path / "made", "--cases", tmp_path / "gone.csv") == 2
    assert "gone.csv does not exist" in the_one_sentence(capsys)


def test_a_folder_without_images_is_one_sentence(tmp_path: Path, capsys: Captured) -> None:
    (tmp_path / "empty").mkdir()
    assert build(tmp_path / "made", "--cases", tmp_path / "empty") == 2
    assert "holds no images" in the_one_sentence(capsys)


@pytest.mark.parametrize(
    "numbers",
    [["--pca", "0"], ["--pca", "-2"], ["--generated", "0"], ["--generated", "-3"], ["--seed", "-1"]],
    ids=" ".join,
)
def test_a_number_that_makes_no_sense_is_one_sentence(numbers: list[str], tmp_path: Path, capsys: Captured) -> None:
    asked = numbers if "--generated" in numbers else [*numbers, "--generated", "1"]
    assert build(tmp_path / "made", *asked) == 2
    the_one_sentence(capsys)
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("numbers", [["--minutes", "nan"], ["--minutes", "-1"], ["--seed", "-1"]], ids=" ".join)
def test_train_demo_refuses_a_number_that_makes_no_sense(
    numbers: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    """A time that is negative or not a number would never be over."""
    from BottleneckOODLib.model import training

    monkeypatch.setattr(training, "_Run", interrupt)
    assert main(["model", "train-demo", "--output", str(tmp_path / "made"), *numbers]) == 2
    the_one_sentence(capsys)


def test_an_existing_folder_is_kept_before_any_work_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "note.txt").write_text("mine")
    monkeypatch.setattr(BottleneckOODLogic, "build_reference", None)
    assert build(tmp_path / "made", "--generated", 30) == 2
    assert "exists already" in the_one_sentence(capsys)
    assert [path.name for path in (tmp_path / "made").iterdir()] == ["note.txt"]


def test_an_interrupt_leaves_no_reference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    monkeypatch.setattr(BottleneckOODLogic, "build_reference", interrupt)
    assert build(tmp_path / "made", "--generated", 30) == 130
    assert "stopped" in the_one_sentence(capsys)
    assert not (tmp_path / "made").exists()


def test_too_few_cases_are_told_with_how_many_could_be_used(a_scan: Path, tmp_path: Path, capsys: Captured) -> None:
    table = a_table(tmp_path, b"image,case_id\nin/a.nii.gz,first\nin/gone.nii.gz,second\n")
    assert build(tmp_path / "made", "--cases", table) == 2
    told = the_one_sentence(capsys)
    assert "at least 20 cases" in told
    assert a_scan.is_file()
    assert not (tmp_path / "made").exists()


def test_the_cases_of_a_table_keep_their_names_and_facts(
    a_scan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: dict[str, dict[str, str]] = {}
    shapes = []

    def take(_logic: object, _name: str, cases: object, **options: object) -> NoReturn:
        for case in cases:  # type: ignore[attr-defined]
            taken[case.case_id] = dict(case.facts)
            volume, truth = case.load()
            shapes.append((volume.voxels.shape, truth))
        assert options["n_cases"] == 20
        raise KeyboardInterrupt

    monkeypatch.setattr(BottleneckOODLogic, "build_reference", take)
    rows = [b"image,case_id,kernel", b"in/a.nii.gz,first,B30f", b"in/a.nii.gz,,"]
    rows += [f"in/a.nii.gz,case-{n},".encode() for n in range(18)]
    table = a_table(tmp_path, b"\n".join(rows))
    assert build(tmp_path / "made", "--cases", table) == 130
    assert taken == {"first": {"kernel": "B30f"}, "a": {}, **{f"case-{n}": {} for n in range(18)}}
    assert shapes == [((40, 60, 80), None)] * 20
    assert a_scan.is_file()


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([b"in/a.nii.gz,"] * 5, "at least 20 cases and 5"),
        ([b"in/a.nii.gz,same"] * 25, "The case name same stands for several cases"),
    ],
)
def test_what_would_be_refused_after_hours_is_refused_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured, rows: list[bytes], sentence: str
) -> None:
    monkeypatch.setattr(BottleneckOODLogic, "build_reference", None)
    table = a_table(tmp_path, b"\n".join([b"image,case_id", *rows]))
    assert build(tmp_path / "made", "--cases", table) == 2
    assert sentence in the_one_sentence(capsys)
