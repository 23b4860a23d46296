"""The report: one page, made from the saved tables only."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from BottleneckOODLib.evaluation.report_curve import risk_coverage_svg
from BottleneckOODLib.evaluation.settings import DEPLOYABLE, MODES, PAPER
from BottleneckOODLib.evaluation.tables import (
    CASE_COLUMNS,
    CASES,
    RESULT_COLUMNS,
    RESULTS,
    SCORE_COLUMNS,
    SCORES,
    read_runs,
    read_table,
)
from BottleneckOODLib.ood.failure_metrics import FEW_CASES

Rows = list[dict[str, str]]

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem; color: #1b1b1b; }
table { border-collapse: collapse; margin: .5rem 0 1.5rem; } caption { text-align: left; font-weight: 600; }
th, td { border-bottom: 1px solid #ccc; padding: .2rem .6rem; text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; } .range { color: #555; font-size: .85em; }
.note { border-left: 4px solid #b36b00; padding: .3rem .8rem; background: #fff7e8; } details { margin: 1rem 0; }
"""
_METRICS = {"auroc": "AUROC", "auprc": "AUPRC", "fpr90": "FPR at 90% TPR", "pearson": "Pearson", "aurc": "AURC"}
_MODE_WORDS = {
    DEPLOYABLE: "deployable: fitted on training cases only, one test case at a time, picked without the test cases",
    PAPER: "paper: as published, maps fitted on test cases too, threshold and pick from the test cases",
}


def report_page(folder: Path) -> str:
    """The page of what lies in a folder of results.

    Raises:
        EvaluationError: A table is damaged.
    """
    rows = read_table(folder / RESULTS, RESULT_COLUMNS)
    runs = read_runs(folder)
    modes = [mode for mode in MODES if mode in runs]
    parts = [
        "<h1>Which score finds failed segmentations</h1>",
        _introduction(runs, modes),
        *(_warnings(runs[mode], [row for row in rows if row["mode"] == mode], mode) for mode in modes),
        "<h2>The configuration that was picked</h2>",
        _table("", ["", *_METRICS.values(), "Dice gained", "cases in / out"], _picked_lines(rows, modes)),
        _side_by_side(rows, modes),
        _curves(folder, rows, modes),
        *(_every_configuration(rows, mode) for mode in modes),
    ]
    body = "\n".join(part for part in parts if part)
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>BottleneckOOD evaluation</title>'
        f"<style>{_STYLE}</style></head>\n<body>\n{body}\n</body></html>\n"
    )


def _introduction(runs: dict[str, dict[str, Any]], modes: Sequence[str]) -> str:
    lines = []
    for mode in modes:
        run = runs[mode]
        threshold = f"{float(run['threshold']):g}"
        lines.append(
            f"<li><b>{_text(_MODE_WORDS[mode])}</b>. {_text(run['n_train'])} training and {_text(run['n_test'])} test "
            f"cases; out of distribution is a Dice of {threshold} or less; picked by {_text(run['picked_by'])}; "
            f"BottleneckOOD {_text(run['program_version'])}.</li>"
        )
    text = (
        "<p>Higher scores mean more unusual cases. In brackets stand bootstrap 95% intervals over the test cases, "
        "each class resampled by itself. A figure says how these test cases came out; it is no promise for others, "
        "and masks are to be reviewed whatever a score says.</p>"
    )
    return f"<ul>{''.join(lines)}</ul>{text}"


def _warnings(run: dict[str, Any], rows: Rows, mode: str) -> str:
    notes = [str(note) for note in run.get("notes", [])]
    counted = [int(row[name]) for row in rows[:1] for name in ("n_id", "n_ood")]
    if any(n < FEW_CASES for n in counted) and not any("fewer than" in note for note in notes):
        notes.insert(0, f"A class has fewer than {FEW_CASES} cases: read the intervals, not the figures.")
    return "".join(f'<p class="note">{_text(mode)}: {_text(note)}</p>' for note in notes)


def _picked_lines(rows: Rows, modes: Sequence[str]) -> list[list[str]]:
    lines = []
    for mode in modes:
        picked = [row for row in rows if row["mode"] == mode and row["picked"]]
        if picked:
            lines.append([f"{_text(mode)}: {_name(picked[0])}", *_figures(picked), *_rest(picked)])
    return lines


def _side_by_side(rows: Rows, modes: Sequence[str]) -> str:
    """The best of each family in each mode: what of a published figure is selection and leakage."""
    families = list(dict.fromkeys((row["reducer"], row["detector"].removesuffix("_placed")) for row in rows))
    head = ["reducer, detector"]
    for mode in modes:
        by = "best on the test cases" if mode == PAPER else "picked on training cases"
        head += [f"{mode}: AUROC ({by})"]
    if DEPLOYABLE in modes:
        head += ["deployable: best on the test cases"]
    lines = []
    for reducer, detector in families:
        line = [f"{_text(reducer)}, {_text(detector)}"]
        for mode in modes:
            own = _family(rows, mode, reducer, detector)
            line.append(_cell(_best(own, "auroc" if mode == PAPER else "validation_auroc"), "auroc"))
        if DEPLOYABLE in modes:
            line.append(_cell(_best(_family(rows, DEPLOYABLE, reducer, detector), "auroc"), "auroc"))
        lines.append(line)
    title = "<h2>How much of a figure is selection and leakage</h2>"
    text = (
        "<p>The same cases, by family. Where the columns differ, the larger figure was chosen on, or fitted to, "
        "the cases that it is reported for.</p>"
    )
    return title + text + _table("", head, lines)


