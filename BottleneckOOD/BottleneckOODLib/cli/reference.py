"""``bottleneck-ood reference``: build, show and list the references that cases are compared with."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean, median
from typing import TYPE_CHECKING, Any

from BottleneckOODLib.cli.parsing import add_command, whole_number
from BottleneckOODLib.errors import InputError, ReferenceSetError

if TYPE_CHECKING:
    from BottleneckOODLib.reference.reference_folder import ReferenceCase

GOOD_DICE = 0.9
_MOST_LINES = 20
_CASES = """\
A CSV of cases has a column "image", and may have "case_id", "label" (a label map of the organ) and facts of the
acquisition, which are kept with the reference (so no names); paths are relative to the CSV. A folder gives every
image and DICOM folder in it."""


def add_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb."""
    parser = add_command(
        verbs,
        "reference",
        "build, show or list references",
        ["bottleneck-ood reference list", "bottleneck-ood reference show demo"],
    )
    actions = parser.add_subparsers(title="actions", dest="action", metavar="ACTION", required=True)
    build = add_command(
        actions,
        "build",
        "build a reference from cases",
        [
            "bottleneck-ood reference build --model demo --cases cases.csv --output my-reference",
            "bottleneck-ood reference build --cases scans --pooling mean_std --pca 32 --output my-reference",
        ],
        notes=_CASES,
    )
    build.add_argument("--model", default="demo", metavar="M", help="name or folder of the model (default: demo)")
    source = build.add_mutually_exclusive_group(required=True)
    source.add_argument("--cases", type=Path, metavar="CSV|FOLDER", help="the cases")
    source.add_argument(
        "--generated",
        type=whole_number("--generated", least=1),
        metavar="N",
        help="N generated bodies instead, as for the demo",
    )
    build.add_argument("--data", type=Path, metavar="DIR", help="with --generated: labelled scans to deform")
    build.add_argument(
        "--seed",
        type=whole_number("--seed", least=0),
        default=7,
        metavar="N",
        help="with --generated: seed (default: 7)",
    )
    build.add_argument(
        "--pooling",
        choices=("mean", "mean_std", "max"),
        default="mean",
        help="how the bottleneck's tokens become one vector a case (default: mean)",
    )
    build.add_argument(
        "--pca",
        type=whole_number("--pca", least=1),
        metavar="N",
        help="reduce the bottleneck to N principal components (default: keep it whole)",
    )
    build.add_argument("--name", metavar="NAME", help="name of the reference (default: the output folder's)")
    build.add_argument("--output", required=True, type=Path, metavar="R", help="the reference folder to make")
    build.add_argument("--device", default="auto", metavar="DEVICE", help="auto, cpu, cuda, cuda:N or mps")
    build.add_argument("--overwrite", action="store_true", help="replace a reference that exists already")
    build.set_defaults(run=run_build)
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


def run_build(arguments: argparse.Namespace) -> int:
    """Run the model on every case and save the reference."""
    from BottleneckOODLib.assessment.wording import unreachable_levels  # noqa: PLC0415 - keeps --help fast
    from BottleneckOODLib.atomic_folder import check_writable  # noqa: PLC0415
    from BottleneckOODLib.cli.console import ConsoleProgress, stopping_on_interrupt  # noqa: PLC0415
    from BottleneckOODLib.logic import BottleneckOODLogic  # noqa: PLC0415
    from BottleneckOODLib.reference.building import check_names_and_count  # noqa: PLC0415

    check_writable(arguments.output)
    if arguments.output.exists() and not arguments.overwrite:
        message = f"The folder {arguments.output} exists already and was kept; choose another, or add --overwrite."
        raise ReferenceSetError(message)
    logic = BottleneckOODLogic(arguments.model, None, arguments.device)
    if arguments.generated is not None:
        from BottleneckOODLib.reference_cases import generated_cases  # noqa: PLC0415

        check_names_and_count([f"body-{number}" for number in range(arguments.generated)])
        cases, count = generated_cases(arguments.generated, arguments.seed, arguments.data), arguments.generated
    else:
        from BottleneckOODLib.reference_cases import listed_cases  # noqa: PLC0415

        listed = listed_cases(arguments.cases)
        check_names_and_count([case.case_id for case in listed])
        cases, count = iter(listed), len(listed)
    with stopping_on_interrupt() as cancel:
        progress = ConsoleProgress("reference build")
        reference = logic.build_reference(
            arguments.name or arguments.output.name,
            cases,
            n_cases=count,
            pooling=arguments.pooling,
            n_components=arguments.pca,
            progress=progress,
            cancel=cancel,
        )
        saved = reference.save(arguments.output, overwrite=arguments.overwrite)
        progress.done()
    left_out = saved.settings.get("left_out", [])
    print(f"The reference of {len(saved.cases)} cases lies in {arguments.output}; {len(left_out)} could not be used.")
    for line in left_out[:_MOST_LINES]:
        print(f"  {line}")
    if len(left_out) > _MOST_LINES:
        print(f"  and {len(left_out) - _MOST_LINES} more")
    for warning in unreachable_levels(1 / (len(saved.cases) + 1)):
        print(f"note: {warning}")
    return 0


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
