"""``bottleneck-ood reference``: build, extend, show and list the references that cases are compared with."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from BottleneckOODLib.cli.parsing import add_command
from BottleneckOODLib.cli.reference_build import add_build
from BottleneckOODLib.cli.reference_card import card_rows, counted_cases
from BottleneckOODLib.cli.reference_extend import add_extend
from BottleneckOODLib.cli.terminal_text import say
from BottleneckOODLib.errors import InputError, ReferenceSetError

if TYPE_CHECKING:
    from BottleneckOODLib.reference.cases_file import ReferenceCase


def add_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb."""
    parser = add_command(
        verbs,
        "reference",
        "build, extend, show or list references",
        ["bottleneck-ood reference list", "bottleneck-ood reference show demo"],
    )
    actions = parser.add_subparsers(title="actions", dest="action", metavar="ACTION", required=True)
    add_build(actions)
    add_extend(actions)
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
    for key, value in card_rows(reference).items():
        say(f"{key + ':':22s} {value}")
    for warning in unreachable_levels(1 / (int(reference.calibrating.sum()) + 1)):
        print(f"{'note:':22s} {warning}")
    if arguments.by is not None:
        say(_dice_by(arguments.by, reference.cases))
    return 0


def run_list(_arguments: argparse.Namespace) -> int:
    """List the references."""
    from BottleneckOODLib.catalogue import list_references  # noqa: PLC0415 - keeps --help fast
    from BottleneckOODLib.reference.reference_folder import Reference  # noqa: PLC0415

    for name, folder in list_references().items():
        try:
            reference = Reference.load(folder)
        except ReferenceSetError as error:
            say(f"{name:16s} {error}")
            continue
        say(f"{name:16s} {counted_cases(reference)}, made by model {reference.model_fingerprint[:8]}")
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
