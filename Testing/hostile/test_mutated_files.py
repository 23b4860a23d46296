"""Some hundred of the mutated files of ``Testing/soak/mutated_files.py``, of every kind."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from mutated_inputs import KINDS, MOST_BYTES, Gauntlet

EACH = 24
# How fast each is gone through is the soak's to tell; here another test may have the machine.
PATIENCE_S = 120.0


@pytest.fixture(scope="module")
def gauntlet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gauntlet]:
    made = Gauntlet(tmp_path_factory.mktemp("mutated"), assess_every=6, most_seconds=PATIENCE_S)
    yield made
    made.close()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", KINDS)
def test_a_mutated_file_is_opened_or_refused_with_a_sentence(gauntlet: Gauntlet, kind: str) -> None:
    gauntlet.outcome.counts.clear()
    gauntlet.outcome.faults.clear()
    for number in range(EACH):
        gauntlet.run(kind, number)
    assert gauntlet.outcome.faults == []
    assert gauntlet.outcome.counts.total() == EACH
    assert gauntlet.outcome.counts["refused"] > 0
    assert gauntlet.outcome.largest < MOST_BYTES
