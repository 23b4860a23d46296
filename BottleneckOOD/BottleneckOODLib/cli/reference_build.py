"""``bottleneck-ood reference build``: from cases to a reference."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from BottleneckOODLib.cli.assess import add_trust_option, reader
from BottleneckOODLib.cli.parsing import add_command, whole_number
from BottleneckOODLib.cli.terminal_text import say
from BottleneckOODLib.errors import Cancelled, InputError, ReferenceSetError

if TYPE_CHECKING:
    from BottleneckOODLib.gathering.case import CaseForReference
    from BottleneckOODLib.reference.reference_folder import Reference

_MOST_LINES = 20
_NOTES = """\
A CSV of cases has a column "image", and may have "case_id", "label" (a label map of the organ) and facts of the
acquisition, which are kept with the reference (so no names); paths are relative to the CSV. A folder gives every
image and DICOM folder in it.

With labels, each case's Dice and surface distances (mean, and 95% Hausdorff, in mm) are kept with it. Cases that
cannot be read, that are very unusual by a plain fact (another modality, no Hounsfield units, an empty mask) or that
are the same image as another are left out, and told.

A run that was stopped or killed goes on where it was when the same command is given again: what was measured lies
in R.partial until the reference is saved."""


def add_build(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the action."""
    build = add_command(
        actions,
        "build",
        "build a reference from cases",
        [
            "bottleneck-ood reference build --model demo --cases cases.csv --output my-reference",
            "bottleneck-ood reference build --cases imagesTr --labels labelsTr --label liver=1,tumour=2 --output mine",
            "bottleneck-ood reference build --cases scans --pooling mean_std --pca 32 --workers 4 --output mine",
        ],
        notes=_NOTES,
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
    build.add_argument(
        "--labels", type=Path, metavar="FOLDER", help="a label map of each case, a file of the case's or image's name"
    )
    build.add_argument(
        "--label",
        metavar="NAME=VALUE",
        help="value of the organ in the label maps; several are merged, as in liver=1,tumour=2",
    )
    build.add_argument(
        "--performance", type=Path, metavar="CSV", help="known Dice of cases without labels: filename, DICE_Score"
    )
    build.add_argument(
        "--failure-dice",
        type=_a_dice,
        default=0.8,
        metavar="DICE",
        help="a mask with this Dice or less has failed (default: 0.8)",
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
    build.add_argument(
        "--keep-unusual", action="store_true", help="keep cases that are very unusual by a plain fact as well"
    )
    build.add_argument(
        "--thumbnails", action="store_true", help="keep a small picture of each case with the reference, by number"
    )
    build.add_argument(
        "--workers",
        type=whole_number("--workers", least=1),
        default=1,
        metavar="N",
        help="processes that each hold the model (default: 1)",
    )
    build.add_argument("--name", metavar="NAME", help="name of the reference (default: the output folder's)")
    build.add_argument("--output", required=True, type=Path, metavar="R", help="the reference folder to make")
    build.add_argument("--device", default="auto", metavar="DEVICE", help="auto, cpu, cuda, cuda:N or mps")
    build.add_argument("--overwrite", action="store_true", help="replace a reference that exists already")
    add_trust_option(build)
    build.set_defaults(run=run_build)


def run_build(arguments: argparse.Namespace) -> int:
    """Run the model on every case and save the reference."""
    from BottleneckOODLib.atomic_folder import check_writable  # noqa: PLC0415 - keeps --help fast
    from BottleneckOODLib.cli.console import ConsoleProgress, stopping_on_interrupt  # noqa: PLC0415
    from BottleneckOODLib.gathering.rows import remove_row_files  # noqa: PLC0415
    from BottleneckOODLib.logic import BottleneckOODLogic  # noqa: PLC0415

    output: Path = arguments.output
    if output.name in ("", ".."):
        message = f"The output {output} has no name of its own; name a folder to be made, such as my-reference."
        raise InputError(message)
    check_writable(output)
    if output.exists() and not arguments.overwrite:
        message = f"The folder {output} exists already and was kept; choose another, or add --overwrite."
        raise ReferenceSetError(message)
    logic = BottleneckOODLogic(arguments.model, None, arguments.device)
    cases, count = _cases(arguments)
    known = _known_dice(arguments.performance, cases)
    partial = output.with_name(f"{output.name}.partial")
    with stopping_on_interrupt() as cancel, telling_what_is_kept(partial):
        progress = ConsoleProgress("reference build")
        reference = logic.build_reference(
            arguments.name or output.name,
            cases,
            n_cases=count,
            pooling=arguments.pooling,
            n_components=arguments.pca,
            keep_unusual=arguments.keep_unusual,
            workers=arguments.workers,
            cache=partial,
            thumbnails=arguments.thumbnails,
            known_dice=known,
            failure_dice=arguments.failure_dice,
            progress=progress,
            cancel=cancel,
        )
        saved = reference.save(output, overwrite=arguments.overwrite)
        remove_row_files(partial)
        progress.done()
    _tell(saved, output)
    return 0


def _cases(arguments: argparse.Namespace) -> tuple[Sequence[CaseForReference], int]:
    from BottleneckOODLib.imaging.label_choice import LabelChoice  # noqa: PLC0415 - keeps --help fast
    from BottleneckOODLib.reference.building import check_names_and_count  # noqa: PLC0415
    from BottleneckOODLib.reference_cases import generated_cases, listed_cases  # noqa: PLC0415

    if arguments.generated is not None:
        if arguments.labels is not None or arguments.label is not None:
            message = "Generated bodies bring their labels along; leave out --labels and --label."
            raise InputError(message)
        check_names_and_count([f"body-{number}" for number in range(arguments.generated)])
        generated = list(generated_cases(arguments.generated, arguments.seed, arguments.data))
        return generated, len(generated)
    choice = None if arguments.label is None else LabelChoice.parse(arguments.label)
    listed = listed_cases(
        arguments.cases, arguments.labels, choice, reader(trusted=arguments.trust_files)
    )
    check_names_and_count([case.case_id for case in listed])
    labelled = sum(case.labelled for case in listed)
    if choice is not None and not labelled:
        message = "No case has labels, so --label says nothing; give --labels FOLDER or a column label, or leave it."
        raise InputError(message)
    if arguments.labels is not None and labelled < len(listed):
        print(f"note: {labelled} of {len(listed)} cases have labels.", file=sys.stderr)
    return listed, len(listed)


def _known_dice(table: Path | None, cases: Sequence[CaseForReference]) -> dict[str, float]:
    if table is None:
        return {}
    from BottleneckOODLib.evaluation.cohort import read_performance  # noqa: PLC0415 - keeps --help fast

    outcomes = read_performance(table).outcomes
    known = {name: of_case["dice"] for name, of_case in outcomes.items() if not math.isnan(of_case["dice"])}
    if not known.keys() & {case.case_id for case in cases}:
        message = f"The performance table {table} names no case of the reference, such as {cases[0].case_id}."
        raise InputError(message)
    return known


def _a_dice(text: str) -> float:
    value = float(text) if text.replace(".", "", 1).isdecimal() else math.nan
    if not 0 < value < 1:
        message = f"--failure-dice is {text}; give a number between 0 and 1."
        raise InputError(message)
    return value


@contextmanager
def telling_what_is_kept(partial: Path) -> Iterator[None]:
    """Tell where the measured cases are when the run is stopped."""
    try:
        yield
    except (Cancelled, KeyboardInterrupt):
        if partial.is_dir():
            print(
                f"\nnote: what was measured is kept in {partial}; the same command goes on from there.", file=sys.stderr
            )
        raise


def _tell(saved: Reference, output: Path) -> None:
    from BottleneckOODLib.assessment.wording import unreachable_levels  # noqa: PLC0415 - keeps --help fast

    left_out = saved.settings.get("left_out", [])
    print(f"The reference of {len(saved.cases)} cases lies in {output}; {len(left_out)} could not be used.")
    for line in left_out[:_MOST_LINES]:
        say(f"  {line}")
    if len(left_out) > _MOST_LINES:
        print(f"  and {len(left_out) - _MOST_LINES} more")
    if saved.outcomes is not None and any(case.dice is not None for case in saved.cases):
        for reason in saved.outcomes.reasons:
            print(f"note: {reason}")
    for warning in unreachable_levels(1 / (len(saved.cases) + 1)):
        print(f"note: {warning}")
