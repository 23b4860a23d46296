"""``bottleneck-ood triage``: assess a whole folder, the suspicious cases first."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from BottleneckOODLib.cli.assess import add_logic_options, add_trust_option
from BottleneckOODLib.cli.parsing import add_command, whole_number
from BottleneckOODLib.cli.terminal_text import say
from BottleneckOODLib.errors import InputError
from BottleneckOODLib.likely_meant import nearest_name

if TYPE_CHECKING:
    from BottleneckOODLib.triage.finding import Names, PassedOver
    from BottleneckOODLib.triage.store import Store

_NOTES = """\
A case is known by what its image holds: run the same command again and it goes on where it stopped, whatever was added,
moved or copied meanwhile. Localizers, derived series and segmentations are passed over, each with its reason; a file
that cannot be read is grey in the queue, with its reason.

New cases are called by a salted hash, since files and folders are often named after patients; "review show" tells where
the image of a case lies. Give --names files where their names help and identify nobody.

The words status, report, export and drift stand for themselves: "status" tells how far it is, "report" writes the
page --output (.html) with the queue, pictures, map and charts, "export" writes one row a case to the file --output
(.csv, .json or .parquet), "drift" tells whether the cases have moved away from the reference. A folder of such a name
has to be given as ./status."""
_WORDS = ("status", "report", "export", "drift")
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
            "bottleneck-ood triage report --store triage.db --output report.html",
            "bottleneck-ood triage drift --store triage.db --reference demo",
            "bottleneck-ood triage export --store triage.db --output cases.csv",
        ],
        notes=_NOTES,
    )
    parser.add_argument("what", metavar="CASES", help="a folder or a list; or the word status, report, export or drift")
    parser.add_argument("--store", required=True, metavar="URL", help="a file (SQLite), or a PostgreSQL URL")
    parser.add_argument(
        "--output",
        type=Path,
        metavar="PATH",
        help="where each case gets a folder (default: beside the store's file); for report and export: the file",
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
    add_trust_option(parser)
    parser.add_argument(
        "--names",
        choices=("files", "hashes"),
        default="hashes",
        help="what new cases are called: by a salted hash, or by the name of file or folder (default: hashes); files "
        "also tells paths (what is passed over, drift, export)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an existing file (report, export)")
    parser.add_argument("--no-thumbnails", action="store_true", help="a report without pictures of the cases")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Assess the batch, or tell how far it is."""
    from BottleneckOODLib.triage.store import Store  # noqa: PLC0415 - keeps --help fast

    if arguments.what in ("report", "export") and arguments.output is not None:
        from BottleneckOODLib.atomic_folder import check_file_writable  # noqa: PLC0415 - keeps --help fast

        check_file_writable(arguments.output, overwrite=arguments.overwrite)
    if arguments.what in _WORDS:
        with Store(existing(arguments.store)) as store:
            if arguments.what == "drift":
                return _drift(store, arguments.model, arguments.reference, arguments.names)
            if arguments.what == "report":
                return _report(store, arguments)
            if arguments.what == "export":
                return _export(store, arguments.output, arguments.names, overwrite=arguments.overwrite)
            return _status(store)
    output = arguments.output or _beside(arguments.store)
    from BottleneckOODLib.atomic_folder import check_writable  # noqa: PLC0415 - keeps --help fast
    from BottleneckOODLib.cli.console import ConsoleProgress, stopping_on_interrupt  # noqa: PLC0415
    from BottleneckOODLib.triage.finding import find_volumes, scattered_series  # noqa: PLC0415
    from BottleneckOODLib.triage.judging import Judge  # noqa: PLC0415
    from BottleneckOODLib.triage.running import run_batch  # noqa: PLC0415

    meant = None if Path(arguments.what).exists() else nearest_name(arguments.what, _WORDS)
    if meant is not None:
        message = f"There is no folder or list {arguments.what}; did you mean the word {meant}?"
        raise InputError(message)
    check_writable(output)
    found = list(find_volumes(Path(arguments.what), arguments.names))
    judge = Judge(
        arguments.model, arguments.reference, arguments.device, arguments.modality, trust_files=arguments.trust_files
    )
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
        if not found:
            _tell("note", [f"Nothing in {arguments.what} is an image; check the folder."])
        _tell("note", scattered_series(found))
        _tell("could not be read", summary.unreadable)
        _tell("not saved", summary.not_saved)
        _tell("passed over", _passed_over(summary.passed_over, arguments.names))
        if not all(item.named for item in summary.passed_over):
            print("Which these are is not told, since names may be a patient's; --names files tells it.")
        return _status(store)


