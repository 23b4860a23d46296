"""What ``assess`` prints and writes, for one input and for several."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest

from BottleneckOODLib.assessment.wording import STATE_WORDS
from BottleneckOODLib.cli import console
from BottleneckOODLib.cli.main import main

CaptureFd = pytest.CaptureFixture[str]
STEPS = ["Reading", "Preparing", "Segmenting", "Measuring", "Judging"]


def assess(*arguments: object) -> int:
    return main(["assess", *map(str, arguments), "--device", "cpu"])


def documents_in(text: str) -> list[dict[str, Any]]:
    """Every JSON document of a text that holds nothing else, on one line each or on several."""
    decoder, found, rest = json.JSONDecoder(), [], text.lstrip()
    while rest:
        document, end = decoder.raw_decode(rest)
        found.append(document)
        rest = rest[end:].lstrip()
    return found


def files_under(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(autouse=True)
def no_step_is_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that takes long is told again and again, which on a busy machine may be any."""
    monkeypatch.setattr(console, "_PIPED_SECONDS", math.inf)


@pytest.fixture
def two_scans(a_scan: Path) -> tuple[Path, Path]:
    second = a_scan.with_name("b.nii.gz")
    shutil.copy(a_scan, second)
    return a_scan, second


def test_the_light_in_words_stands_first_and_the_place_last(a_scan: Path, tmp_path: Path, capfd: CaptureFd) -> None:
    assert assess(a_scan, "--output", tmp_path / "out") == 0
    lines = capfd.readouterr().out.splitlines()
    record = json.loads((tmp_path / "out" / "a" / "assessment.json").read_text(encoding="utf-8"))
    assert lines[0].endswith(f" a: {STATE_WORDS[record['ood']['light']]}")
    assert lines[1] == f"  {record['ood']['sentence']}"
    assert lines[-1].endswith(str(tmp_path / "out" / "a"))
    assert "review" in lines[1]


def test_every_step_is_told_once_on_standard_error(a_scan: Path, tmp_path: Path, capfd: CaptureFd) -> None:
    assert assess(a_scan, "--output", tmp_path / "out") == 0
    assert capfd.readouterr().err.splitlines() == [f"a: {step}" for step in STEPS]


def test_a_small_scan_is_judged_and_has_all_its_files(a_scan: Path, tmp_path: Path) -> None:
    assert assess(a_scan, "--output", tmp_path / "out") == 0
    record = json.loads((tmp_path / "out" / "a" / "assessment.json").read_text(encoding="utf-8"))
    assert record["ood"]["light"] in {"green", "amber", "red"}, record["ood"]["sentence"]
    usual = {"assessment.json", "overview.png", "segmentation.seg.nrrd", "thumbnail.jpg", "unusual-regions.nrrd"}
    assert files_under(tmp_path / "out" / "a") == usual


def test_json_is_the_saved_record_and_nothing_else(a_scan: Path, tmp_path: Path, capfd: CaptureFd) -> None:
    assert assess(a_scan, "--output", tmp_path / "out", "--json") == 0
    said = capfd.readouterr()
    assert said.err == ""
    [printed] = documents_in(said.out)
    assert printed == json.loads((tmp_path / "out" / "a" / "assessment.json").read_text(encoding="utf-8"))
    assert printed["case_id"] == "a"
    assert printed["schema_version"] == 1


def test_json_of_several_inputs_is_one_document_a_case(
    two_scans: tuple[Path, Path], tmp_path: Path, capfd: CaptureFd
) -> None:
    assert assess(*two_scans, "--output", tmp_path / "out", "--json") == 0
    said = capfd.readouterr()
    assert said.err == ""
    assert [document["case_id"] for document in documents_in(said.out)] == ["a", "b"]


def test_json_of_several_inputs_is_json_lines_as_the_example_names_it(
    two_scans: tuple[Path, Path], tmp_path: Path, capfd: CaptureFd
) -> None:
    """The example of --help writes results.jsonl."""
    assert assess(*two_scans, "--output", tmp_path / "out", "--json") == 0
    lines = capfd.readouterr().out.splitlines()
    assert len(lines) == 2
    assert [json.loads(line)["case_id"] for line in lines] == ["a", "b"]


@pytest.mark.parametrize("bad_first", [True, False], ids=["bad first", "bad last"])
def test_a_bad_input_is_told_and_the_good_ones_are_done(
    bad_first: bool, two_scans: tuple[Path, Path], tmp_path: Path, capfd: CaptureFd
) -> None:
    bad = tmp_path / "in" / "broken.nii.gz"
    bad.write_text("this is no image " * 40)
    inputs = [bad, *two_scans] if bad_first else [*two_scans, bad]
    assert assess(*inputs, "--output", tmp_path / "out") == 2
    said = capfd.readouterr()
    told = [line for line in said.err.splitlines() if line.startswith("bottleneck-ood: ")]
    assert len(told) == 1
    assert "broken.nii.gz" in told[0]
    assert "Traceback" not in said.err
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a", "b"]
    heads = [line.split(" ", 1)[1] for line in said.out.splitlines() if not line.startswith("  ")]
    assert [head.split(":")[0] for head in heads] == ["a", "b"]


