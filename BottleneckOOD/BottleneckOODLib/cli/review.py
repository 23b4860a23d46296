"""``bottleneck-ood review``: the readers' side of a store: the next case, a rating, undoing it, and what came of it."""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from BottleneckOODLib.cli.parsing import add_command, share, whole_number
from BottleneckOODLib.errors import InputError, StoreError

if TYPE_CHECKING:
    from BottleneckOODLib.triage.store import Store
    from BottleneckOODLib.triage.worklist import Waiting

READER_VARIABLE = "BOTTLENECK_OOD_READER"
# As assessment/decision.py has them, which would make --help slow; a test compares.
RATINGS = ("accept", "minor_edit", "major_edit", "reject", "bad_image")
REASONS = ("liver_missing", "other_tissue", "contour_off", "image_quality", "other_image", "mask_fits")
LIGHTS = ("green", "amber", "red", "grey")
_REASON_HELP = f"why: {', '.join(REASONS)}; may be given several times"
_CLAIM = "A case that you are given is kept from other readers for half an hour."


def add_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb."""
    parser = add_command(
        verbs,
        "review",
        "read the cases of a store, the most unusual first",
        ["bottleneck-ood review next --store triage.db --reader AB"],
    )
    actions = parser.add_subparsers(title="actions", dest="action", metavar="ACTION", required=True)
    _add_next(actions)
    show = add_command(
        actions,
        "show",
        "show what is known of a case, and every decision on it",
        ["bottleneck-ood review show ct --store triage.db"],
    )
    show.add_argument("case", metavar="CASE", help="name of the case")
    _add_store(show)
    show.set_defaults(run=run_show)
    _add_decide(actions)
    undo = add_command(
        actions,
        "undo",
        "withdraw your last rating of a case; the rating stays in the record",
        ["bottleneck-ood review undo ct --store triage.db --reader AB"],
    )
    undo.add_argument("case", metavar="CASE", help="name of the case")
    _add_store(undo)
    _add_reader(undo)
    undo.add_argument("--note", default="", metavar="TEXT", help="why")
    undo.set_defaults(run=run_undo)
    agreement = add_command(
        actions,
        "agreement",
        "how far the readers agree, with each other and with the light",
        ["bottleneck-ood review agreement --store triage.db"],
    )
    _add_store(agreement)
    agreement.set_defaults(run=run_agreement)
    export = add_command(
        actions,
        "export",
        "write every decision as a table",
        ["bottleneck-ood review export --store triage.db --output decisions.csv"],
    )
    _add_store(export)
    export.add_argument("--output", required=True, type=Path, metavar="FILE", help="ends in .csv, .json or .parquet")
    export.add_argument("--overwrite", action="store_true", help="replace an existing file")
    export.set_defaults(run=run_export)


def run_next(arguments: argparse.Namespace) -> int:
    """Give the reader the next case."""
    from BottleneckOODLib.triage.worklist import Wish, Worklist  # noqa: PLC0415 - keeps --help fast

    wish = Wish(
        light=arguments.light or "",
        search=arguments.search,
        readings=arguments.readings,
        green_share=arguments.green_share,
    )
    with _opened(arguments) as store:
        waiting = Worklist(store).claim_next(arguments.reader or _reader(), wish, blind=arguments.blind)
        if waiting is None:
            print("No case waits for you; look at all of them with: bottleneck-ood triage status")
            return 0
        places = store.places_of(waiting.case_id)
    print(f"{waiting.case_id}{'' if waiting.claimed_blind else f': {waiting.light}'}")
    if waiting.claimed_blind:
        print("  The light is hidden until you have rated the mask.")
    else:
        print(f"  {waiting.sentence}")
    print(f"  image:  {places[0].path}")
    if waiting.folder:
        print(f"  result: {waiting.folder}")
    return 0


def run_show(arguments: argparse.Namespace) -> int:
    """Show a case; a reader who was to rate it first has seen it then, which is taken down."""
    from BottleneckOODLib.assessment.decision import decision_words  # noqa: PLC0415 - keeps --help fast
    from BottleneckOODLib.triage.decisions import StoredDecisions  # noqa: PLC0415
    from BottleneckOODLib.triage.worklist import Worklist  # noqa: PLC0415

    with _opened(arguments) as store:
        work = Worklist(store)
        waiting = work.at(arguments.case)
        log = StoredDecisions(store).decisions_of(arguments.case)
        if waiting is not None and waiting.claimed_blind:
            work.reveal(arguments.case, waiting.claimed_by)
    if waiting is None:
        print(f"{arguments.case}: not assessed yet")
    else:
        print(f"{waiting.case_id}: {waiting.light}\n  {waiting.sentence}")
        print(f"  {waiting.readings} reading(s)" + (f", being read by {waiting.claimed_by}" if _held(waiting) else ""))
        if waiting.folder:
            print(f"  result: {waiting.folder}")
    standing = {row.decision_id for row in log.standing}
    for row in log.decisions:
        withdrawn = row.rating != "withdrawn" and row.decision_id not in standing
        print(f"  {decision_words(row, withdrawn=withdrawn)}")
    for sentence in log.damage:
        print(f"  note: {sentence}")
    return 0


def run_decide(arguments: argparse.Namespace) -> int:
    """Keep a rating; what the reader had been shown is known from how the case was given."""
    from BottleneckOODLib.assessment.decision import decide, decision_words, shown_of  # noqa: PLC0415
    from BottleneckOODLib.triage.decisions import StoredDecisions, reader_name  # noqa: PLC0415
    from BottleneckOODLib.triage.worklist import Worklist  # noqa: PLC0415

    reader = reader_name(arguments.reader or _reader())
    with _opened(arguments) as store:
        work = Worklist(store)
        assessment, waiting = store.assessment_of(arguments.case), work.at(arguments.case)
        if assessment is None or waiting is None:
            message = f"The case {arguments.case} has no assessment, so there is no mask to rate."
            raise StoreError(message)
        if _held(waiting) and waiting.claimed_by != reader:
            message = f"The case {arguments.case} is being read by {waiting.claimed_by}; take another one."
            raise StoreError(message)
        mine = waiting.claimed_by == reader
        hidden = mine and waiting.claimed_blind
        row = decide(
            assessment,
            arguments.rating,
            reader=reader,
            reasons=arguments.reason or (),
            note=arguments.note,
            seconds=max(0.0, time.time() - waiting.claimed_at) if mine else 0.0,
            blind_first=hidden,
            shown=None if hidden else shown_of(assessment),
        )
        StoredDecisions(store).add(row)
    print(f"{arguments.case}: {decision_words(row)}")
    if hidden:
        print(f"  The light is {waiting.light}: {waiting.sentence}")
    return 0


def run_undo(arguments: argparse.Namespace) -> int:
    """Withdraw the reader's last standing rating."""
    from BottleneckOODLib.assessment.decision import RATING_WORDS, shown_of, withdraw  # noqa: PLC0415 - keeps --help fast
    from BottleneckOODLib.triage.decisions import StoredDecisions, reader_name  # noqa: PLC0415

    reader = reader_name(arguments.reader or _reader())
    with _opened(arguments) as store:
        decisions = StoredDecisions(store)
        mine = [row for row in decisions.decisions_of(arguments.case).standing if reader_name(row.reader) == reader]
        if not mine:
            message = f"There is no rating of {arguments.case} by {reader} to withdraw."
            raise StoreError(message)
        assessment = store.assessment_of(arguments.case)
        shown = None if assessment is None else shown_of(assessment)
        decisions.add(withdraw(mine[-1], reader=reader, note=arguments.note, shown=shown))
    now = f'your rating "{RATING_WORDS[mine[-2].rating]}" stands' if len(mine) > 1 else "the case waits for you again"
    print(f'{arguments.case}: "{RATING_WORDS[mine[-1].rating]}" by {reader} is withdrawn; {now}.')
    return 0


