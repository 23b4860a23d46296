"""What is shown while a command runs, and the lines of its result."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest

from BottleneckOODLib.assessment.assessment import Assessment, InputFacts, Memory, ModelFacts, ReferenceFacts
from BottleneckOODLib.assessment.checks import Check
from BottleneckOODLib.assessment.wording import STATE_WORDS
from BottleneckOODLib.cli import console
from BottleneckOODLib.cli.console import ConsoleProgress, show_assessment
from BottleneckOODLib.progress import Progress, ProgressReporter
from BottleneckOODLib.reference.scoring import PartScore


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True

    def lines(self) -> list[str]:
        """What stood on each line when it was last written."""
        return [line.split("\r")[-1].rstrip() for line in self.getvalue().split("\n")]


def an_assessment(light: str = "amber", **changes: object) -> Assessment:
    fields: dict[str, object] = {
        "case_id": "case-7",
        "created": "2026-01-02T03:04:05+00:00",
        "program_version": "0.1.0",
        "input": InputFacts("case-7.nii.gz", "CT", (4, 5, 6), (1.0, 1.0, 1.0), "LPS"),
        "model": ModelFacts("demo", "1", "ab" * 32),
        "reference": ReferenceFacts("demo", "cd" * 32, 60),
        "light": light,
        "sentence": "A sentence; review the mask with care.",
        "detector": "md",
        "score": 0.75,
        "p_value": 0.07,
        "percentile": 94.0,
        "parts": {"body_layout": PartScore(1.0, 0.05, 95.0, 0.9)},
        "checks": (
            Check("modality", "met", "The image is CT."),
            Check("field_of_view", "soft", "The scan covers too little."),
            Check("spacing", "hard", "The slices are too thick."),
            Check("body_layout", "soft", "Already part of the p-value.", calibrated=True),
            Check("mask_border", "not_assessed", "Not known."),
        ),
        "neighbours": (),
        "placement": None,
        "volume_ml": 1234.5,
        "n_components": 1,
        "timings_s": {"total": 3.25},
        "device": "cpu",
        "warnings": ("The file says nothing about its modality.",),
    }
    return Assessment(**{**fields, **changes})  # type: ignore[arg-type]


@pytest.fixture
def a_clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Sets the time that the console sees."""
    now = [1000.0]
    monkeypatch.setattr(console.time, "monotonic", lambda: now[0])

    def advance(seconds: float) -> None:
        now[0] += seconds

    return advance


def test_a_terminal_shows_step_share_and_time_left() -> None:
    terminal = Terminal()
    ConsoleProgress("case-7", stream=terminal)(Progress("Segmenting", 0.41, 12.4))
    assert terminal.lines() == ["case-7: Segmenting  41%, 12 s left"]


def test_a_time_that_is_not_known_is_not_shown() -> None:
    terminal = Terminal()
    ConsoleProgress("case-7", stream=terminal)(Progress("Reading", 0.0))
    assert terminal.lines() == ["case-7: Reading   0%"]


def test_a_terminal_rewrites_one_line(a_clock: Callable[[float], None]) -> None:
    terminal = Terminal()
    show = ConsoleProgress("case-7", stream=terminal)
    for share in (0.1, 0.5, 0.9):
        a_clock(1.0)
        show(Progress("Segmenting", share, 100 * (1 - share)))
    assert terminal.lines() == ["case-7: Segmenting  90%, 10 s left"]


def test_a_shorter_line_leaves_nothing_of_the_longer_one_before_it() -> None:
    terminal = Terminal()
    show = ConsoleProgress("case-7", stream=terminal)
    show(Progress("Running the model on the cases", 0.1, 100000))
    show(Progress("Fitting", 0.95))
    longer, shorter = terminal.getvalue().split("\r")[1:]
    assert len(shorter) >= len(longer.rstrip())


@pytest.mark.parametrize("title", ["case-7", "a-very-long-name-of-a-case-" * 5])
def test_a_line_fits_a_terminal_of_80_columns(title: str) -> None:
    """A longer one would wrap, and each report would begin a new line."""
    terminal = Terminal()
    ConsoleProgress(title, stream=terminal)(Progress("Segmenting", 0.4, 12.0))
    assert all(len(line) < 80 for line in terminal.getvalue().split("\r"))


def test_a_terminal_is_written_ten_times_a_second_at_most(a_clock: Callable[[float], None]) -> None:
    terminal = Terminal()
    show = ConsoleProgress("case-7", stream=terminal)
    for window in range(1000):
        a_clock(0.01)
        show(Progress("Segmenting", window / 1000))
    assert 50 <= terminal.getvalue().count("\r") <= 101


def test_a_new_step_is_shown_at_once(a_clock: Callable[[float], None]) -> None:
    terminal = Terminal()
    show = ConsoleProgress("case-7", stream=terminal)
    show(Progress("Preparing", 0.1))
    a_clock(0.001)
    show(Progress("Segmenting", 0.2))
    assert terminal.lines() == ["case-7: Segmenting  20%"]


