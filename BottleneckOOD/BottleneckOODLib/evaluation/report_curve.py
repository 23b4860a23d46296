"""The risk-coverage curve as a picture in the page itself."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from BottleneckOODLib.html_page import escaped
from BottleneckOODLib.ood.failure_metrics import risk_coverage_curve

FloatArray = npt.NDArray[np.float64]

_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP = 640, 320, 64, 44, 16
# Told apart by their dashes too.
_STROKES = (("#0b57d0", "none"), ("#b3261e", "7 4"), ("#555555", "2 3"))


def risk_coverage_svg(curves: Mapping[str, tuple[FloatArray, FloatArray]]) -> str:
    """Draw curves of scores and Dice, shapes (n,), by their names, and the ideal order of the first."""
    lines = {name: risk_coverage_curve(scores, dice) for name, (scores, dice) in curves.items()}
    dice = next(iter(curves.values()))[1]
    lines["ideal order"] = risk_coverage_curve(1 - dice, dice)
    most = max([1e-6, *(float(risk.max()) for _, risk in lines.values())])
    drawn = []
    for index, ((name, (coverage, risk)), (colour, dash)) in enumerate(zip(lines.items(), _STROKES, strict=False)):
        points = " ".join(f"{_x(c):.1f},{_y(r / most):.1f}" for c, r in zip(coverage, risk, strict=True))
        stroke = f'stroke="{colour}" stroke-dasharray="{dash}"'
        drawn.append(f'<polyline points="{points}" fill="none" stroke-width="2" {stroke}/>')
        row = _TOP + 16 * (index + 1)
        drawn.append(f'<line x1="{_LEFT + 16}" x2="{_LEFT + 48}" y1="{row}" y2="{row}" stroke-width="2" {stroke}/>')
        drawn.append(f'<text x="{_LEFT + 56}" y="{row + 4}">{escaped(name)}</text>')
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        x, y = _x(share), _y(share)
        drawn.append(f'<text x="{x}" y="{_HEIGHT - 26}" text-anchor="middle">{share:g}</text>')
        drawn.append(f'<text x="{_LEFT - 8}" y="{y + 4}" text-anchor="end">{share * most:.3f}</text>')
        drawn.append(f'<line x1="{_LEFT}" x2="{_WIDTH - 16}" y1="{y}" y2="{y}" stroke="#ddd"/>')
    middle = (_LEFT + _WIDTH) / 2
    drawn.append(f'<text x="{middle}" y="{_HEIGHT - 6}" text-anchor="middle">coverage (share of cases kept)</text>')
    label = "mean risk (1 - Dice) against coverage"
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" role="img" aria-label="{label}" '
        f'font-family="system-ui, sans-serif" font-size="12">{"".join(drawn)}</svg>'
    )


def _x(share: float) -> float:
    return _LEFT + share * (_WIDTH - 16 - _LEFT)


def _y(share: float) -> float:
    return _HEIGHT - _BOTTOM - share * (_HEIGHT - _BOTTOM - _TOP)
