"""``bottleneck-ood embed``: run a model on cases and save what ``evaluate`` takes."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from BottleneckOODLib.cli.assess import add_trust_option, reader
from BottleneckOODLib.cli.parsing import add_command
from BottleneckOODLib.cli.terminal_text import say
from BottleneckOODLib.errors import Cancelled

_MOST_LINES = 20
_NOTES = """\
A CSV of cases has a column "image", and may have "case_id" and "label" (a label map of the organ); paths are relative
to the CSV. A folder gives every image and DICOM folder in it.

The output has a folder for each kind of feature, with one file a case, and performance.csv with Dice, largest and mean
surface distance (mm) of each case that has labels: evaluate takes them as they are. The same command goes on where it
was stopped, and adds what a new option asks for."""


def add_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb."""
    parser = add_command(
        verbs,
        "embed",
        "save a model's features of many cases, for evaluate",
        [
            "bottleneck-ood embed --model my-model --cases train.csv --output train",
            "bottleneck-ood embed --model my-model --cases test.csv --output test --stages --logits",
        ],
        notes=_NOTES,
    )
    parser.add_argument("--model", default="demo", metavar="M", help="name or folder of the model (default: demo)")
    parser.add_argument("--cases", required=True, type=Path, metavar="CSV|FOLDER", help="the cases")
    parser.add_argument("--output", required=True, type=Path, metavar="DIR", help="the folder of the features")
    parser.add_argument(
        "--stages", action="store_true", help="also every encoder stage, whole and inside the predicted mask"
    )
    parser.add_argument(
        "--flips", action="store_true", help="also the logits of four mirrored images: four passes a case more"
    )
    parser.add_argument("--logits", action="store_true", help="also the logits, in half precision; they are large")
    parser.add_argument("--device", default="auto", metavar="DEVICE", help="auto, cpu, cuda, cuda:N or mps")
    add_trust_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the model on every case, and say what was saved."""
    from BottleneckOODLib.atomic_folder import check_writable  # noqa: PLC0415 - keeps --help fast
    from BottleneckOODLib.cli.console import ConsoleProgress, stopping_on_interrupt  # noqa: PLC0415
    from BottleneckOODLib.embedding.folder import PERFORMANCE  # noqa: PLC0415
    from BottleneckOODLib.embedding.running import EmbeddingPlan, embed_cases  # noqa: PLC0415
    from BottleneckOODLib.logic import BottleneckOODLogic  # noqa: PLC0415
    from BottleneckOODLib.reference_cases import listed_cases  # noqa: PLC0415

    check_writable(arguments.output)
    cases = listed_cases(arguments.cases, read=reader(trusted=arguments.trust_files))
    logic = BottleneckOODLogic(arguments.model, None, arguments.device)
    progress = ConsoleProgress("embed")
    with stopping_on_interrupt() as cancel:
        try:
            report = embed_cases(
                logic.segmenter,
                cases,
                arguments.output,
                EmbeddingPlan(stages=arguments.stages, flips=arguments.flips, logits=arguments.logits),
                progress=progress,
                cancel=cancel,
            )
        except (Cancelled, KeyboardInterrupt):
            progress.done()
            print("bottleneck-ood: cases that were done are kept; the same command goes on.", file=sys.stderr)
            raise
    progress.done()
    print(
        f"Features of {report.embedded} cases were saved in {arguments.output}; "
        f"{report.kept} were there already and {len(report.left_out)} could not be used."
    )
    _list("could not be used", report.left_out)
    _list("nothing was marked, so the features of the mask are zeros", report.empty)
    if report.labelled:
        print(f"{PERFORMANCE} there has the outcomes of {report.labelled} cases with labels.")
    else:
        print(f"No case has labels, so {PERFORMANCE} there is empty; evaluate needs the Dice of each test case.")
    return 0


def _list(title: str, lines: tuple[str, ...]) -> None:
    for line in lines[:_MOST_LINES]:
        say(f"  {title}: {line}")
    if len(lines) > _MOST_LINES:
        print(f"  and {len(lines) - _MOST_LINES} more")
