"""``bottleneck-ood review``: the readers' side of a store: the next case, a rating, undoing it, and what came of it."""

from __future__ import annotations

import argparse
from pathlib import Path

from BottleneckOODLib.cli import review_session
from BottleneckOODLib.cli.parsing import add_command
from BottleneckOODLib.cli.review_options import (
    CLAIM_NOTE,
    add_queue_options,
    add_reader,
    add_store,
    named_reader,
    opened,
    reader_of,
    wish_of,
)
from BottleneckOODLib.cli.terminal_text import say

# As assessment/decision.py has them, which would make --help slow; a test compares.
RATINGS = ("accept", "minor_edit", "major_edit", "reject", "bad_image")
REASONS = ("liver_missing", "other_tissue", "contour_off", "image_quality", "other_image", "mask_fits")
_TO_SEE = "To see it, add --reader with your name; that you have seen it is taken down."
_REASON_HELP = f"why: {', '.join(REASONS)}; may be given several times"


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
    review_session.add_parser(actions)
    show = add_command(
        actions,
        "show",
        "show what is known of a case, and every decision on it",
        ["bottleneck-ood review show case-14fb10c4cac0 --store triage.db --reader AB"],
        notes="What you see is taken down under your name. Without one, the light of a case that somebody is to rate "
        "before seeing it stays hidden.",
    )
    show.add_argument("case", metavar="CASE", help="name of the case")
    add_store(show)
    add_reader(show)
    show.set_defaults(run=run_show)
    _add_decide(actions)
    undo = add_command(
        actions,
        "undo",
        "withdraw your last rating of a case; the rating stays in the record",
        ["bottleneck-ood review undo case-14fb10c4cac0 --store triage.db --reader AB"],
    )
    undo.add_argument("case", metavar="CASE", help="name of the case")
    add_store(undo)
    add_reader(undo)
    undo.add_argument("--note", default="", metavar="TEXT", help="why")
    undo.set_defaults(run=run_undo)
    agreement = add_command(
        actions,
        "agreement",
        "how far the readers agree, with each other and with the light",
        ["bottleneck-ood review agreement --store triage.db"],
    )
    add_store(agreement)
    agreement.set_defaults(run=run_agreement)
    export = add_command(
        actions,
        "export",
        "write every decision as a table",
        ["bottleneck-ood review export --store triage.db --output decisions.csv"],
    )
    add_store(export)
    export.add_argument("--output", required=True, type=Path, metavar="FILE", help="ends in .csv, .json or .parquet")
    export.add_argument("--overwrite", action="store_true", help="replace an existing file")
    export.set_defaults(run=run_export)


def run_next(arguments: argparse.Namespace) -> int:
    """Give the reader the next case."""
    from BottleneckOODLib.triage.rating import next_case  # noqa: PLC0415 - keeps --help fast

    with opened(arguments) as store:
        waiting = next_case(store, reader_of(arguments), wish_of(arguments), blind=arguments.blind)
        if waiting is None:
            print("No case waits for you; look at all of them with: bottleneck-ood triage status")
            return 0
        places = store.places_of(waiting.case_id)
    say(f"{waiting.case_id}{'' if waiting.claimed_blind else f': {waiting.light}'}")
    if waiting.claimed_blind:
        print("  The light is hidden until you have rated the mask.")
    else:
        say(f"  {waiting.sentence}")
    say(f"  image:  {places[0].path}")
    if waiting.folder:
        say(f"  result: {waiting.folder}")
    return 0


def run_show(arguments: argparse.Namespace) -> int:
    """Show a case; that a named reader has seen its light is taken down, and an unnamed one is told no hidden light."""
    from BottleneckOODLib.assessment.decision import decision_words  # noqa: PLC0415 - keeps --help fast
    from BottleneckOODLib.triage.decisions import StoredDecisions  # noqa: PLC0415
    from BottleneckOODLib.triage.rating import is_held  # noqa: PLC0415
    from BottleneckOODLib.triage.worklist import Worklist  # noqa: PLC0415

    reader = named_reader(arguments)
    with opened(arguments) as store:
        waiting = Worklist(store).show(arguments.case, reader)
        log, places = StoredDecisions(store).decisions_of(arguments.case), store.places_of(arguments.case)
    hidden = waiting is not None and waiting.claimed_blind and not reader
    if waiting is None:
        say(f"{arguments.case}: not assessed yet")
    else:
        if hidden:
            say(f"{waiting.case_id}\n  The light is hidden: {waiting.claimed_by} rates the mask first. {_TO_SEE}")
        else:
            say(f"{waiting.case_id}: {waiting.light}\n  {waiting.sentence}")
        say(f"  image:   {places[0].path}")
        held = f", being read by {waiting.claimed_by}" if is_held(waiting) else ""
        say(f"  {waiting.readings} reading(s){held}")
        for what, path in _files_of(waiting.folder, hidden=hidden).items():
            say(f"  {what + ':':8s} {path}")
    standing = {row.decision_id for row in log.standing}
    # What others said of the case tells the light too.
    for row in () if hidden else log.decisions:
        withdrawn = row.rating != "withdrawn" and row.decision_id not in standing
        say(f"  {decision_words(row, withdrawn=withdrawn)}")
    for sentence in log.damage:
        say(f"  note: {sentence}")
    return 0


