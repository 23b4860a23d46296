"""The peak of memory is the system's own number; a card's begins anew with each case."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from BottleneckOODLib.model.peak_memory import card_peak_bytes, forget_card_peak

GROWING = """
from BottleneckOODLib.model.peak_memory import process_peak_bytes
first = process_peak_bytes()
held = bytearray(b"x") * 60_000_000
during = process_peak_bytes()
del held
print(first, during, process_peak_bytes())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="the system does not tell")
def test_what_was_held_for_a_moment_is_seen_and_stays_seen() -> None:
    told = subprocess.run([sys.executable, "-c", GROWING], capture_output=True, text=True, check=True, timeout=300)
    first, during, after = map(int, told.stdout.split())
    assert 50e6 < during - first < 90e6
    # The system counts in batches, and may tell a few pages less.
    assert after - first > 50e6


def test_the_largest_peak_of_the_cards_is_told_and_each_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    held = {0: 5, 1: 9}
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", held.__getitem__)
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda index: held.update({index: 0}))
    assert card_peak_bytes() == 9
    forget_card_peak()
    assert held == {0: 0, 1: 0}
    # A card on which nothing was computed has no peak.
    assert card_peak_bytes() is None


def test_without_a_card_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: False)
    forget_card_peak()
    assert card_peak_bytes() is None
