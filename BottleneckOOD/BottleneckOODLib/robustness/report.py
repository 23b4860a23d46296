"""The report of a benchmark: what was measured, which detector saw what, and what none of them saw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from BottleneckOODLib.ood.failure_metrics import FEW_CASES
from BottleneckOODLib.reference.outcomes import FAILURE_DICE
from BottleneckOODLib.robustness.base_cases import TEST, VALIDATION
from BottleneckOODLib.robustness.corruptions import AS_IT_IS, CATALOGUE, CLEAN
from BottleneckOODLib.robustness.heat_map import heat_map_rows
from BottleneckOODLib.robustness.tables import ALL, LIGHT, Judged, flagged, summary_rows

PICTURES = {TEST: "heat-map.png", VALIDATION: "heat-map-validation.png"}
_PART_WORDS = {
    TEST: "Test part: the scans of the data folder",
    VALIDATION: "Validation part: generated bodies that the reference does not hold",
}


def report_text(
    judged: Sequence[Judged], detectors: Sequence[str], facts: Mapping[str, Any], choice: Mapping[str, Any]
) -> str:
    """The report in Markdown.

    Args:
        judged: Every image.
        detectors: Names of the detectors, ``"combined"`` first.
        facts: What was run: model, reference, counts, refused images.
        choice: The bottleneck's detector as the validation part chose it.
    """
    parts = [part for part in PICTURES if any(one.row.part == part for one in judged)]
    sections = ["# Which damage is seen, and by which detector", _introduction(facts), _choice(choice)]
    sections += [_part(part, [one for one in judged if one.row.part == part], detectors) for part in parts]
    if facts["refused"]:
        sections.append("## Could not be measured\n\n" + "\n".join(f"- {line}" for line in facts["refused"]))
    return "\n\n".join(sections) + "\n"


def _introduction(facts: Mapping[str, Any]) -> str:
    return (
        f"Model {facts['model']}, reference {facts['reference']} ({facts['n_reference']} cases), BottleneckOOD "
        f"{facts['program_version']}. Each p-value is conformal, by leave-one-out scores of the reference's cases; "
        f"what the reference does not keep was measured again on {facts['n_calibration']} cases "
        f"({facts['n_as_kept']} of them are, feature by feature, the reference's own), so no p-value of those "
        f"detectors is below 1/{facts['n_calibration'] + 1}. A segmentation failed when its Dice is "
        f"{FAILURE_DICE:g} or less, and cases of the reference that failed calibrate nothing; an image is flagged at "
        "p <= 10%. Damaged copies of one image are no independent cases: read "
        "counts, not digits. A mask is to be reviewed whatever a detector says."
    )


def _choice(choice: Mapping[str, Any]) -> str:
    lines = [
        "## The bottleneck's detector, by the validation part alone",
        f"Chosen: **{choice['detector']}** ({choice['reason']}); {choice['n_failed']} failed and "
        f"{choice['n_good']} other images of {choice['chosen_on']}.",
    ]
    if "all" in choice:
        heads = list(choice["all"])
        lines.append(_table(["detector", *heads], [["AUROC", *(f"{choice['all'][head]:.3f}" for head in heads)]]))
    return "\n\n".join(lines)


def _part(part: str, own: Sequence[Judged], detectors: Sequence[str]) -> str:
    few = min(sum(one.failed is True for one in own), sum(one.failed is False for one in own))
    sections = [f"## {_PART_WORDS[part]}", f"![{part}]({PICTURES[part]})"]
    if few < FEW_CASES:
        sections.append(f"Only {few} images are in the smaller class (failed or not): read the counts.")
    sections += [_by_detector(own), _by_corruption(own, detectors), _unseen(own, detectors)]
    return "\n\n".join(sections)


def _by_detector(own: Sequence[Judged]) -> str:
    rows = [row for row in summary_rows(own) if row["corruption"] == ALL]
    undamaged = {row["detector"]: row for row in summary_rows(own) if row["corruption"] == CLEAN}
    lines = []
    for row in rows:
        clean = undamaged.get(row["detector"])
        quiet = f"{_percent(clean['flagged'])} of {clean['n']}" if clean else ""
        lines.append(
            [
                row["detector"].replace("_", " "),
                f"{_percent(row['failed_flagged'])} of {row['n_failed']}",
                f"{_percent(row['good_flagged'])} of {row['n_good']}",
                quiet,
                row["auroc"] and f"{float(row['auroc']):.2f}",
            ]
        )
    heads = ["detector", "failed, flagged", "did not fail, flagged", "undamaged, flagged", "AUROC for failures"]
    return _table(heads, lines)


def _by_corruption(own: Sequence[Judged], detectors: Sequence[str]) -> str:
    shown = [CLEAN, *CATALOGUE, AS_IT_IS]
    rows = {(row["corruption"], row["detector"]): row for row in summary_rows(own) if row["corruption"] in shown}
    lines = []
    for corruption in shown:
        whole = rows.get((corruption, LIGHT))
        if whole is None:
            continue
        # The detectors that flag most of its failures, or most of all where none failed.
        counted = "failed_flagged" if int(whole["n_failed"]) else "flagged"
        values = {name: float(rows[corruption, name][counted] or 0) for name in detectors}
        highest = max(values.values())
        best = [name.replace("_", " ") for name, value in values.items() if value == highest and value > 0]
        lines.append(
            [
                corruption,
                whole["n"],
                whole["mean_dice"] and f"{float(whole['mean_dice']):.2f}",
                whole["n_failed"],
                _percent(whole["flagged"]),
                _percent(whole["failed_flagged"]),
                f"{highest:.0%}: {', '.join(best)}" if best else "none",
            ]
        )
    heads = [
        "corruption", "images", "mean Dice", "failed", "light not green", "of the failed, not green",
        "detectors that flag most (of the failed, where some failed)",
    ]  # fmt: skip
    return _table(heads, lines)


def _unseen(own: Sequence[Judged], detectors: Sequence[str]) -> str:
    lines = []
    for title, group in heat_map_rows(own):
        missed = [one for one in group if one.failed and one.light == "green"]
        for one in missed:
            seen = [name.replace("_", " ") for name in detectors if flagged(one, name)]
            by = f"flagged by {', '.join(seen)}" if seen else "**no detector flags it**"
            lines.append(f"- {one.row.case}, {title}: Dice {one.row.measured.dice:.2f}; {by}")
    if not lines:
        return "No failed segmentation of this part has a green light."
    return "Failed segmentations whose light is green all the same:\n\n" + "\n".join(lines)


def _percent(share: str) -> str:
    return f"{float(share):.0%}" if share else "-"


def _table(heads: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    rows = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|", *(f"| {' | '.join(line)} |" for line in lines)]
    return "\n".join(rows)


def choice_inputs(judged: Sequence[Judged]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Bottlenecks (n, d), Dice (n,) and number of the body (n,) of the validation part; nothing of the test part."""
    own = [one for one in judged if one.row.part == VALIDATION and one.row.measured.dice is not None]
    names = list(dict.fromkeys(one.row.case for one in own))
    bottlenecks = np.array([one.row.measured.features["bottleneck"] for one in own])
    dice = np.array([one.row.measured.dice for one in own], dtype=np.float64)
    return bottlenecks, dice, np.array([names.index(one.row.case) for one in own])
