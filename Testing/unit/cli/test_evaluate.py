"""``bottleneck-ood evaluate`` as it is typed."""

from __future__ import annotations

import csv
import json
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
    assert evaluate.OUTPUTS == (settings.LOGITS, settings.PROBABILITIES)
    assert evaluate.MEMBERS == settings.MEMBERS


def add_outputs_and_features(folder: Path) -> list[str]:
    """Files for the options beside the embeddings, and those options."""
    rng = np.random.default_rng(1)
    for side, n in (("train", 20), ("test", 12)):
        for kind, shape in (("outputs", (3, 4, 5)), ("shape", (3,)), ("histogram", (8,))):
            (folder / kind / side).mkdir(parents=True)
            for i in range(n):
                np.save(folder / kind / side / f"{side}{i}.npy", rng.normal(size=shape))
    with (folder / "classes.csv").open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([("filename", "class"), *((f"train{i}.nii.gz", "ab"[i % 2]) for i in range(20))])
    given = ["--train-outputs", f"{folder}/outputs/train", "--test-outputs", f"{folder}/outputs/test"]
    for name in ("shape", "histogram"):
        given += ["--features", f"{name}={folder}/{name}/train,{folder}/{name}/test"]
    return [*given, "--classes", str(folder / "classes.csv"), "--temperature", "1", "3"]


def test_outputs_features_and_classes_become_rows(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = add_outputs_and_features(tmp_path)
    assert main([*arguments, *more, "--threshold", "median", "--reducers", "none", "--k", "2"]) == 0
    with (tmp_path / "out" / "results.csv").open(encoding="utf-8", newline="") as stream:
        rows = [(row["detector"], json.loads(row["parameters"])) for row in csv.DictReader(stream)]
    assert ("msp", {"region": "boundary", "temperature": 3.0}) in rows
    assert ("robust_z", {"features": "shape"}) in rows
    assert ("md", {"features": "histogram"}) in rows
    assert ("md_relative", {}) in rows
    assert len(rows) == 12 + 3 + 2 * 3
    assert "a threshold from them flags too many" in capsys.readouterr().out


def test_a_detector_of_pyod_by_its_name_in_any_case(arguments: list[str], tmp_path: Path) -> None:
    pytest.importorskip("pyod")
    assert main([*arguments, "--threshold", "median", "--reducers", "none", "--k", "2", "--pyod", "ecod,HBOS"]) == 0
    with (tmp_path / "out" / "results.csv").open(encoding="utf-8", newline="") as stream:
        assert [row["detector"] for row in csv.DictReader(stream)] == ["knn", "md", "pyod_ECOD", "pyod_HBOS"]


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
        (["--test-outputs", "nowhere"], "folder of outputs nowhere is not there"),
        (["--train-outputs", "nowhere"], "none of test cases; add --test-outputs"),
        (["--temperature", "0"], "--temperature is 0"),
        (["--features", "shape=a"], "--features is shape=a; give a name"),
        (["--features", "a|b=c,d"], "--features is a|b=c,d; give a name"),
        (["--features", "s=a,b", "--features", "s=c,d"], "--features gives the name s twice"),
        (["--features", "s=nowhere,b"], "nowhere is not there"),
        (["--classes", "nowhere.csv"], "nowhere.csv cannot be read"),
        (["--pyod", ","], "--pyod is ,"),
        (["--pyod", "NoSuchDetector"], "NoSuchDetector"),
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