def run_agreement(arguments: argparse.Namespace) -> int:
    """Print counts and kappa."""
    from BottleneckOODLib.triage.agreement import agreements, readings  # noqa: PLC0415 - keeps --help fast
    from BottleneckOODLib.triage.decisions import StoredDecisions  # noqa: PLC0415

    with _opened(arguments) as store:
        logs = [log for _, log in StoredDecisions(store).all()]
    counts = readings(logs)
    print(f"{counts.n_ratings} ratings stand, {counts.n_withdrawn} were withdrawn.")
    print("  " + ", ".join(f"{n} {name}" for name, n in counts.by_rating.items()))
    if counts.n_ratings:
        print(f"  {counts.n_overruling} overrule the light that was seen; {counts.n_blind} came before it was seen.")
        print(f"  median {counts.seconds:.0f} s a case")
    for pair in agreements(logs):
        kappa = "kappa not defined" if pair.kappa is None else f"kappa {pair.kappa:.2f}"
        print(f"  {' and '.join(pair.readers)}: the same rating in {pair.same} of {pair.n_cases} cases, {kappa}")
    return 0


def run_export(arguments: argparse.Namespace) -> int:
    """Write the table."""
    from BottleneckOODLib.triage.decisions import StoredDecisions  # noqa: PLC0415 - keeps --help fast
    from BottleneckOODLib.triage.export import decision_rows, write_table  # noqa: PLC0415

    with _opened(arguments) as store:
        rows = decision_rows(StoredDecisions(store).all())
    write_table(rows, arguments.output, overwrite=arguments.overwrite)
    print(f"{len(rows)} decisions lie in {arguments.output}.")
    return 0