def _files_of(folder: str, *, hidden: bool) -> dict[str, Path]:
    """The folder of a result, and what there is to look at in it; nothing where the case has none."""
    from BottleneckOODLib.assessment.assessment import OVERVIEW_FILE, THUMBNAIL_FILE  # noqa: PLC0415 - as above
    from BottleneckOODLib.assessment.record import SEGMENTATION_FILE  # noqa: PLC0415

    if not folder:
        return {}
    files = {"result": Path(folder)}
    # The overview tells the light; the small picture does not.
    named = {"picture": THUMBNAIL_FILE if hidden else OVERVIEW_FILE, "mask": SEGMENTATION_FILE}
    return files | {what: Path(folder) / name for what, name in named.items() if (Path(folder) / name).is_file()}


def run_decide(arguments: argparse.Namespace) -> int:
    """Keep a rating; what the reader had been shown is known from how the case was given."""
    from BottleneckOODLib.assessment.decision import decision_words  # noqa: PLC0415 - keeps --help fast
    from BottleneckOODLib.triage.rating import rate  # noqa: PLC0415
    from BottleneckOODLib.triage.worklist import Worklist  # noqa: PLC0415

    with opened(arguments) as store:
        row = rate(
            store,
            arguments.case,
            arguments.rating,
            reader=reader_of(arguments),
            reasons=arguments.reason or (),
            note=arguments.note,
        )
        waiting = Worklist(store).at(arguments.case)
    say(f"{arguments.case}: {decision_words(row)}")
    if row.blind_first and waiting is not None:
        say(f"  The light is {waiting.light}: {waiting.sentence}")
    return 0


def run_undo(arguments: argparse.Namespace) -> int:
    """Withdraw the reader's last standing rating."""
    from BottleneckOODLib.assessment.decision import RATING_WORDS  # noqa: PLC0415 - keeps --help fast
    from BottleneckOODLib.triage.rating import undo  # noqa: PLC0415

    reader = reader_of(arguments)
    with opened(arguments) as store:
        withdrawn, stands = undo(store, arguments.case, reader=reader, note=arguments.note)
    now = "the case waits for you again" if stands is None else f'your rating "{RATING_WORDS[stands.rating]}" stands'
    say(f'{arguments.case}: "{RATING_WORDS[withdrawn.rating]}" by {withdrawn.reader} is withdrawn; {now}.')
    return 0


def run_agreement(arguments: argparse.Namespace) -> int:
    """Print counts and kappa."""
    from BottleneckOODLib.triage.agreement import agreements, readings  # noqa: PLC0415 - keeps --help fast
    from BottleneckOODLib.triage.decisions import StoredDecisions  # noqa: PLC0415

    with opened(arguments) as store:
        logs = [log for _, log in StoredDecisions(store).all()]
    counts = readings(logs)
    print(f"Ratings that stand: {counts.n_ratings}; withdrawn: {counts.n_withdrawn}.")
    print("  " + ", ".join(f"{n} {name}" for name, n in counts.by_rating.items()))
    if counts.n_ratings:
        print(f"  {counts.n_overruling} overrule the light that was seen; {counts.n_blind} came before it was seen.")
        untimed = "" if counts.n_timed == counts.n_ratings else f" (of the {counts.n_timed} whose time is known)"
        if counts.seconds is None:
            print("  no time is known: a case's time begins when review next or review session gives it")
        else:
            print(f"  median {counts.seconds:.0f} s a case{untimed}")
    for pair in agreements(logs):
        kappa = "kappa not defined" if pair.kappa is None else f"kappa {pair.kappa:.2f}"
        say(f"  {' and '.join(pair.readers)}: the same rating in {pair.same} of {pair.n_cases} cases, {kappa}")
    return 0


def run_export(arguments: argparse.Namespace) -> int:
    """Write the table."""
    from BottleneckOODLib.triage.decisions import StoredDecisions  # noqa: PLC0415 - keeps --help fast
    from BottleneckOODLib.triage.export import decision_rows, write_table  # noqa: PLC0415

    with opened(arguments) as store:
        rows = decision_rows(StoredDecisions(store).all(), store.result_folders)
    write_table(rows, arguments.output, overwrite=arguments.overwrite)
    print(f"Decisions in {arguments.output}: {len(rows)}.")
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
        notes=CLAIM_NOTE,
    )
    add_store(parser)
    add_reader(parser)
    add_queue_options(parser)
    parser.set_defaults(run=run_next)


def _add_decide(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = add_command(
        actions,
        "decide",
        "rate the mask of a case",
        [
            "bottleneck-ood review decide case-14fb10c4cac0 --store triage.db --reader AB --rating minor_edit",
            "bottleneck-ood review decide case-14fb10c4cac0 --store triage.db --reader AB --rating reject "
            "--reason other_tissue",
        ],
        notes="Overruling the light that you have seen needs a reason or a note.",
    )
    parser.add_argument("case", metavar="CASE", help="name of the case")
    add_store(parser)
    add_reader(parser)
    parser.add_argument("--rating", required=True, choices=RATINGS, help="what is to be done with the mask")
    parser.add_argument("--reason", action="append", choices=REASONS, metavar="KEY", help=_REASON_HELP)
    parser.add_argument("--note", default="", metavar="TEXT", help="why, in your own words")
    parser.set_defaults(run=run_decide)