def existing(store: str) -> str:
    """The store, if it is there: asking must not make one.

    Raises:
        InputError: The file does not exist, or is a folder.
    """
    from BottleneckOODLib.triage.store_file import file_of_store, without_scheme  # noqa: PLC0415 - keeps --help fast

    path, file = without_scheme(store), file_of_store(store)
    if file is not None and file.is_dir():
        message = f"The store {path} is a folder; name the file that triage has made."
        raise InputError(message)
    if file is not None and not file.is_file():
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
        say(f"  {waiting.light:6s} {waiting.case_id}: {waiting.sentence}")
    return 0


def _drift(store: Store, model: str, reference: str | None, names: Names) -> int:
    from BottleneckOODLib.logic import BottleneckOODLogic  # noqa: PLC0415 - keeps --help fast
    from BottleneckOODLib.triage.drift import drift_sentences  # noqa: PLC0415
    from BottleneckOODLib.triage.judging import Judge, fingerprint_of  # noqa: PLC0415

    compared = BottleneckOODLogic(model, reference).reference
    results = list(store.results(fingerprint_of(Judge(model, reference))))
    n_judged = sum(found.p_value is not None for found in results)
    n_others = len(store.p_values()) - n_judged
    if n_others and not n_judged:
        message = (
            f'The model and the reference "{compared.name}" did not judge the cases of this store; name those that '
            "did: --model, --reference."
        )
        raise InputError(message)
    if n_others:
        say(f"Left out, because another model or reference judged them: {n_others} cases.")
    folders = store.folders()
    if names != "files":
        first = {folder: case_id for case_id, folder in reversed(folders.items())}
        folders = {case_id: f"the folder of {first[folder]}" for case_id, folder in folders.items()}
    for sentence in drift_sentences(results, compared.combined_calibration, folders):
        say(sentence)
    return 0


def _report(store: Store, arguments: argparse.Namespace) -> int:
    from BottleneckOODLib.triage.report.writing import write_report  # noqa: PLC0415 - keeps --help fast

    if arguments.output is None:
        message = "The report needs a file; add --output with a name that ends in .html."
        raise InputError(message)
    n_cases = write_report(
        store,
        arguments.output,
        reference=arguments.reference,
        pictures=not arguments.no_thumbnails,
        overwrite=arguments.overwrite,
    )
    print(f"The report of {n_cases} cases lies in {arguments.output}; open it with a browser.")
    return 0


def _export(store: Store, output: Path | None, names: Names, *, overwrite: bool) -> int:
    from BottleneckOODLib.triage.export import case_rows, write_table  # noqa: PLC0415 - keeps --help fast

    if output is None:
        message = "The table needs a file; add --output with a name that ends in .csv, .json or .parquet."
        raise InputError(message)
    rows = case_rows(store.results())
    if names == "files":
        rows = [{**row, "image": store.places_of(str(row["case_id"]))[0].path} for row in rows]
    write_table(rows, output, overwrite=overwrite)
    print(f"{len(rows)} cases lie in {output}.")
    return 0


def _passed_over(items: Sequence[PassedOver], names: Names) -> list[str]:
    """One line each; those whose names are not to be told are counted by their reason."""
    from BottleneckOODLib.imaging.hidden_names import without_names  # noqa: PLC0415 - keeps --help fast

    if names == "files":
        return [f"{item.path}: {item.reason}" for item in items]
    unnamed = Counter(without_names(item.reason, item.path, "(its name)") for item in items if not item.named)
    counted = [f"{count} file(s) or folder(s): {reason}" for reason, count in unnamed.items()]
    return [f"{item.path.name}: {item.reason}" for item in items if item.named] + counted


def _beside(store: str) -> Path:
    from BottleneckOODLib.triage.store_file import file_of_store  # noqa: PLC0415 - keeps --help fast

    file = file_of_store(store)
    if file is None:
        message = "With a store on a server, say where the cases' folders go: add --output DIR."
        raise InputError(message)
    return file.with_suffix(".cases")


def _tell(title: str, lines: list[str]) -> None:
    for line in lines[:_MOST_LINES]:
        say(f"  {title}: {line}")
    if len(lines) > _MOST_LINES:
        print(f"  and {len(lines) - _MOST_LINES} more {title}")
