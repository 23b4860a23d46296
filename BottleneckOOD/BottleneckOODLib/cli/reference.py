"""``bottleneck-ood reference``: build, show and list the references that cases are compared with."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from statistics import fmean, median
from typing import TYPE_CHECKING, Any

from BottleneckOODLib.cli.parsing import add_command
from BottleneckOODLib.cli.reference_build import add_build
from BottleneckOODLib.errors import InputError, ReferenceSetError

if TYPE_CHECKING:
    from BottleneckOODLib.reference.cases_file import ReferenceCase

GOOD_DICE = 0.9


def add_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb."""
    parser = add_command(
        verbs,
        "reference",
        "build, show or list references",
        ["bottleneck-ood reference list", "bottleneck-ood reference show demo"],
    )
    actions = parser.add_subparsers(title="actions", dest="action", metavar="ACTION", required=True)
    add_build(actions)
    show = add_command(
        actions,
        "show",
        "show what a reference holds",
        ["bottleneck-ood reference show demo", "bottleneck-ood reference show demo --by slice_thickness_mm"],
    )
    show.add_argument("reference", metavar="R", help="name or folder")
    show.add_argument("--by", metavar="FACT", help="also the Dice of its cases by a fact of their acquisition")
    show.set_defaults(run=run_show)
    listing = add_command(actions, "list", "list the references that can be named", ["bottleneck-ood reference list"])
    listing.set_defaults(run=run_list)


def run_show(arguments: argparse.Namespace) -> int:
    """Show a reference's card."""
    from BottleneckOODLib.assessment.wording import unreachable_levels  # noqa: PLC0415
    from BottleneckOODLib.catalogue import find_reference  # noqa: PLC0415 - keeps --help fast
    from BottleneckOODLib.reference.reference_folder import Reference  # noqa: PLC0415

    reference = Reference.load(find_reference(arguments.reference))
    outcomes = sorted(case.dice for case in reference.cases if case.dice is not None)
    rows = {
        "name": reference.name,
        "cases": str(len(reference.cases)),
        "smallest p-value": f"{1 / (len(reference.cases) + 1):.4f}",
        "levels": ", ".join(f"{name} {level}" for name, level in reference.settings["levels"].items()),
        "pooling": str(reference.settings["pooling"]),
        "detector": _in_words(reference.settings["detector_choice"]),
        "spaces": ", ".join(f"{name} ({space.features.shape[1]})" for name, space in reference.spaces.items()),
        "Dice of its cases": "unknown"
        if not outcomes
        else f"mean {fmean(outcomes):.3f}, median {median(outcomes):.3f}, lowest {outcomes[0]:.3f}, "
        f"at least 0.9 in {100 * fmean(d >= GOOD_DICE for d in outcomes):.0f}%, known for {len(outcomes)}",
        "made by model": reference.model_fingerprint,
        "fingerprint": reference.fingerprint,
    }
    for key, value in rows.items():
        print(f"{key + ':':22s} {value}")
    for warning in unreachable_levels(1 / (len(reference.cases) + 1)):
        print(f"{'note:':22s} {warning}")
    if arguments.by is not None:
        print(_dice_by(arguments.by, reference.cases))
    return 0


def run_list(_arguments: argparse.Namespace) -> int:
    """List the references."""
    from BottleneckOODLib.catalogue import list_references  # noqa: PLC0415 - keeps --help fast
    from BottleneckOODLib.reference.reference_folder import Reference  # noqa: PLC0415

    for name, folder in list_references().items():
        try:
            reference = Reference.load(folder)
        except ReferenceSetError as error:
            print(f"{name:16s} {error}")
            continue
        print(f"{name:16s} {len(reference.cases)} cases, made by model {reference.model_fingerprint[:8]}")
    return 0


def _dice_by(fact: str, cases: Sequence[ReferenceCase]) -> str:
    groups: dict[str, list[float]] = {}
    for case in cases:
        if case.dice is not None and fact in case.facts:
            groups.setdefault(case.facts[fact], []).append(case.dice)
    if not groups:
        known = ", ".join(sorted({name for case in cases for name in case.facts})) or "none"
        message = f"No case with a Dice has the fact {fact}; the facts are: {known}."
        raise InputError(message)
    lines = [f"Dice by {fact}:"]
    for value in sorted(groups):
        lines.append(f"  {value:18s} mean {sum(groups[value]) / len(groups[value]):.3f}, {len(groups[value])} cases")
    return "\n".join(lines)


def _in_words(choice: Mapping[str, Any]) -> str:
    """The detector, and how well it tells the reference's own failures apart."""
    name = {"md": "shrunk Mahalanobis distance"}.get(str(choice["detector"]), str(choice["detector"]))
    if choice.get("auroc") is None:
        return f"{name} ({choice['reason']})"
    failures = f"{choice['n_failed']} cases with a {choice['failure']}"
    return f"{name}, AUROC {choice['auroc']} for {failures} ({choice['reason']})"
