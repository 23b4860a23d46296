"""What the commands show while they run and when they are done."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TextIO

from BottleneckOODLib.assessment.assessment import Assessment, Memory
from BottleneckOODLib.assessment.wording import PRELIMINARY, STATE_WORDS
from BottleneckOODLib.cli.terminal_text import printable
from BottleneckOODLib.progress import LEFT_OUT, CancelToken, Progress

_WIDTH, _LONGEST_TITLE = 78, 36
_PIPED_SECONDS = 30.0
_MINUTES_FROM, _HOURS_FROM = 180.0, 7200.0
_SIGNS = {"green": "●", "amber": "▲", "red": "⬣", "grey": "▭"}


class ConsoleProgress:
    """One line that is rewritten on a terminal; elsewhere one line a step, and one now and then; nothing when quiet.

    Args:
        title: What is being worked on.
        quiet: Show nothing.
        stream: Where to write.
    """

    def __init__(self, title: str, *, quiet: bool = False, stream: TextIO | None = None) -> None:
        # A line that wraps cannot be rewritten.
        shown = printable(title)
        self._title = shown if len(shown) <= _LONGEST_TITLE else f"{shown[: _LONGEST_TITLE - 1]}…"
        self._quiet = quiet
        self._stream = stream or sys.stderr
        self._terminal = self._stream.isatty()
        self._last_step = ""
        self._last_time = 0.0
        self._piped_since = time.monotonic()

    def __call__(self, progress: Progress) -> None:
        """Show one report."""
        if self._quiet:
            return
        if progress.message:
            self._tell(progress.message)
        if self._terminal:
            now = time.monotonic()
            if now - self._last_time < 0.1 and progress.step == self._last_step:  # noqa: PLR2004 - ten a second
                return
            self._stream.write("\r" + self._line(progress).ljust(_WIDTH))
            self._stream.flush()
            self._last_time = now
        elif progress.step != self._last_step:
            self._stream.write(f"{self._title}: {progress.step}\n")
            self._piped_since = time.monotonic()
        elif time.monotonic() - self._piped_since >= _PIPED_SECONDS:
            self._stream.write(f"{self._line(progress)}\n")
            self._stream.flush()
            self._piped_since = time.monotonic()
        self._last_step = progress.step

    def _line(self, progress: Progress) -> str:
        left = "" if progress.seconds_left is None else f", {_time_in_words(progress.seconds_left)} left"
        return f"{self._title}: {progress.step} {100 * progress.fraction:3.0f}%{left}"

    def _tell(self, message: str) -> None:
        if message.startswith((PRELIMINARY, LEFT_OUT)):
            message = printable(message)
            self._stream.write(f"\r{message:<{_WIDTH}}\n" if self._terminal else f"{self._title}: {message}\n")

    def done(self) -> None:
        """Clear the line."""
        if self._terminal and not self._quiet:
            self._stream.write("\r" + " " * _WIDTH + "\r")
            self._stream.flush()


def _time_in_words(seconds: float) -> str:
    if seconds < _MINUTES_FROM:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < _HOURS_FROM else f"{seconds / 3600:.1f} h"


@contextmanager
def stopping_on_interrupt() -> Iterator[CancelToken]:
    """Ctrl+C stops at the next safe point; a second one stops at once."""
    token = CancelToken()

    def stop(_number: int, _frame: FrameType | None) -> None:
        if token.cancelled:
            raise KeyboardInterrupt
        token.cancel()

    previous = signal.signal(signal.SIGINT, stop)
    try:
        yield token
    finally:
        signal.signal(signal.SIGINT, previous)


def in_gb(size: int | None) -> str:
    """Bytes, for people.

    >>> in_gb(1_530_000_000), in_gb(None)
    ('1.53 GB', 'not known')
    """
    return "not known" if size is None else f"{size / 1e9:.2f} GB"


def show_assessment(assessment: Assessment, where: str, stream: TextIO | None = None, *, details: bool = False) -> None:
    """Print light, sentence and place of the result; with ``details`` what was measured beside it, too."""
    out = stream or sys.stdout
    encoding = getattr(out, "encoding", None) or "ascii"
    sign = _SIGNS[assessment.light]
    try:
        sign.encode(encoding)
    except UnicodeEncodeError:
        sign = {"green": "o", "amber": "^", "red": "#", "grey": "-"}[assessment.light]
    lines = [f"{sign} {assessment.case_id}: {STATE_WORDS[assessment.light]}", f"  {assessment.sentence}"]
    failed = [c for c in assessment.checks if c.state in ("soft", "hard") and c.name not in assessment.parts]
    lines += [f"  - {c.message}" for c in failed if c.message[1:].rstrip(".") not in assessment.sentence]
    lines += [f"  {sentence}" for sentence in (assessment.outcome.sentences if assessment.outcome else ())]
    lines += [f"  note: {warning}" for warning in assessment.warnings]
    seconds = assessment.timings_s.get("total", 0.0)
    lines += _details(assessment) if details else []
    memory = _memory(assessment.peak_memory)
    lines.append(f"  liver {assessment.volume_ml:.0f} ml, {seconds:.1f} s on {assessment.device}{memory}; {where}")
    # A letter that the console lacks is shown by its code.
    print(printable("\n".join(lines)).encode(encoding, "backslashreplace").decode(encoding), file=out)


def _memory(peak: Memory | None) -> str:
    if peak is None or peak.process_bytes is None:
        return ""
    card = "" if peak.card_bytes is None else f", {in_gb(peak.card_bytes)} of the card"
    return f", peak memory {in_gb(peak.process_bytes)}{card}"


def _details(assessment: Assessment) -> list[str]:
    """Seconds of each step, and how far the members of an ensemble disagree."""
    steps = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in assessment.timings_s.items() if name != "total")
    named = {"mirroring": "mirrored windows", "folds": "folds"}
    shares = [
        f"{named.get(name, name)} disagree by {share:.3f} (1 - mean Dice of each two masks; no part of the light)"
        for name, share in assessment.disagreement.items()
    ]
    return [f"  steps: {steps}", *(f"  {share}" for share in shares or ["the model mirrors nothing and has one fold"])]