def test_a_bad_input_leaves_the_json_on_standard_output_whole(a_scan: Path, tmp_path: Path, capfd: CaptureFd) -> None:
    assert assess(tmp_path / "gone.nii", a_scan, "--output", tmp_path / "out", "--json") == 2
    said = capfd.readouterr()
    assert [document["case_id"] for document in documents_in(said.out)] == ["a"]
    assert said.err.count("\n") == 1
    assert "gone.nii" in said.err


def test_two_inputs_of_one_name_are_refused_before_any_work(a_scan: Path, tmp_path: Path, capfd: CaptureFd) -> None:
    twin = tmp_path / "elsewhere" / "a.nii.gz"
    twin.parent.mkdir()
    shutil.copy(a_scan, twin)
    assert assess(a_scan, twin, "--output", tmp_path / "out") == 2
    said = capfd.readouterr()
    assert said.out == ""
    assert said.err.splitlines() == [
        "bottleneck-ood: Several inputs have the case name a; assess them one by one with --case-id."
    ]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("name", "other"), [("A", "a"), ("\u00c5", "a\u030a")])
def test_names_that_some_systems_take_for_one_folder_are_refused_before_any_work(
    a_scan: Path, tmp_path: Path, capfd: CaptureFd, name: str, other: str
) -> None:
    first, second = tmp_path / "one" / f"{name}.nii.gz", tmp_path / "other" / f"{other}.nii.gz"
    for twin in (first, second):
        twin.parent.mkdir()
        shutil.copy(a_scan, twin)
    assert assess(first, second, "--output", tmp_path / "out", "--overwrite") == 2
    assert "are one folder on some systems; assess one with --case-id" in capfd.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_case_name_names_the_folder_and_the_record(a_scan: Path, tmp_path: Path, capfd: CaptureFd) -> None:
    assert assess(a_scan, "--output", tmp_path / "out", "--case-id", "patient 7", "--json") == 0
    [printed] = documents_in(capfd.readouterr().out)
    assert printed["case_id"] == "patient 7"
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["patient 7"]


def test_a_case_name_for_several_inputs_is_refused(
    two_scans: tuple[Path, Path], tmp_path: Path, capfd: CaptureFd
) -> None:
    assert assess(*two_scans, "--output", tmp_path / "out", "--case-id", "x") == 2
    assert "--case-id" in capfd.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", [".", "..", "../other", "sub/../../other", "/other"])
def test_a_case_name_cannot_lead_out_of_its_folder(name: str, a_scan: Path, tmp_path: Path) -> None:
    """With --overwrite a name such as ".." would replace folders that no assessment made."""
    chosen = str(tmp_path / "other") if name == "/other" else name
    for folder in ("results/earlier", "other"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "note.txt").write_text("mine")
    assess(a_scan, "--output", tmp_path / "results", "--case-id", chosen, "--overwrite")
    assert {"results/earlier/note.txt", "other/note.txt", "in/a.nii.gz"} <= files_under(tmp_path)
    assert not [path for path in files_under(tmp_path) if path.startswith(("other/assessment", "assessment"))]


@pytest.mark.parametrize("name", ["Müller", "患者", "a b", "it's", "50%"])
def test_a_name_in_any_script_is_assessed_without_a_warning(
    name: str, a_scan: Path, tmp_path: Path, capfd: CaptureFd
) -> None:
    source = a_scan.rename(a_scan.with_name(f"{name}.nii.gz"))
    assert assess(source, "--output", tmp_path / "out") == 0
    assert capfd.readouterr().err.splitlines() == [f"{name}: {step}" for step in STEPS]
    assert [path.name for path in (tmp_path / "out").iterdir()] == [name]


def test_overwrite_replaces_the_old_result_whole(a_scan: Path, tmp_path: Path) -> None:
    old = tmp_path / "out" / "a"
    old.mkdir(parents=True)
    (old / "scene.mrb").write_text("of an earlier run")
    assert assess(a_scan, "--output", tmp_path / "out", "--overwrite") == 0
    assert "scene.mrb" not in files_under(old)
    assert "assessment.json" in files_under(old)


def test_a_folder_with_something_of_the_user_s_is_kept_before_any_work_is_done(
    a_scan: Path, tmp_path: Path, capfd: CaptureFd
) -> None:
    old = tmp_path / "out" / "a"
    old.mkdir(parents=True)
    (old / "notes.txt").write_text("mine")
    assert assess(a_scan, "--output", tmp_path / "out", "--overwrite") == 2
    assert "notes.txt" in capfd.readouterr().err
    assert files_under(old) == {"notes.txt"}


def test_the_input_is_left_as_it_was(a_scan: Path, tmp_path: Path) -> None:
    before = a_scan.read_bytes()
    assert assess(a_scan, "--output", tmp_path / "out") == 0
    assert a_scan.read_bytes() == before
    assert files_under(a_scan.parent) == {"a.nii.gz"}


def test_a_modality_that_the_file_does_not_say_is_taken_from_the_option(
    a_scan: Path, tmp_path: Path, capfd: CaptureFd
) -> None:
    assert assess(a_scan, "--output", tmp_path / "out", "--modality", "MR", "--json") == 0
    [printed] = documents_in(capfd.readouterr().out)
    assert printed["input"]["modality"] == "MR"
