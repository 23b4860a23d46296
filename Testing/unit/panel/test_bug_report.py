"""Planted names are found nowhere; what helps to find a fault stays."""

from __future__ import annotations

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from BottleneckOODLib.panel.bug_report import bug_report
from BottleneckOODLib.panel.scrubbing import GONE, own_words, scrubbed

NAMES = ("Mustermann", "Zoë", "Müller-Lüdenscheidt", "jdoe42", "O'Brien", "患者", "smith")
IDENTIFIERS = (
    "1.2.840.113619.2.55.3.604688119", "19570321", "1957-03-21", "PAT0012345", "4711-0815-23", "A1234567",
    "12345678901",
)  # fmt: skip
FILES = (
    "/home/{name}/scans/{name} liver.nii.gz",
    r"C:\Users\{name}\Documents\{name}_{identifier}\IM0001",
    r"\\server-{name}\share\{identifier}.dcm",
    "file:///Users/{name}/x%20y.nrrd",
    "~/{name}/{identifier}",
    "{name}_{identifier}.nii.gz",
    "{name} {identifier}",
)
SENTENCES = (
    "The image {file} cannot be read; choose another one.",
    'The reference "{file}" was made by another model; choose its own.',
    "The labels {file} have another size than their image {file}; export them again.",
    "The case name '{file}' cannot be that of a folder.",
    "{file}: the model found nothing",
)
TRACEBACK = '''Traceback (most recent call last):
  File "/home/{name}/Slicer 5.10/lib/Python/lib/python3.12/site-packages/torch/nn/modules/conv.py", line 717, in forward
    return self._conv_forward(input, self.weight, self.bias)
           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  File "C:\\Users\\{name}\\ext\\BottleneckOODLib\\worker\\jobs.py", line 50, in do
    return self._done(job, tell, cancel)
  File "/home/{name}/{identifier}.py", line 3, in patient_{name}
    open("{file}")
torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.50 GiB for {file}
FileNotFoundError: [Errno 2] No such file or directory: '{file}'
ValueError: StudyInstanceUID {identifier} of {name}
'''


def every_combination(text: str) -> list[str]:
    return [
        text.replace("{file}", file).replace("{name}", name).replace("{identifier}", identifier)
        for name in NAMES
        for identifier in IDENTIFIERS
        for file in FILES
    ]


def planted_in(report: str) -> list[str]:
    return [token for token in (*NAMES, *IDENTIFIERS) if token.lower() in report.lower()]


@pytest.mark.parametrize("sentence", [*SENTENCES, TRACEBACK], ids=lambda text: text[:20])
def test_nothing_that_was_planted_is_left(sentence: str) -> None:
    for text in every_combination(sentence):
        assert planted_in(scrubbed(text)) == [], text


def test_the_whole_report_holds_neither_names_nor_this_computer_s(monkeypatch: pytest.MonkeyPatch) -> None:
    # A container may have no name for its user, and the root of the file system for its home.
    for variable in ("HOME", "USERPROFILE", "LOGNAME", "USER", "USERNAME", "HOSTNAME", "COMPUTERNAME"):
        monkeypatch.setenv(variable, "/home/jdoe42" if variable in ("HOME", "USERPROFILE") else "jdoe42")
    for text in every_combination(SENTENCES[0])[::9]:
        report = bug_report(text, TRACEBACK.replace("{name}", "Mustermann").replace("{identifier}", "19570321"))
        assert planted_in(report) == []


def test_what_helps_to_find_a_fault_stays() -> None:
    report = bug_report(
        "The memory of cuda:0 did not suffice, so the CPU was used; this takes longer.",
        TRACEBACK.replace("{name}", "jdoe42"),
        device="cuda:0",
        facts={"Slicer": "5.10.0"},
    )
    for kept in (
        "site-packages/torch/nn/modules/conv.py", "line 717, in forward", "return self._conv_forward",
        "BottleneckOODLib/worker/jobs.py", "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.50 GiB",
        "FileNotFoundError:", "The memory of", "did not suffice, so the CPU was used", "Slicer 5.10.0", "Python 3.",
        "numpy",
    ):  # fmt: skip
        assert kept in report, kept
    assert "in patient_" not in report


def test_the_program_s_own_sentences_stay_as_they_are() -> None:
    for sentence in (
        "The run was stopped; nothing was changed.",
        "The worker ended unexpectedly (was the memory full?); assess the case again.",
        "The worker does not answer any more and was ended; assess the case again.",
        "The memory of this computer does not suffice for this volume; close other programs or crop the volume.",
    ):
        assert scrubbed(sentence) == sentence


@given(st.text(st.characters(categories=("Lu", "Ll", "Lo")), min_size=1, max_size=30))
@example("Mustermann")
def test_a_word_that_the_program_does_not_use_is_never_left(word: str) -> None:
    # Errors are told by their names, and Hypothesis draws words from whatever modules other tests have imported.
    assume(not word.endswith(("Error", "Exception", "Warning", "Interrupt", "Exit")))
    assume(word.lower() not in own_words())
    assert scrubbed(f"of {word}") == f"of {GONE}"


def test_own_words_are_those_of_sentences_and_not_of_docstrings() -> None:
    assert {"segmenting", "reference", "worker"} <= own_words()
    assert not {"woodland", "melba"} & own_words()
    assert len(own_words()) < 5000


def test_a_very_long_log_is_cut_to_its_end() -> None:
    log = "\n".join(f"line {number % 1000}" for number in range(5000))
    report = bug_report("Wrong.", f"{log}\nValueError: the end")
    assert report.count("\n") < 100
    assert "ValueError:" in report
    assert GONE not in report
