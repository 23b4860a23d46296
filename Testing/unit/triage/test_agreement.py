"""Kappa as its definition says, on ratings that stand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from BottleneckOODLib.assessment.assessment import Assessment
from BottleneckOODLib.assessment.decision import RATING_WORDS, Decision, decide, shown_of, withdraw
from BottleneckOODLib.assessment.decision_record import DecisionLog
from BottleneckOODLib.triage.agreement import agreements, readings

MakeAssessment = Callable[..., Assessment]
Rate = Callable[..., Decision]


@pytest.fixture
def rate(make_assessment: MakeAssessment) -> Rate:
    def row(reader: str, rating: str, light: str = "amber", **more: object) -> Decision:
        assessment = make_assessment(light)
        fields = {"note": "n", "shown": shown_of(assessment), **more}
        return decide(assessment, rating, reader=reader, **fields)  # type: ignore[arg-type]

    return row


def naive_kappa(ones: list[str], others: list[str]) -> float:
    n = len(ones)
    observed = sum(a == b for a, b in zip(ones, others, strict=True)) / n
    first, second = Counter(ones), Counter(others)
    chance = sum(first[r] * second[r] for r in RATING_WORDS) / n**2
    return (observed - chance) / (1 - chance)


def test_kappa_is_what_its_definition_says(rate: Rate) -> None:
    rng = np.random.default_rng(4)
    ones = [str(r) for r in rng.choice(list(RATING_WORDS), 40)]
    others = [a if rng.random() < 0.6 else str(rng.choice(list(RATING_WORDS))) for a in ones]
    logs = [DecisionLog((rate("A", a), rate("B", b))) for a, b in zip(ones, others, strict=True)]
    (pair,) = agreements(logs)
    assert pair.readers == ("A", "B")
    assert pair.same == sum(a == b for a, b in zip(ones, others, strict=True))
    assert pair.kappa == pytest.approx(naive_kappa(ones, others))


def test_the_last_rating_that_stands_counts(rate: Rate) -> None:
    first, last, other = rate("A", "reject"), rate("A", "accept"), rate("B", "accept")
    gone = withdraw(last, reader="A")
    (pair,) = agreements([DecisionLog((first, last, other))])
    assert pair.same == 1
    (pair,) = agreements([DecisionLog((first, last, other, gone))])
    assert pair.same == 0


def test_one_rating_throughout_has_no_kappa(rate: Rate) -> None:
    (pair,) = agreements([DecisionLog((rate("A", "accept"), rate("B", "accept")))] * 3)
    assert (pair.n_cases, pair.same, pair.kappa) == (3, 3, None)


def test_three_readers_are_three_pairs_on_the_cases_that_they_share(rate: Rate) -> None:
    all_three = DecisionLog((rate("A", "accept"), rate("B", "reject"), rate("C", "accept")))
    logs = [all_three, DecisionLog((rate("A", "accept"),))]
    assert [(p.readers, p.n_cases) for p in agreements(logs)] == [
        (("A", "B"), 1),
        (("A", "C"), 1),
        (("B", "C"), 1),
    ]


def test_counts_are_of_what_stands(rate: Rate) -> None:
    blind = rate("A", "accept", "red", shown=None, blind_first=True, seconds=10.0)
    overruling = rate("B", "accept", "red", seconds=30.0)
    gone = rate("C", "reject", seconds=99.0)
    logs = [DecisionLog((blind, overruling, gone, withdraw(gone, reader="C")))]
    counts = readings(logs)
    assert (counts.n_ratings, counts.n_withdrawn, counts.n_overruling, counts.n_blind) == (2, 1, 1, 1)
    assert counts.seconds == 20.0
    assert counts.by_rating == {**dict.fromkeys(RATING_WORDS, 0), "accept": 2}
    assert readings([]).seconds is None
    assert replace(counts, n_ratings=0) != counts
