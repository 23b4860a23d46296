"""The whole benchmark on a tiny network: its files, its order, stopping and going on."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from BottleneckOODLib.cli.main import main
from BottleneckOODLib.reference.reference_folder import Reference
from BottleneckOODLib.robustness import running

Captured = pytest.CaptureFixture[str]
Run = Callable[..., int]
STEPS = 1 + 3


@pytest.fixture
def run(
    tiny_model: Path, tiny_reference: Path, a_data_folder: Path, tmp_path: Path, tiny_bodies: None, few_damages: None
) -> Run:
    def benchmark(*more: str, output: Path | None = None) -> int:
        given = {"--data": a_data_folder, "--model": tiny_model, "--reference": tiny_reference}
        words = [word for option, value in given.items() for word in (option, str(value))]
        where = ["--output", str(output or tmp_path / "out"), "--device", "cpu"]
        return main(["benchmark", *words, *where, "--quick", "--calibration", "20", "--bodies", "1", *more])

    return benchmark


@pytest.fixture
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where they are not the question."""
    monkeypatch.setattr("BottleneckOODLib.robustness.writing.heat_map_png", lambda *_: b"a picture")


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_the_whole_benchmark(run: Run, tmp_path: Path, capsys: Captured) -> None:
    assert run("--choose", str(tmp_path / "chosen")) == 0
    out = tmp_path / "out"
    assert {path.name for path in out.iterdir()} == {
        "results.csv", "summary.csv", "report.md", "benchmark.json", "heat-map.png", "heat-map-validation.png",
        "measurements.jsonl",
    }  # fmt: skip
    rows = table(out / "results.csv")
    # The labelled CT and the body go through all; the other scale and the scan without labels are as they are.
    counted = {case: sum(row["case"] == case for row in rows) for case in dict.fromkeys(row["case"] for row in rows)}
    assert counted == {"one-ct": STEPS, "one-mr": 1, "two-ct": 1, "drawn-00": STEPS}
    by_case = {row["case"]: row for row in rows if row["corruption"] == "as it is"}
    assert by_case["one-mr"]["light"] == "red"
    assert "intensity_scale" in by_case["one-mr"]["failed_checks"]
    assert by_case["one-mr"]["dice"] != ""
    assert by_case["two-ct"]["dice"] == ""
    assert {row["part"] for row in rows if row["case"].startswith("drawn")} == {"validation"}
    p_values = [float(value) for row in rows for name, value in row.items() if name.startswith("p_")]
    assert min(p_values) >= 1 / 25 - 1e-9
    assert max(p_values) <= 1
    facts = json.loads((out / "benchmark.json").read_text(encoding="utf-8"))
    assert facts["n_as_kept"] == facts["n_calibration"] == 20
    assert set(facts["detectors"].values()) == {20, 24}
    assert len(facts["refused"]) == 1
    assert "torn" in facts["refused"][0]
    told = capsys.readouterr()
    assert "torn" in told.out
    assert str(out / "report.md") in told.out
    chosen = Reference.load(tmp_path / "chosen")
    assert chosen.settings["detector_choice"]["chosen_on"].startswith("damaged copies of 1 generated bod")
    assert (out / "heat-map.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.usefixtures("no_pictures")
def test_a_stopped_benchmark_goes_on_and_measures_nothing_twice(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    assert run(output=tmp_path / "whole") == 0
    measure, keys = running.measure, []

    def stop_at_the_26th(*arguments: object) -> object:
        if len(keys) == 25:
            raise KeyboardInterrupt
        keys.append(arguments[0].name)  # type: ignore[attr-defined]
        return measure(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(running, "measure", stop_at_the_26th)
    assert run() == 130
    assert not (tmp_path / "out" / "results.csv").exists()
    lines = (tmp_path / "out" / "measurements.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 1 + 25
    monkeypatch.setattr(running, "measure", measure)
    capsys.readouterr()
    assert run() == 2
    assert "add --resume" in capsys.readouterr().err
    # As a kill in the middle of a line leaves it.
    with (tmp_path / "out" / "measurements.jsonl").open("a", encoding="utf-8") as stream:
        stream.write('{"key": "test/one')
    assert run("--resume") == 0
    resumed = (tmp_path / "out" / "measurements.jsonl").read_text(encoding="utf-8").splitlines()
    assert resumed[: len(lines)] == lines
    assert len({json.loads(line).get("key") for line in resumed}) == len(resumed)
    for name in ("summary.csv", "report.md"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    resumed_rows, whole_rows = (table(tmp_path / name / "results.csv") for name in ("out", "whole"))
    for row, same in zip(resumed_rows, whole_rows, strict=True):
        # Scores are told with six digits, of which a network's last ones vary from pass to pass.
        scores = {column: float(value or "nan") for column, value in same.items() if column.startswith("score_")}
        found = {column: float(row[column] or "nan") for column in scores}
        assert found == pytest.approx(scores, rel=1e-3, nan_ok=True)
        assert {**row, **dict.fromkeys(scores)} == {**same, **dict.fromkeys(scores)}


def test_an_interrupt_while_it_runs_is_130_and_says_how_to_go_on(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    import signal

    measure, done = running.measure, []

    def with_a_signal(*arguments: object) -> object:
        done.append(True)
        if len(done) == 3:
            signal.raise_signal(signal.SIGINT)
        return measure(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(running, "measure", with_a_signal)
    assert run() == 130
    told = capsys.readouterr()
    assert "go on with --resume" in told.err
    assert "Traceback" not in told.err
    # The case in work at the signal is not kept.
    assert len((tmp_path / "out" / "measurements.jsonl").read_text(encoding="utf-8").splitlines()) == 1 + 2


def test_a_benchmark_of_other_settings_is_not_mixed_in(run: Run, tmp_path: Path, a_data_folder: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "measurements.jsonl").write_text('{"identity": {"model": "another"}}\n', encoding="utf-8")
    assert run("--resume") == 2
    (out / "measurements.jsonl").write_text("no json\n", encoding="utf-8")
    assert run("--resume") == 2
    assert (out / "measurements.jsonl").read_text(encoding="utf-8") == "no json\n"


def one_sentence(capsys: Captured) -> str:
    said = capsys.readouterr()
    assert said.out == ""
    lines = said.err.splitlines()
    assert len(lines) == 1, said.err
    assert lines[0].endswith(".")
    return lines[0]


@pytest.mark.parametrize(
    ("left_out", "sentence"),
    [
        (["one", "two"], "holds no scans"),
        (["one/ct_labels.nii.gz", "one/mr_labels.nii.gz"], "No scan in"),
        (["."], "does not exist"),
    ],
    ids=["no volumes", "no labels", "no folder"],
)
def test_a_folder_that_cannot_serve_is_one_sentence(
    left_out: list[str], sentence: str, run: Run, a_data_folder: Path, tmp_path: Path, capsys: Captured
) -> None:
    import shutil

    for name in left_out:
        path = a_data_folder / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    assert run() == 2
    assert sentence in one_sentence(capsys)
    assert not (tmp_path / "out").exists()


def test_numbers_and_outputs_that_make_no_sense_are_one_sentence(run: Run, tmp_path: Path, capsys: Captured) -> None:
    assert run("--bodies", "-1") == 2
    assert "--bodies is -1" in one_sentence(capsys)
    (tmp_path / "taken").mkdir()
    assert run("--choose", str(tmp_path / "taken")) == 2
    assert "was kept" in one_sentence(capsys)
    assert run("--cases", str(tmp_path / "gone.csv")) == 2
    assert "does not exist" in one_sentence(capsys)
    (tmp_path / "file").write_text("x", encoding="utf-8")
    assert run(output=tmp_path / "file") == 2
    assert "is a file" in one_sentence(capsys)


@pytest.mark.usefixtures("no_pictures")
def test_labels_without_the_organ_are_told_and_the_rest_goes_on(
    run: Run, a_data_folder: Path, tmp_path: Path, capsys: Captured
) -> None:
    import numpy as np
    import SimpleITK as sitk

    labels = a_data_folder / "one" / "mr_labels.nii.gz"
    image = sitk.ReadImage(str(labels))
    array = sitk.GetArrayFromImage(image) * 7
    array[0, 0, 0] = 9
    several = sitk.GetImageFromArray(array.astype(np.uint8))
    several.CopyInformation(image)
    sitk.WriteImage(several, str(labels))
    assert run("--bodies", "0") == 0
    assert "say which one it is with --organ" in capsys.readouterr().out
    assert run("--bodies", "0", "--organ", "7", output=tmp_path / "again") == 0
    assert "--organ" not in capsys.readouterr().out
