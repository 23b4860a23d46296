"""``bottleneck-ood evaluate`` as it is typed."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from BottleneckOODLib.cli import evaluate
from BottleneckOODLib.cli.main import main
from BottleneckOODLib.evaluation import settings


@pytest.fixture
def arguments(tmp_path: Path) -> list[str]:
    rng = np.random.default_rng(0)
    for folder, n in (("train", 20), ("test", 12)):
        (tmp_path / folder).mkdir()
        for i in range(n):
            np.save(tmp_path / folder / f"{folder}{i}.npy", rng.normal(size=9))
    with (tmp_path / "dice.csv").open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([("filename", "DICE_Score"), *((f"test{i}.nii.gz", i / 11) for i in range(12))])
    places = {"--train": "train", "--test": "test", "--performance": "dice.csv", "--output": "out"}
    given = [word for option, place in places.items() for word in (option, str(tmp_path / place))]
    return ["evaluate", *given, "--bootstrap", "10", "--reducers", "none,pca"]


def test_the_options_are_those_of_the_library() -> None:
    assert (evaluate.MODES, evaluate.REDUCERS, evaluate.DETECTORS) == (
        settings.MODES,
        settings.REDUCERS,
        settings.DETECTORS,
    )


def test_done_is_0_and_says_where_the_report_lies(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        main([*arguments, "--threshold", "median", "--k", "2", "0.5", "--components", "3", "--detectors", "knn"]) == 0
    )
    told = capsys.readouterr()
    assert str(tmp_path / "out" / "report.html") in told.out
    assert "note: There are only 6 in-distribution test cases" in told.out
    with (tmp_path / "out" / "results.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["reducer"], row["k"]) for row in rows] == [("none", "2"), ("none", "10"), ("pca", "2"), ("pca", "10")]
    assert main([*arguments, "--mode", "paper", "--threshold", "median"]) == 0


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        (["--threshold", "1.5"], "--threshold is 1.5"),
        (["--threshold", "nan"], "--threshold is nan"),
        (["--reducers", "pca,lda"], "--reducers is pca,lda"),
        (["--detectors", ","], "--detectors is ,"),
        (["--k", "0"], "--k is 0"),
        (["--k", "20"], "k is 20, but there are 20 training cases"),
        (["--k", "2.5"], "k is 2.5; give a whole number"),
        (["--components", "0"], "--components is 0"),
        (["--train", "nowhere"], "nowhere is not there"),
    ],
)
def test_wrong_input_is_2_and_one_sentence(
    changed: list[str], sentence: str, arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments, *changed]) == 2
    told = capsys.readouterr()
    assert sentence in told.err
    assert told.err.count("\n") == 1
    assert told.out == ""
    assert not (tmp_path / "out").exists()


def test_stopped_is_130_and_resume_goes_on(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from BottleneckOODLib.evaluation import running

    original = running._run_task

    def stopping(task: object, *rest: object) -> object:
        if task.reducer == "pca":  # type: ignore[attr-defined]
            raise KeyboardInterrupt
        return original(task, *rest)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(running, "_run_task", stopping)
        assert main(arguments) == 130
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["unfinished-deployable"]
    assert main(arguments) == 2
    assert "--resume" in capsys.readouterr().err
    assert main([*arguments, "--resume"]) == 0
    assert (tmp_path / "out" / "report.html").is_file()
