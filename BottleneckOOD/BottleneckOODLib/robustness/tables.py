"""The tables of a benchmark: a row an image, and a row a corruption and detector."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from BottleneckOODLib.ood.calibration import AMBER_LEVEL
from BottleneckOODLib.ood.metrics import auroc
from BottleneckOODLib.reference.outcomes import has_failed
from BottleneckOODLib.reference.reference_folder import Reference
from BottleneckOODLib.robustness.corruptions import AS_IT_IS, CATALOGUE, CLEAN
from BottleneckOODLib.robustness.detectors import COMBINED, Detector, Judgement, combined, light_of_all
from BottleneckOODLib.robustness.running import Row

LIGHT, ALL = "light", "all"
_SEVERITY = {"green": 0.0, "amber": 1.0, "red": 2.0}
CASE_COLUMNS = (
    "part", "case", "corruption", "grade", "severity", "dice", "volume_ml", "light", "failed_checks"
)  # fmt: skip
SUMMARY_COLUMNS = (
    "part", "corruption", "detector", "n", "mean_dice", "flagged", "n_failed", "failed_flagged", "n_good",
    "good_flagged", "auroc",
)  # fmt: skip


@dataclass(frozen=True)
class Judged:
    """One image with what everything says of it.

    Attributes:
        row: What was measured.
        light: The program's light.
        by: Each detector's judgement; ``"combined"`` first.
    """

    row: Row
    light: str
    by: Mapping[str, Judgement]

    @property
    def failed(self) -> bool | None:
        """Whether the segmentation failed; None where its Dice is not known."""
        return None if self.row.measured.dice is None else bool(has_failed(self.row.measured.dice))


def judge_all(rows: Sequence[Row], reference: Reference, detectors: Sequence[Detector]) -> list[Judged]:
    """Let every detector judge every image."""
    judged = []
    for row in rows:
        whole = combined(reference, row.measured)
        by = {COMBINED: whole} | {detector.name: detector.judge(row.measured) for detector in detectors}
        judged.append(Judged(row, light_of_all(whole.p_value, row.measured.failed_checks), by))
    return judged


def grade_words(corruption: str, grade: int) -> str:
    """A grade in words, such as ``"100 HU"``; empty where nothing was damaged."""
    return CATALOGUE[corruption].grades[grade - 1] if grade else ""


def case_columns(detectors: Sequence[str]) -> tuple[str, ...]:
    """The columns of ``results.csv``: the facts, then the p-values, then the scores."""
    return (*CASE_COLUMNS, *(f"p_{name}" for name in detectors), *(f"score_{name}" for name in detectors))


def case_rows(judged: Sequence[Judged]) -> list[dict[str, str]]:
    """The rows of ``results.csv``."""
    rows = []
    for one in judged:
        row, measured = one.row, one.row.measured
        facts = {
            "part": row.part,
            "case": row.case,
            "corruption": row.corruption,
            "grade": str(row.grade),
            "severity": grade_words(row.corruption, row.grade),
            "dice": _number(measured.dice),
            "volume_ml": f"{measured.volume_ml:.1f}",
            "light": one.light,
            "failed_checks": " ".join(measured.failed_checks["hard"] + measured.failed_checks["soft"]),
        }
        facts |= {f"p_{name}": _number(judgement.p_value) for name, judgement in one.by.items()}
        facts |= {f"score_{name}": _number(judgement.score, digits=6) for name, judgement in one.by.items()}
        rows.append(facts)
    return rows


def summary_rows(judged: Sequence[Judged]) -> list[dict[str, str]]:
    """The rows of ``summary.csv``, each part by itself.

    The AUROC of a corruption is that of its failures (``has_failed``) against its own and the undamaged images that
    did not fail; it stays empty without both.
    """
    rows = []
    for part in dict.fromkeys(one.row.part for one in judged):
        own = [one for one in judged if one.row.part == part]
        for corruption in (CLEAN, *CATALOGUE, AS_IT_IS, ALL):
            chosen = [one for one in own if corruption in (ALL, one.row.corruption)]
            if not chosen:
                continue
            compared = [one for one in own if one.row.corruption == CLEAN and corruption in CATALOGUE] + chosen
            for name in (LIGHT, *chosen[0].by):
                rows.append(
                    {"part": part, "corruption": corruption, "detector": name}
                    | _counts(chosen, name)
                    | {"auroc": _number(_auroc(compared, name))}
                )
    return rows


def _counts(chosen: Sequence[Judged], name: str) -> dict[str, str]:
    known = [one.row.measured.dice for one in chosen if one.row.measured.dice is not None]
    failed = [one for one in chosen if one.failed]
    good = [one for one in chosen if one.failed is False]
    return {
        "n": str(len(chosen)),
        "mean_dice": _number(float(np.mean(known)) if known else None),
        "flagged": _number(_share_flagged(chosen, name)),
        "n_failed": str(len(failed)),
        "failed_flagged": _number(_share_flagged(failed, name)),
        "n_good": str(len(good)),
        "good_flagged": _number(_share_flagged(good, name)),
    }


def flagged(one: Judged, name: str) -> bool:
    """Whether a detector flags an image at 10%; what cannot be judged is flagged."""
    return one.light != "green" if name == LIGHT else not one.by[name].p_value > AMBER_LEVEL


def _share_flagged(chosen: Sequence[Judged], name: str) -> float | None:
    return float(np.mean([flagged(one, name) for one in chosen])) if chosen else None


def _auroc(chosen: Sequence[Judged], name: str) -> float | None:
    known = [one for one in chosen if one.failed is not None]
    scores = [_SEVERITY.get(one.light, np.inf) if name == LIGHT else one.by[name].score for one in known]
    # What cannot be judged is as unusual as can be.
    highest = np.where(np.isnan(scores), np.inf, scores)
    area = auroc(highest, np.array([bool(one.failed) for one in known]))
    return None if np.isnan(area) else area


def _number(value: float | None, digits: int = 4) -> str:
    return "" if value is None or np.isnan(value) else f"{value:.{digits}g}"
