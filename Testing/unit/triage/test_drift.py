"""A drift is told in a sentence that says since when and what to look at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from BottleneckOODLib.assessment.assessment import Assessment
from BottleneckOODLib.cli.main import main
from BottleneckOODLib.ood.calibration import conformal_p_value
from BottleneckOODLib.triage.drift import drift_sentences
from BottleneckOODLib.triage.judging import Judge, fingerprint_of
from BottleneckOODLib.triage.place import Place
from BottleneckOODLib.triage.store import Found, Store

CALIBRATION = np.random.default_rng(0).normal(size=200)


def results(scores: np.ndarray) -> list[Found]:
    def found(number: int, score: float) -> Found:
        p_value = conformal_p_value(score, CALIBRATION)
        return Found(f"c{number}", "green", "s", p_value, score, 0.0, f"2026-01-{1 + number % 28:02d}", "", 1.0)

    return [found(number, float(score)) for number, score in enumerate(scores)]


def test_a_change_of_scanner_is_dated() -> None:
    rng = np.random.default_rng(4)
    told = drift_sentences(results(np.concatenate([rng.normal(size=30), rng.normal(2, 1, size=30)])), CALIBRATION)
    assert "more unusual since c" in told[0]
    since = int(told[0].split("since c")[1].split()[0])
    assert 26 <= since <= 32
    assert "differ from the 200 reference cases" in told[1]


def test_cases_like_the_reference_are_quiet() -> None:
    told = drift_sentences(results(np.random.default_rng(5).normal(size=60)), CALIBRATION)
    assert "no drift in 60 cases" in told[0]
    assert "are not told apart from" in told[1]


def test_few_cases_of_a_mixed_batch_are_no_change_over_time() -> None:
    mixed = np.array([0.1, 4.0, -0.5, 5.0, 6.0, 0.3, 4.5, 7.0, 5.0, 0.2, 6.0, 5.5])
    told = drift_sentences(results(mixed), CALIBRATION)[0]
    assert "12 judged cases are too few to tell a change" in told
    assert "have become" not in told
    assert "more unusual than the training cases" in told
    assert "more unusual" not in drift_sentences(results(mixed[:9] * 0.01), CALIBRATION)[0]


def test_sources_are_told_apart() -> None:
    rng = np.random.default_rng(6)
    scores = np.concatenate([rng.normal(size=20), rng.normal(2, 1, size=20), rng.normal(size=3)])
    folders = {f"c{n}": ("a", "b", "few")[(n >= 20) + (n >= 40)] for n in range(43)}
    told = dict(line.split(": ", 1) for line in drift_sentences(results(scores), CALIBRATION, folders)[2:])
    assert "not told apart" in told["a"]
    assert "differ from" in told["b"]
    assert "too few" in told["few"]


def test_grey_cases_have_no_say_and_none_is_too_few() -> None:
    grey = Found("x", "grey", "s", None, None, None, "2026-01-01", "", 1.0)
    assert drift_sentences([grey] * 50, CALIBRATION)[0] == "Over time: 0 judged cases are too few to say anything."


def test_cases_are_compared_with_the_reference_that_judged_them_alone(
    a_store: Store, make_assessment: Callable[..., Assessment], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def judged(case_id: str, judge: str) -> None:
        a_store.note_case(case_id * 64, case_id, Place(case_id, "", "1"))
        a_store.add_assessment(case_id, judge, replace(make_assessment(), case_id=case_id), f"out/{case_id}", 1.0)

    command = ["triage", "drift", "--store", str(tmp_path / "triage.db")]
    for case_id in "ab":
        judged(case_id, "another")
    assert main(command) == 2
    assert "did not judge the cases of this store; name those that did" in capsys.readouterr().err
    judged("c", fingerprint_of(Judge()))
    assert main(command) == 0
    told = capsys.readouterr().out
    assert "another model or reference judged them: 2 cases" in told
    assert "Over time: 1 judged cases are too few" in told