def _curves(folder: Path, rows: Rows, modes: Sequence[str]) -> str:
    cases = read_table(folder / CASES, CASE_COLUMNS)
    wanted = {_label(row): mode for mode in modes for row in rows if row["mode"] == mode and row["picked"]}
    scores: dict[str, dict[str, float]] = {label: {} for label in wanted}
    for line in read_table(folder / SCORES, SCORE_COLUMNS):
        if line["configuration"] in scores and line["score"]:
            scores[line["configuration"]][line["case"]] = float(line["score"])
    drawn: dict[str, tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]] = {}
    for label, mode in wanted.items():
        dice = {row["case"]: float(row["dice"]) for row in cases if row["mode"] == mode}
        names = [name for name in scores[label] if name in dice]
        if names and mode not in drawn:
            drawn[mode] = np.array([scores[label][n] for n in names]), np.array([dice[n] for n in names])
    if not drawn:
        return ""
    title = "<h2>What rejecting unusual cases buys</h2>"
    return f"{title}<p>Mean error of the cases that are kept, as more and more are.</p>{risk_coverage_svg(drawn)}"


def _every_configuration(rows: Rows, mode: str) -> str:
    groups: dict[str, Rows] = {}
    for row in rows:
        if row["mode"] == mode:
            groups.setdefault(_name(row), []).append(row)
    lines = [[name, *_figures(group), *_rest(group), _plain(group, "seconds")] for name, group in groups.items()]
    head = ["configuration", *_METRICS.values(), "Dice gained", "cases in / out", "seconds"]
    summary = f"<summary>All {len(groups)} configurations, {_text(mode)} mode</summary>"
    return f"<details>{summary}{_table('', head, lines)}</details>"


def _family(rows: Rows, mode: str, reducer: str, detector: str) -> Rows:
    names = (detector, f"{detector}_placed")
    return [r for r in rows if r["mode"] == mode and r["reducer"] == reducer and r["detector"] in names]


def _best(rows: Rows, by: str) -> Rows:
    groups: dict[str, Rows] = {}
    for row in rows:
        if row[by]:
            groups.setdefault(_name(row), []).append(row)
    return max(groups.values(), key=lambda group: _mean(group, by)) if groups else []


def _figures(group: Rows) -> list[str]:
    return [_cell(group, metric) for metric in _METRICS]


def _rest(group: Rows) -> list[str]:
    return [_cell(group, "dice_gained"), f"{_text(group[0]['n_id'])} / {_text(group[0]['n_ood'])}"]


def _cell(group: Rows, metric: str) -> str:
    """Mean over the seeds with the interval; the standard deviation over seeds where they differ."""
    values = [float(row[metric]) for row in group if row[metric]]
    if not values:
        return "-"
    shown = f"{np.mean(values):.2f}"
    if len(set(values)) > 1:
        shown += f" ± {np.std(values):.2f}"
    low, high = (_mean(group, f"{metric}{side}") for side in ("_low", "_high"))
    return f'{shown} <span class="range">[{low:.2f}, {high:.2f}]</span>' if low == low else shown  # noqa: PLR0124


def _mean(group: Rows, column: str) -> float:
    values = [float(row[column]) for row in group if row[column]]
    return float(np.mean(values)) if values else float("nan")


def _plain(group: Rows, column: str) -> str:
    return f"{_mean(group, column):.3f}"


def _name(row: dict[str, str]) -> str:
    parameters = "" if row["parameters"] == "{}" else f" {row['parameters']}"
    k = f" k={row['k']}" if row["k"] else ""
    return _text(f"{row['reducer']}{parameters}, {row['detector']}{k}")


def _label(row: dict[str, str]) -> str:
    return "|".join(row[name] for name in ("mode", "reducer", "parameters", "detector", "k", "seed"))


def _table(caption: str, head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Cells are markup already."""
    row: Callable[[str, Sequence[str]], str] = lambda tag, cells: "".join(f"<{tag}>{c}</{tag}>" for c in cells)  # noqa: E731
    body = "".join(f"<tr>{row('td', line)}</tr>\n" for line in lines)
    title = f"<caption>{_text(caption)}</caption>" if caption else ""
    return f"<table>{title}<tr>{row('th', [_text(h) for h in head])}</tr>\n{body}</table>"


def _text(value: object) -> str:
    return html.escape(str(value))
