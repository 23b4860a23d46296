from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import fields

import pytest

from BottleneckOODLib.assessment.assessment import Assessment
from BottleneckOODLib.ood.placement import Placement
from BottleneckOODLib.panel.panel_state import ResultState, progress_words, result_state
from BottleneckOODLib.reference.scoring import Neighbour
from BottleneckOODLib.worker.protocol import Working

MakeAssessment = Callable[..., Assessment]
LIGHTS = ["green", "amber", "red", "grey"]


@pytest.mark.parametrize("light", LIGHTS)
def test_a_result_says_everything_in_words(make_assessment: MakeAssessment, light: str) -> None:
    shown = result_state(make_assessment(light))
    assert isinstance(shown, ResultState)
    assert all(getattr(shown, field.name) for field in fields(shown) if field.name not in ("percentile", "neighbours"))
    assert bool(shown.percentile) == (light != "grey")
    assert "Not for clinical use" in shown.caveat


def test_every_state_has_a_shape_and_a_word_of_its_own(make_assessment: MakeAssessment) -> None:
    shown = [result_state(make_assessment(light)) for light in LIGHTS]
    assert len({s.shape for s in shown}) == len({s.word for s in shown}) == 4


def test_checks_are_told_apart_by_their_signs(make_assessment: MakeAssessment) -> None:
    rows = result_state(make_assessment()).checks
    assert len({row.sign for row in rows}) == len({row.state for row in rows}) == 4
    assert any("94 of 100" in row.text for row in rows)


def test_similar_cases_promise_nothing_of_a_case_that_resembles_none(make_assessment: MakeAssessment) -> None:
    neighbours = (Neighbour("a", 1.0, 1.0, 0.81), Neighbour("b", 1.0, 1.0, None), Neighbour("c", 1.0, 1.0, 0.95))
    inside, beyond = Placement(0.0, 0.0, False), Placement(0.0, 0.0, True)

    def told(light: str, place: Placement | None) -> str | None:
        facts = dict(result_state(make_assessment(light, neighbours=neighbours, placement=place)).facts)
        return facts.get("Dice of similar training cases")

    assert told("green", inside) == "0.81 to 0.95"
    assert told("amber", inside) is None
    assert told("green", beyond) is None
    assert told("red", inside) is None


@pytest.mark.parametrize("light", LIGHTS)
def test_nothing_on_the_panel_calls_a_result_right(make_assessment: MakeAssessment, light: str) -> None:
    shown = result_state(make_assessment(light))
    texts = [shown.word, shown.sentence, *(name for name, _ in shown.facts), *(row.text for row in shown.checks)]
    forbidden = re.compile(r"\b(ok|okay|pass|passed|safe|correct|normal)\b", re.IGNORECASE)
    assert not [text for text in texts if forbidden.search(text)]


@pytest.mark.parametrize(
    ("left", "words"),
    [(None, "..."), (0.4, "nearly done"), (42.3, "about 42 s left"), (119.0, "about 119 s"), (300.0, "about 5 min")],
)
def test_the_time_left_is_told_as_a_person_would(left: float | None, words: str) -> None:
    assert words in progress_words(Working(1, "Segmenting", 0.5, left, ""))
