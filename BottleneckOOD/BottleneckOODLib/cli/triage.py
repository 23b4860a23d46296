"""``bottleneck-ood triage``: assess a whole folder, the suspicious cases first."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from BottleneckOODLib.cli.assess import add_logic_options
from BottleneckOODLib.cli.parsing import add_command, whole_number
from BottleneckOODLib.errors import InputError

if TYPE_CHECKING:
    from BottleneckOODLib.triage.store import Store

_NOTES = """\
A case is known by what its image holds: run the same command again and it goes on where it stopped, whatever was added,
moved or copied meanwhile. Localizers, derived series and segmentations are passed over, each with its reason; a file
that cannot be read is grey in the queue, with its reason.

The words status, export and drift stand for themselves: "status" tells how far it is, "export" writes one row a case
to the file --output (.csv, .json or .parquet), "drift" tells whether the cases have moved away from the reference. A
folder of such a name has to be given as ./status."""
_WORDS = ("status", "export", "drift")
_FALSE_ALARMS = 0.10
_MOST_LINES = 20


def add_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb."""
    parser = add_command(
        verbs,
        "triage",
        "assess a folder or a list of cases, each once, into a store",
        [
            "bottleneck-ood triage scans --store triage.db",
            "bottleneck-ood triage scans --store triage.db --workers 4",
            "bottleneck-ood triage list.csv --store postgresql://me@server/triage --scheduler tcp://head:8786",
            "bottleneck-ood triage status --store triage.db",
            "bottleneck-ood triage drift --store triage.db --reference demo",
            "bottleneck-ood triage export --store triage.db --output cases.csv",
        ],
        notes=_NOTES,
    )
    parser.add_argument("what", metavar="CASES", help="a folder or a list; or the word status, export or drift")
    parser.add_argument("--store", required=True, metavar="URL", help="a file (SQLite), or a PostgreSQL URL")
    parser.add_argument(
        "--output",
        type=Path,
        metavar="PATH",
        help="where each case gets a folder (default: beside the store's file); for export: the table's file",
    )
    add_logic_options(parser)
    parser.add_argument("--modality", choices=("CT", "MR"), help="what the images are, where the files do not say")
    parser.add_argument(
        "--workers",
        type=whole_number("--workers", least=1),
        default=1,
        metavar="N",
        help="processes on this machine (default: 1)",
    )
    parser.add_argument("--scheduler", metavar="ADDRESS", help="a running Dask scheduler instead")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Assess the batch, or tell how far it is."""
    from BottleneckOODLib.triage.store import Store  # noqa: PLC0415 - keeps --help fast

    if arguments.what in _WORDS:
        with Store(existing(arguments.store)) as store:
            if arguments.what == "drift":
                return _drift(store, arguments.model, arguments.reference)
            return _status(store) if arguments.what == "status" else _export(store, arguments.output)
    output = arguments.output or _beside(arguments.store)
    from BottleneckOODLib.atomic_folder import check_writable  # noqa: PLC0415 - keeps --help fast
    from BottleneckOODLib.cli.console import ConsoleProgress, stopping_on_interrupt  # noqa: PLC0415
    from BottleneckOODLib.triage.finding import find_volumes  # noqa: PLC0415
    from BottleneckOODLib.triage.judging import Judge  # noqa: PLC0415
    from BottleneckOODLib.triage.running import run_batch  # noqa: PLC0415

    check_writable(output)
    found = list(find_volumes(Path(arguments.what)))
    judge = Judge(arguments.model, arguments.reference, arguments.device, arguments.modality)
    with Store(arguments.store) as store, stopping_on_interrupt() as cancel:
        progress = ConsoleProgress("triage")
        try:
            summary = run_batch(
                store,
                found,
                output,
                judge,
                n_workers=arguments.workers,
                scheduler=arguments.scheduler,
                progress=progress,
                cancel=cancel,
            )
        finally:
            progress.done()
        print(
            f"{summary.assessed} assessed, {summary.known} known already, {summary.copies} copies, "
            f"{len(summary.unreadable)} could not be read, {len(summary.passed_over)} passed over."
        )
        _tell("could not be read", summary.unreadable)
        _tell("passed over", [f"{item.path}: {item.reason}" for item in summary.passed_over])
        return _status(store)


def existing(store: str) -> str:
    """The store, if it is there: asking must not make one.

    Raises:
        InputError: The file does not exist.
    """
    path = store.removeprefix("sqlite:///")
    if "://" not in path and not Path(path).expanduser().is_file():
        message = f"The store {path} does not exist; make it with: bottleneck-ood triage FOLDER --store {path}"
        raise InputError(message)
    return store


def _status(store: Store) -> int:
    import numpy as np  # noqa: PLC0415 - keeps --help fast

    from BottleneckOODLib.ood.false_alarms import flagged_at  # noqa: PLC0415
    from BottleneckOODLib.triage.worklist import Wish, Worklist  # noqa: PLC0415

    work = Worklist(store)
    lights = ", ".join(f"{work.count(Wish(light=light))} {light}" for light in ("red", "grey", "amber", "green"))
    read, held = work.count(Wish(state="read")), work.count(Wish(state="claimed"))
    print(f"{work.count()} cases: {lights}; {read} read, {held} being read.")
    flags = int(flagged_at(np.array(store.p_values()), _FALSE_ALARMS).sum())
    print(f"By p-value, {flags} can be flagged with at most {_FALSE_ALARMS:.0%} false alarms among them.")
    for waiting in work.page(Wish(state="open"), size=5):
        print(f"  {waiting.light:6s} {waiting.case_id}: {waiting.sentence}")
    return 0


def _drift(store: Store, model: str, reference: str | None) -> int:
    from BottleneckOODLib.logic import BottleneckOODLogic  # noqa: PLC0415 - keeps --help fast
    from BottleneckOODLib.reference.scoring import combined_calibration  # noqa: PLC0415
    from BottleneckOODLib.triage.drift import drift_sentences  # noqa: PLC0415

    spaces = BottleneckOODLogic(model, reference).reference.spaces
    for sentence in drift_sentences(store.results(), combined_calibration(spaces), store.folders()):
        print(sentence)
    return 0


def _export(store: Store, output: Path | None) -> int:
    from BottleneckOODLib.triage.export import case_rows, write_table  # noqa: PLC0415 - keeps --help fast

    if output is None:
        message = "The table needs a file; add --output with a name that ends in .csv, .json or .parquet."
        raise InputError(message)
    rows = case_rows(store.results())
    write_table(rows, output)
    print(f"{len(rows)} cases lie in {output}.")
    return 0


def _beside(store: str) -> Path:
    path = store.removeprefix("sqlite:///")
    if "://" in path:
        message = "With a store on a server, say where the cases' folders go: add --output DIR."
        raise InputError(message)
    return Path(path).expanduser().with_suffix(".cases")


def _tell(title: str, lines: list[str]) -> None:
    for line in lines[:_MOST_LINES]:
        print(f"  {title}: {line}")
    if len(lines) > _MOST_LINES:
        print(f"  and {len(lines) - _MOST_LINES} more {title}")
