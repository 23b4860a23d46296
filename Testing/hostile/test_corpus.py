"""What the fuzzer found interesting, and what it once found wrong, is met as its parser says: no atheris needed."""

from __future__ import annotations

from pathlib import Path

import pytest
from parser_targets import TARGETS, digest

CORPUS = Path(__file__).parent / "corpus"
MOST_BYTES = 300_000


def test_every_parser_has_a_corpus_and_all_of_it_is_small() -> None:
    assert {folder.name for folder in CORPUS.iterdir()} == set(TARGETS)
    assert sum(path.stat().st_size for path in CORPUS.rglob("*") if path.is_file()) < MOST_BYTES


@pytest.mark.parametrize("name", TARGETS)
def test_the_corpus_ends_in_nothing_but_sentences(name: str) -> None:
    inputs = sorted((CORPUS / name).iterdir())
    assert inputs
    for path in inputs:
        content = path.read_bytes()
        assert path.name == digest(content)
        TARGETS[name](content)
