"""How far readers agree, with each other and with the light."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations
from statistics import median

from BottleneckOODLib.assessment.decision import RATING_WORDS, Decision, overrules
from BottleneckOODLib.assessment.decision_record import DecisionLog
from BottleneckOODLib.assessment.reader_names import reader_key, reader_name


@dataclass(frozen=True)
class Agreement:
    """Two readers on the cases that both rated.

    Attributes:
        readers: Their names, sorted, each as it was spelled first.
        n_cases: How many cases both rated.
        same: On how many of them they gave the same rating.
        kappa: Cohen's kappa: 1 where they agree throughout, 0 where no more than by chance; None where it is not
            defined, because both gave one and the same rating to every case.
    """

    readers: tuple[str, str]
    n_cases: int
    same: int
    kappa: float | None


@dataclass(frozen=True)
class Readings:
    """What all standing ratings come to.

    Attributes:
        n_ratings: How many there are.
        n_withdrawn: How many more were withdrawn.
        n_overruling: How many contradict the light that the reader had seen.
        n_blind: How many were given before the light was seen.
        seconds: Median seconds a case, of the ratings whose time is known; None without any.
        n_timed: How many of them there are.
        by_rating: How many of each rating.
    """

    n_ratings: int
    n_withdrawn: int
    n_overruling: int
    n_blind: int
    seconds: float | None
    n_timed: int
    by_rating: dict[str, int]


def agreements(logs: Iterable[DecisionLog]) -> list[Agreement]:
    """Cohen's kappa of every two readers who rated some case in common; the last standing rating of each counts.

    Source:
        Cohen, Educational and Psychological Measurement 20:37 (1960), as scikit-learn's ``cohen_kappa_score``.
    """
    from sklearn.metrics import cohen_kappa_score  # noqa: PLC0415 - slow to import

    names: dict[str, str] = {}
    pairs: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for log in logs:
        last = {reader_key(row.reader): row.rating for row in log.standing}
        for row in log.standing:
            names.setdefault(reader_key(row.reader), reader_name(row.reader))
        for first, second in combinations(sorted(last), 2):
            pairs.setdefault((first, second), []).append((last[first], last[second]))
    found = []
    for (first, second), ratings in sorted(pairs.items()):
        ones, others = zip(*ratings, strict=True)
        kappa = None if len({*ones, *others}) == 1 else float(cohen_kappa_score(ones, others))
        found.append(Agreement((names[first], names[second]), len(ratings), sum(a == b for a, b in ratings), kappa))
    return found


def readings(logs: Iterable[DecisionLog]) -> Readings:
    """Counts over all standing ratings."""
    standing: list[Decision] = []
    given = 0
    for log in logs:
        standing += log.standing
        given += sum(row.rating in RATING_WORDS for row in log.decisions)
    # A rating of a case that was not given to the reader has no time.
    timed = [row.seconds for row in standing if row.seconds > 0]
    return Readings(
        n_ratings=len(standing),
        n_withdrawn=given - len(standing),
        n_overruling=sum(overrules(row.rating, row.shown) for row in standing),
        n_blind=sum(row.shown is None for row in standing),
        seconds=median(timed) if timed else None,
        n_timed=len(timed),
        by_rating={rating: sum(row.rating == rating for row in standing) for rating in RATING_WORDS},
    )
