"""What the charts of a report show, as numbers for its script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from BottleneckOODLib.assessment.wording import BEYOND_MAP, LIGHT_COLOURS, STATE_WORDS
from BottleneckOODLib.ood.calibration import AMBER_LEVEL, RED_LEVEL, score_at_level
from BottleneckOODLib.ood.drift import ALARM, control_chart
from BottleneckOODLib.ood.false_alarms import flagged_at
from BottleneckOODLib.triage.report.contents import Contents
from BottleneckOODLib.triage.store import Found

FloatArray = npt.NDArray[np.float64]

FALSE_ALARMS = 0.10
MOST_POINTS = 3000
"""A chart of more cases shows some of them, evenly chosen; a browser would not draw a million."""
_LOWEST, _HIGHEST, _WIDTH = -1.0, 4.0, 0.1
# As plotly names the shapes of assessment/wording.py.
_SYMBOLS: Mapping[str, str] = {
    "green": "circle",
    "amber": "triangle-up",
    "red": "octagon",
    "grey": "square",
}
_PATTERNS: Mapping[str, str] = {"green": "", "amber": "/", "red": "x", "grey": "."}


def chart_data(contents: Contents) -> dict[str, Any]:
    """Everything that the page's script draws; cases are named by their line in the list."""
    judged = contents.judged
    lines = {case.found.case_id: line for line, case in enumerate(contents.listed)}
    return {
        "lights": {
            light: {
                "word": STATE_WORDS[light],
                "colour": colour,
                "symbol": _SYMBOLS[light],
                "pattern": _PATTERNS[light],
            }
            for light, colour in LIGHT_COLOURS.items()
        },
        "cases": [_case(line, contents) for line in range(len(contents.listed))],
        "training": [[p.x, p.y, p.dice, p.case_id] for p in contents.training],
        "beyond": BEYOND_MAP,
        "levels": {"amber": AMBER_LEVEL, "red": RED_LEVEL},
        "scores": _histogram(judged, contents.calibration),
        "ranked": _ranked(judged, lines),
        "drift": _drift(judged, lines),
    }


def _case(line: int, contents: Contents) -> dict[str, Any]:
    found, place = contents.listed[line].found, contents.listed[line].placement
    case: dict[str, Any] = {"id": found.case_id, "light": found.light, "p": found.p_value, "score": found.score}
    if place is not None:
        case |= {"x": place.x, "y": place.y, "beyond": place.beyond_map}
    return case


def _histogram(judged: Sequence[Found], calibration: FloatArray | None) -> dict[str, Any]:
    """Counts of the cases' scores by light; what lies beyond the ends is counted in the first or last bar."""
    scores = _clipped(np.array([found.score for found in judged], dtype=np.float64))
    own = np.zeros(0) if calibration is None else _clipped(calibration)
    both = np.concatenate([scores, own])
    if not len(scores):
        return {"from": [], "counts": {}, "expected": None, "levels": {}, "last": None}
    # From the bar of the smallest to that of the greatest.
    bars = np.floor(both / _WIDTH + 1e-9).astype(int)
    first, n_bars = int(bars.min()), int(bars.max() - bars.min() + 1)
    places, lights = bars[: len(scores)] - first, np.array([found.light for found in judged])
    counts = {light: np.bincount(places[lights == light], minlength=n_bars).tolist() for light in LIGHT_COLOURS}
    expected, levels = None, {}
    if calibration is not None and len(calibration):
        share = np.bincount(bars[len(scores) :] - first, minlength=n_bars) / len(calibration)
        expected = [round(float(n), 3) for n in share * len(scores)]
        found_levels = {
            "amber": score_at_level(AMBER_LEVEL, calibration),
            "red": score_at_level(RED_LEVEL, calibration),
        }
        levels = {light: level for light, level in found_levels.items() if level is not None}
    return {
        "from": [round((first + bar) * _WIDTH, 3) for bar in range(n_bars)],
        "width": _WIDTH,
        "counts": counts,
        "expected": expected,
        "levels": levels,
        "last": _HIGHEST if bool((both >= _HIGHEST).any()) else None,
    }


def _clipped(scores: FloatArray) -> FloatArray:
    return np.clip(scores, _LOWEST, _HIGHEST)


def _ranked(judged: Sequence[Found], lines: Mapping[str, int]) -> dict[str, Any]:
    """The p-values in order, with the line of Benjamini and Hochberg that tells how many can be flagged."""
    ordered = sorted(judged, key=lambda found: found.p_value or 0.0)
    n_flagged = int(flagged_at(np.array([found.p_value for found in ordered], dtype=np.float64), FALSE_ALARMS).sum())
    # The smallest are what the line is about, so all of them are shown, and of the others some.
    whole = min(len(ordered), MOST_POINTS // 2)
    shown = [*range(whole), *(whole + place for place in _thinned(len(ordered) - whole, MOST_POINTS - whole))]
    return {
        "points": [[place + 1, ordered[place].p_value, *_line_of(ordered[place], lines)] for place in shown],
        "n": len(ordered),
        "flagged": n_flagged,
        "rate": FALSE_ALARMS,
    }


def _drift(judged: Sequence[Found], lines: Mapping[str, int]) -> dict[str, Any]:
    chart = control_chart(np.array([found.p_value for found in judged], dtype=np.float64))
    kept = {*_thinned(len(judged), MOST_POINTS), *(place for place in (chart.alarm, chart.begun) if place is not None)}
    return {
        "points": [[n + 1, round(float(chart.sums[n]), 3), *_line_of(judged[n], lines)] for n in sorted(kept)],
        "limit": ALARM,
        "alarm": None if chart.alarm is None else chart.alarm + 1,
        "begun": None if chart.begun is None else chart.begun + 1,
    }


def _line_of(found: Found, lines: Mapping[str, int]) -> tuple[str, int | None]:
    return found.light, lines.get(found.case_id)


def _thinned(n: int, most: int) -> list[int]:
    if n <= most:
        return list(range(n))
    return [int(place) for place in np.unique(np.linspace(0, n - 1, most).round())]
