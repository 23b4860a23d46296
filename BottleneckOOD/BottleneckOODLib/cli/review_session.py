"""``bottleneck-ood review session``: one case after the other, one key each."""

from __future__ import annotations

import argparse
import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from BottleneckOODLib.cli.parsing import add_command
from BottleneckOODLib.cli.review_options import (
    CLAIM_NOTE,
    add_queue_options,
    add_reader,
    add_store,
    opened,
    reader_of,
    wish_of,
)
from BottleneckOODLib.cli.terminal_text import say
from BottleneckOODLib.errors import InputError, StoreError

if TYPE_CHECKING:
    from BottleneckOODLib.assessment.decision import Rating
    from BottleneckOODLib.triage.store import Store
    from BottleneckOODLib.triage.worklist import Waiting, Wish

_NOTES = f"""\
Keys: 1 accept, 2 minor edit, 3 major edit, 4 reject, 5 bad image; s skips the case, u undoes the last rating of the
session, q ends. In a terminal a key works at once, and one that was pressed before its case was shown does nothing;
elsewhere each stands on a line of its own. Each rating is kept when the next case comes. Overruling a light that was
shown asks for a reason (a letter) or a note (n).
{CLAIM_NOTE}"""
UNDO, SKIP, END, NOTE = "u", "s", "q", "n"
_CONTROL_D, _ESCAPE = "\x04", "\x1b"
_SAME_KEY_SECONDS = 0.05