def test_a_message_stays_above_the_line() -> None:
    terminal = Terminal()
    show = ConsoleProgress("case-7", stream=terminal)
    show(Progress("Looking ahead", 0.1))
    show(Progress("Looking ahead", 0.2, None, "Preliminary, before the mask: Unusual."))
    show(Progress("Segmenting", 0.3))
    assert terminal.lines() == ["Preliminary, before the mask: Unusual.", "case-7: Segmenting  30%"]


def test_done_clears_the_line() -> None:
    terminal = Terminal()
    show = ConsoleProgress("case-7", stream=terminal)
    show(Progress("Segmenting", 0.4))
    show.done()
    assert terminal.lines() == [""]
    assert terminal.getvalue().endswith("\r")


def test_elsewhere_there_is_one_line_a_step() -> None:
    stream = io.StringIO()
    show = ConsoleProgress("case-7", stream=stream)
    for step, fraction in (("Reading", 0.0), ("Segmenting", 0.2), ("Segmenting", 0.6), ("Judging", 1.0)):
        show(Progress(step, fraction, 3.0))
    show.done()
    assert stream.getvalue() == "case-7: Reading\ncase-7: Segmenting\ncase-7: Judging\n"


def test_the_peak_of_memory_is_told_for_process_and_card() -> None:
    def told(memory: Memory | None) -> str:
        out = io.StringIO()
        show_assessment(an_assessment(peak_memory=memory), "out", out)
        return out.getvalue().splitlines()[-1]

    assert "on cpu, peak memory 1.53 GB; out" in told(Memory(1_530_000_000, None))
    assert "on cpu, peak memory 1.53 GB, 0.25 GB of the card; out" in told(Memory(1_530_000_000, 250_000_000))
    assert "memory" not in told(None) + told(Memory(None, None))


def test_how_far_members_disagree_is_told_on_request_only() -> None:
    def told(**options: bool) -> str:
        out = io.StringIO()
        show_assessment(an_assessment(disagreement={"folds": 0.125, "mirroring": 0.0625}), "out", out, **options)
        return out.getvalue()

    assert "disagree" not in told()
    assert "mirrored windows disagree by 0.062" in told(details=True)
    assert "folds disagree by 0.125 (1 - mean Dice" in told(details=True)
    assert "no part of the light" in told(details=True)
    out = io.StringIO()
    show_assessment(an_assessment(), "out", out, details=True)
    assert "mirrors nothing and has one fold" in out.getvalue()


@pytest.mark.parametrize("stream", [io.StringIO(), Terminal()], ids=["file", "terminal"])
def test_quiet_writes_nothing(stream: io.StringIO) -> None:
    show = ConsoleProgress("case-7", quiet=True, stream=stream)
    show(Progress("Segmenting", 0.4, 1.0, "a message"))
    show.done()
    assert stream.getvalue() == ""


def test_a_real_job_shows_a_time_left_that_shrinks(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(console.time, "monotonic", lambda: now[0])
    terminal = Terminal()
    reporter = ProgressReporter(ConsoleProgress("case-7", stream=terminal), None, {"Segmenting": 1.0})
    for window in range(1, 11):
        now[0] = float(window)
        reporter.report("Segmenting", window / 10)
    told = [int(part.split("%, ")[1].split(" s left")[0]) for part in terminal.getvalue().split("\r")[1:]]
    assert told == [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]


@pytest.mark.parametrize("light", STATE_WORDS)
def test_a_light_is_told_by_shape_and_word(light: str) -> None:
    stream = io.StringIO()
    show_assessment(an_assessment(light), "out/case-7", stream)
    assert stream.getvalue().splitlines()[0][1:] == f" case-7: {STATE_WORDS[light]}"


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_every_light_has_a_sign_of_its_own_in_every_encoding(encoding: str) -> None:
    signs = set()
    for light in STATE_WORDS:
        raw = io.BytesIO()
        stream = io.TextIOWrapper(raw, encoding=encoding)
        show_assessment(an_assessment(light), "out", stream)
        stream.flush()
        signs.add(raw.getvalue().decode(encoding)[0])
    assert len(signs) == 4


def test_a_case_name_that_a_console_cannot_show_does_not_stop_it() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    show_assessment(an_assessment(case_id="Müller"), "out/Müller", stream)
    stream.flush()
    assert b"ller: Unusual" in raw.getvalue()


def test_failed_questions_and_notes_are_told_once() -> None:
    stream = io.StringIO()
    show_assessment(an_assessment(), "out/case-7", stream)
    assert stream.getvalue().splitlines()[1:] == [
        "  A sentence; review the mask with care.",
        "  - The scan covers too little.",
        "  - The slices are too thick.",
        "  note: The file says nothing about its modality.",
        "  liver 1234 ml, 3.2 s on cpu; out/case-7",
    ]


def test_a_title_that_a_terminal_would_obey_is_shown_in_letters() -> None:
    terminal = Terminal()
    ConsoleProgress("ct\x9b2J", stream=terminal)(Progress("load", 0.5))
    assert "ct\\x9b2J: load" in terminal.getvalue()
    assert "\x9b" not in terminal.getvalue()
