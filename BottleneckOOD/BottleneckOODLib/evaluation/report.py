"""The report: one page, made from the saved tables only."""

from __future__ import annotations

import json
from collections.abc import Sequence
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
from BottleneckOODLib.html_page import escaped, page, table
from BottleneckOODLib.ood.failure_metrics import FEW_CASES

Rows = list[dict[str, str]]

_METRICS = {"auroc": "AUROC", "auprc": "AUPRC", "fpr90": "FPR at 90% TPR", "pearson": "Pearson", "aurc": "AURC"}
_GAINED = {"dice_gained": "Dice gained", "hd_gained": "HD gained, mm", "sd_gained": "SD gained, mm"}
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
        _warnings({mode: _notes(runs[mode], [row for row in rows if row["mode"] == mode]) for mode in modes}),
        "<h2>The configuration that was picked</h2>",
        table(["mode and configuration", *_measures(rows)], _picked_lines(rows, modes)),
        _side_by_side(rows, modes),
        _curves(folder, rows, modes),
        *(_every_configuration(rows, mode) for mode in modes),
    ]
    body = "\n".join(part for part in parts if part)
    return page("BottleneckOOD evaluation", body)


def _introduction(runs: dict[str, dict[str, Any]], modes: Sequence[str]) -> str:
    lines = []
    for mode in modes:
        run = runs[mode]
        threshold = f"{float(run['threshold']):g}"
        lines.append(
            f"<li><b>{escaped(_MODE_WORDS[mode])}</b>. {escaped(run['n_train'])} training and "
            f"{escaped(run['n_test'])} test cases; "
            f"out of distribution is a Dice of {threshold} or less; picked by {escaped(run['picked_by'])}; "
            f"BottleneckOOD {escaped(run['program_version'])}.</li>"
        )
    text = (
        "<p>Higher scores mean more unusual cases. In brackets stand bootstrap 95% intervals over the test cases, "
        "each class resampled by itself. A figure says how these test cases came out; it is no promise for others, "
        "and masks are to be reviewed whatever a score says.</p>"
    )
    return f"<ul>{''.join(lines)}</ul>{text}"


def _notes(run: dict[str, Any], rows: Rows) -> list[str]:
    notes = [str(note) for note in run.get("notes", [])]
    counted = [int(row[name]) for row in rows[:1] for name in ("n_id", "n_ood")]
    if any(n < FEW_CASES for n in counted) and not any("fewer than" in note for note in notes):
        notes.insert(0, f"A class has fewer than {FEW_CASES} cases: read the intervals, not the figures.")
    return notes


def _warnings(notes: dict[str, list[str]]) -> str:
    """One box: what is to be known of both modes is told once."""
    of_modes: dict[str, list[str]] = {}
    for mode, own in notes.items():
        for note in own:
            of_modes.setdefault(note, []).append(mode)
    if not of_modes:
        return ""
    lines = "".join(f"<li>{escaped(' and '.join(modes))}: {escaped(note)}</li>" for note, modes in of_modes.items())
    return f'<div class="note"><ul>{lines}</ul></div>'


def _picked_lines(rows: Rows, modes: Sequence[str]) -> list[list[str]]:
    lines = []
    for mode in modes:
        picked = [row for row in rows if row["mode"] == mode and row["picked"]]
        if picked:
            lines.append([f"{escaped(mode)}: {_name(picked[0])}", *_figures(picked, rows)])
    return lines