def _add_next(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = add_command(
        actions,
        "next",
        "be given the most unusual case that waits for you",
        [
            "bottleneck-ood review next --store triage.db --reader AB",
            "bottleneck-ood review next --store triage.db --reader AB --blind --readings 2 --green-share 0.1",
        ],
        notes=_CLAIM,
    )
    _add_store(parser)
    _add_reader(parser)
    parser.add_argument("--blind", action="store_true", help="rate the mask first, then see the light")
    parser.add_argument("--light", choices=LIGHTS, help="cases of this light alone")
    parser.add_argument("--search", default="", metavar="TEXT", help="cases whose name holds this")
    parser.add_argument(
        "--readings",
        type=whole_number("--readings", least=1),
        default=1,
        metavar="N",
        help="how many readers each case needs (default: 1)",
    )
    parser.add_argument(
        "--green-share",
        type=share("--green-share"),
        default=1.0,
        metavar="S",
        help="which share of the green cases is read, 0 to 1 (default: 1)",
    )
    parser.set_defaults(run=run_next)


def _add_decide(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = add_command(
        actions,
        "decide",
        "rate the mask of a case",
        [
            "bottleneck-ood review decide ct --store triage.db --reader AB --rating minor_edit",
            "bottleneck-ood review decide ct --store triage.db --reader AB --rating reject --reason other_tissue",
        ],
        notes="Overruling the light that you have seen needs a reason or a note.",
    )
    parser.add_argument("case", metavar="CASE", help="name of the case")
    _add_store(parser)
    _add_reader(parser)
    parser.add_argument("--rating", required=True, choices=RATINGS, help="what is to be done with the mask")
    parser.add_argument("--reason", action="append", choices=REASONS, metavar="KEY", help=_REASON_HELP)
    parser.add_argument("--note", default="", metavar="TEXT", help="why, in your own words")
    parser.set_defaults(run=run_decide)


def _add_store(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--store", required=True, metavar="URL", help="a file (SQLite), or a PostgreSQL URL")


def _add_reader(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--reader", metavar="NAME", help=f"your name or initials (default: the variable {READER_VARIABLE})"
    )


def _reader() -> str:
    name = os.environ.get(READER_VARIABLE, "")
    if not name.strip():
        message = f"A reader needs a name; add --reader, or set the variable {READER_VARIABLE}."
        raise InputError(message)
    return name


def _opened(arguments: argparse.Namespace) -> Store:
    from BottleneckOODLib.cli.triage import existing  # noqa: PLC0415 - keeps --help fast
    from BottleneckOODLib.triage.store import Store  # noqa: PLC0415

    return Store(existing(arguments.store))


def _held(waiting: Waiting) -> bool:
    return bool(waiting.claimed_by) and waiting.claimed_until > time.time()