def add_parser(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the action."""
    parser = add_command(
        actions,
        "session",
        "be given one case after the other and rate each with one key",
        [
            "bottleneck-ood review session --store triage.db --reader AB",
            "bottleneck-ood review session --store triage.db --reader AB --blind --light red",
        ],
        notes=_NOTES,
    )
    add_store(parser)
    add_reader(parser)
    add_queue_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Read until no case waits or the reader ends."""
    reader = reader_of(arguments)
    with opened(arguments) as store, _keys() as keys:
        Session(store, reader, wish_of(arguments), keys, blind=arguments.blind).run()
    return 0


class Keys(Protocol):
    """Where the reader's keys come from."""

    def forget(self) -> None:
        """Nothing that was pressed before now counts."""

    def key(self) -> str:
        """The next key; that of the end where there are no more."""

    def line(self) -> str:
        """A line of words."""


class Session:
    """A reader's sitting at a store.

    Args:
        store: The store, open.
        reader: Who reads.
        wish: Which cases.
        keys: What the reader presses.
        blind: Whether the light is hidden until the mask is rated.
    """

    def __init__(self, store: Store, reader: str, wish: Wish, keys: Keys, *, blind: bool) -> None:
        from BottleneckOODLib.triage.worklist import Worklist  # noqa: PLC0415 - keeps --help fast

        self._store, self._reader, self._wish, self._keys, self._blind = store, reader, wish, keys, blind
        self._work = Worklist(store)
        self._skipped: list[str] = []
        self._rated: list[str] = []

    def run(self) -> None:
        """Give cases until none waits or the reader ends; whatever ends it, no case stays claimed."""
        waiting = self._next()
        try:
            while waiting is not None:
                self._show(waiting)
                key = self._known_key(waiting)
                if key == END:
                    break
                waiting = self._after(key, waiting)
        finally:
            if waiting is not None:
                self._work.release(waiting.case_id, self._reader)
            else:
                print("No case waits for you.")
            print(f"{len(self._rated)} rated, {len(self._skipped)} skipped.", flush=True)

    def _next(self) -> Waiting | None:
        from BottleneckOODLib.triage.rating import next_case  # noqa: PLC0415 - keeps --help fast

        return next_case(self._store, self._reader, self._wish, blind=self._blind, passing_over=self._skipped)

    def _after(self, key: str, waiting: Waiting) -> Waiting | None:
        """Do what a key says, and give the case that comes next, which may be the same."""
        if key == SKIP:
            self._skipped.append(waiting.case_id)
            self._work.release(waiting.case_id, self._reader)
            return self._next()
        if key == UNDO:
            return self._undo(waiting)
        return self._next() if self._rate(waiting, key) else self._as_it_stands(waiting)

    def _as_it_stands(self, waiting: Waiting) -> Waiting | None:
        """The same case, which may have been assessed anew; the next one where somebody else reads it by now."""
        again = self._work.claim(waiting.case_id, self._reader, blind=waiting.claimed_blind)
        return self._next() if again is None else again

    def _rate(self, waiting: Waiting, key: str) -> bool:
        """Keep a rating, asking why where it overrules the light; False where none was kept."""
        from BottleneckOODLib.assessment.decision import decision_words  # noqa: PLC0415 - keeps --help fast
        from BottleneckOODLib.triage.rating import rate  # noqa: PLC0415

        case_id, rating = waiting.case_id, _ratings()[key]
        try:
            try:
                row = rate(self._store, case_id, rating, reader=self._reader, given=waiting)
            except InputError as error:
                reason, note = self._why(str(error))
                if not (reason or note):
                    print("  Not rated.")
                    return False
                row = rate(self._store, case_id, rating, reader=self._reader, reasons=reason, note=note, given=waiting)
        except StoreError as error:
            say(f"  {error}")
            return False
        self._rated.append(case_id)
        say(f"  {decision_words(row)}")
        if row.blind_first:
            say(f"  The light is {waiting.light}: {waiting.sentence}")
        return True

    def _why(self, sentence: str) -> tuple[tuple[str, ...], str]:
        """The reason that a letter names, or the reader's own words; neither where another key was pressed."""
        from BottleneckOODLib.assessment.decision import REASON_WORDS  # noqa: PLC0415 - keeps --help fast

        letters = dict(zip("abcdef", REASON_WORDS, strict=True))
        self._keys.forget()
        print(f"  {sentence}")
        reasons = "; ".join(f"{letter} {REASON_WORDS[reason]}" for letter, reason in letters.items())
        print(f"  {reasons}; n note", flush=True)
        key = self._keys.key()
        if key == NOTE:
            print("  note: ", end="", flush=True)
            return (), self._keys.line().strip()
        return ((letters[key],), "") if key in letters else ((), "")

    def _undo(self, waiting: Waiting) -> Waiting | None:
        from BottleneckOODLib.assessment.decision import RATING_WORDS  # noqa: PLC0415 - keeps --help fast
        from BottleneckOODLib.triage.rating import undo  # noqa: PLC0415

        if not self._rated:
            print("  Nothing was rated in this session.")
            return waiting
        case_id = self._rated.pop()
        try:
            withdrawn, _ = undo(self._store, case_id, reader=self._reader)
        except StoreError as error:
            # It was withdrawn elsewhere.
            say(f"  {error}")
            return waiting
        say(f'  {case_id}: "{RATING_WORDS[withdrawn.rating]}" is withdrawn.')
        # Its light has been seen, so it is not hidden again.
        again = self._work.claim(case_id, self._reader)
        if again is None:
            say(f"  {case_id} is being read by somebody else meanwhile.")
            return waiting
        self._work.release(waiting.case_id, self._reader)
        return again

    def _show(self, waiting: Waiting) -> None:
        from BottleneckOODLib.assessment.assessment import OVERVIEW_FILE, THUMBNAIL_FILE  # noqa: PLC0415

        hidden = waiting.claimed_blind
        say(f"\n{waiting.case_id}{': the light is hidden until you have rated' if hidden else f': {waiting.light}'}")
        if not hidden:
            say(f"  {waiting.sentence}")
        say(f"  image:   {self._store.places_of(waiting.case_id)[0].path}")
        # The overview tells the light; the small picture does not.
        names = (THUMBNAIL_FILE,) if hidden else (OVERVIEW_FILE, THUMBNAIL_FILE)
        pictures = [Path(waiting.folder) / name for name in names] if waiting.folder else []
        for picture in [path for path in pictures if path.is_file()][:1]:
            say(f"  picture: {picture}")

    def _known_key(self, waiting: Waiting) -> str:
        ratings = _ratings()
        self._keys.forget()
        offered = ", ".join(f"{key} {rating.replace('_', ' ')}" for key, rating in ratings.items())
        print(f"  {offered}; {SKIP} skip, {UNDO} undo, {END} end", flush=True)
        while (key := self._keys.key()) not in (*ratings, SKIP, UNDO, END):
            print(f"  {waiting.case_id} waits for one of these keys.", flush=True)
        return key


class _Lines:
    """Keys as the first letters of lines, for pipes and for terminals without single keys."""

    def forget(self) -> None:
        """Lines are written beforehand."""

    def key(self) -> str:
        line = sys.stdin.readline()
        return (line.strip()[:1].lower() or " ") if line else END

    def line(self) -> str:
        return sys.stdin.readline()


class _Terminal:
    """Single keys of a terminal.

    Args:
        descriptor: Of the terminal, in cbreak mode.
        cooked: Its settings before that.
    """

    def __init__(self, descriptor: int, cooked: list[Any]) -> None:
        self._descriptor, self._cooked = descriptor, cooked

    def forget(self) -> None:
        import termios  # noqa: PLC0415 - not on Windows

        termios.tcflush(self._descriptor, termios.TCIFLUSH)

    def key(self) -> str:
        pressed = os.read(self._descriptor, 1).decode("ascii", "replace").lower()
        if pressed == _ESCAPE:
            # Page Up, Delete and their like send several signs, digits among them, which are no keys of ours.
            while select.select([self._descriptor], [], [], _SAME_KEY_SECONDS)[0] and os.read(self._descriptor, 1):
                pass
        return END if pressed in ("", _CONTROL_D) else pressed

    def line(self) -> str:
        import termios  # noqa: PLC0415 - not on Windows
        import tty  # noqa: PLC0415 - not on Windows

        # Typed with echo and corrections, as any line.
        termios.tcsetattr(self._descriptor, termios.TCSADRAIN, self._cooked)
        try:
            words = bytearray()
            while (byte := os.read(self._descriptor, 1)) not in (b"", b"\n"):
                words += byte
            return words.decode("utf-8", "replace")
        finally:
            tty.setcbreak(self._descriptor, termios.TCSADRAIN)


@contextmanager
def _keys() -> Iterator[Keys]:
    try:
        import termios  # noqa: PLC0415 - not on Windows
        import tty  # noqa: PLC0415 - not on Windows
    except ImportError:
        yield _Lines()
        return
    if not sys.stdin.isatty():
        yield _Lines()
        return
    descriptor = sys.stdin.fileno()
    cooked = termios.tcgetattr(descriptor)
    tty.setcbreak(descriptor, termios.TCSADRAIN)
    try:
        yield _Terminal(descriptor, cooked)
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, cooked)


def _ratings() -> dict[str, Rating]:
    from BottleneckOODLib.assessment.decision import RATING_WORDS  # noqa: PLC0415 - keeps --help fast

    return {str(number): cast("Rating", rating) for number, rating in enumerate(RATING_WORDS, start=1)}