def _side_by_side(rows: Rows, modes: Sequence[str]) -> str:
    """The best of each family in each mode: what of a published figure is selection and leakage."""
    families = list(dict.fromkeys(_family_of(row) for row in rows))
    head = ["what is scored, detector"]
    for mode in modes:
        by = "best on the test cases" if mode == PAPER else "picked on training cases"
        head += [f"{mode}: AUROC ({by})"]
    if DEPLOYABLE in modes:
        head += ["deployable: best on the test cases"]
    lines = []
    for family in families:
        line = [escaped(family)]
        for mode in modes:
            own = _family(rows, mode, family)
            line.append(_cell(_best(own, "auroc" if mode == PAPER else "validation_auroc"), "auroc"))
        if DEPLOYABLE in modes:
            line.append(_cell(_best(_family(rows, DEPLOYABLE, family), "auroc"), "auroc"))
        lines.append(line)
    title = "<h2>How much of a figure is selection and leakage</h2>"
    text = (
        "<p>The same cases, by family. Where the columns differ, the larger figure was chosen on, or fitted to, "
        "the cases that it is reported for. A dash: the mode has no such score, or nothing to pick it by.</p>"
    )
    return title + text + table(head, lines)


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
    lines = [[name, *_figures(group, rows), _plain(group, "seconds")] for name, group in groups.items()]
    head = ["configuration", *_measures(rows), "seconds"]
    summary = f"<summary>All {len(groups)} configurations, {escaped(mode)} mode</summary>"
    return f"<details>{summary}{table(head, lines)}</details>"


def _family_of(row: dict[str, str]) -> str:
    """What rows of one kind of score share, whatever their settings."""
    return f"{_scored(row)}, {row['detector'].removesuffix('_placed')}"


def _scored(row: dict[str, str]) -> str:
    parameters = _parameters(row)
    if "features" in parameters:
        return f"features {parameters['features']}"
    from_outputs = "region" in parameters or "score" in parameters
    return "outputs" if from_outputs else row["reducer"]


def _parameters(row: dict[str, str]) -> dict[str, Any]:
    try:
        parameters = json.loads(row["parameters"])
    except ValueError:
        parameters = None
    return parameters if isinstance(parameters, dict) else {"parameters": row["parameters"]}


def _family(rows: Rows, mode: str, family: str) -> Rows:
    return [row for row in rows if row["mode"] == mode and _family_of(row) == family]


def _best(rows: Rows, by: str) -> Rows:
    groups: dict[str, Rows] = {}
    for row in rows:
        if row[by]:
            groups.setdefault(_name(row), []).append(row)
    return max(groups.values(), key=lambda group: _mean(group, by)) if groups else []


def _known_gains(rows: Rows) -> list[str]:
    """Which outcomes the table of performance had."""
    return [column for column in _GAINED if any(row[column] for row in rows)]


def _measures(rows: Rows) -> list[str]:
    return ["cases in / out", *_METRICS.values(), *(_GAINED[column] for column in _known_gains(rows))]


def _figures(group: Rows, rows: Rows) -> list[str]:
    """The counts first: they tell how much the other figures can say."""
    counts = f"{escaped(group[0]['n_id'])} / {escaped(group[0]['n_ood'])}"
    return [counts, *(_cell(group, column) for column in (*_METRICS, *_known_gains(rows)))]


def _cell(group: Rows, metric: str) -> str:
    """Mean over the seeds with the interval; the standard deviation over seeds where they differ."""
    values = [float(row[metric]) for row in group if row[metric]]
    if not values:
        return "-"
    shown = _two_digits(float(np.mean(values)))
    if len(set(values)) > 1:
        shown += f" ± {np.std(values):.2f}"
    low, high = (_mean(group, f"{metric}{side}") for side in ("_low", "_high"))
    return f'{shown} <span class="range">[{_two_digits(low)}, {_two_digits(high)}]</span>' if low == low else shown  # noqa: PLR0124


def _two_digits(value: float) -> str:
    # Adding 0 takes the sign off a zero.
    return f"{round(value, 2) + 0.0:.2f}"


def _mean(group: Rows, column: str) -> float:
    values = [float(row[column]) for row in group if row[column]]
    return float(np.mean(values)) if values else float("nan")


def _plain(group: Rows, column: str) -> str:
    return f"{_mean(group, column):.3f}"


def _name(row: dict[str, str]) -> str:
    settings = {name: value for name, value in _parameters(row).items() if name != "features"}
    words = [f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}" for name, value in settings.items()]
    return escaped(", ".join([_scored(row), row["detector"], *words, *([f"k {row['k']}"] if row["k"] else [])]))


def _label(row: dict[str, str]) -> str:
    return "|".join(row[name] for name in ("mode", "reducer", "parameters", "detector", "k", "seed"))
