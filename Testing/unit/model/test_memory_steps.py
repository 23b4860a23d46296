from __future__ import annotations

import pytest
import torch

from BottleneckOODLib.errors import ModelError
from BottleneckOODLib.model.memory_steps import Attempt, attempts, first_output_that_fits

CPU, CARD = torch.device("cpu"), torch.device("cuda:0")


def tried(device: torch.device, on_the_card: int, on_the_cpu: int, **options: bool) -> list[tuple[str, int, str, bool]]:
    tries = attempts(device, lambda where: on_the_cpu if where.type == "cpu" else on_the_card, **options)
    return [(a.device.type, a.at_once, a.blended_on.type, bool(sentence)) for a, sentence in tries]


def test_what_is_tried_takes_less_and_less_memory() -> None:
    assert tried(CPU, 9, 4) == [("cpu", 4, "cpu", False), ("cpu", 1, "cpu", True)]
    assert tried(CPU, 9, 1) == [("cpu", 1, "cpu", False)]
    assert tried(CARD, 4, 1) == [
        ("cuda", 4, "cuda", False),
        ("cuda", 1, "cuda", True),
        ("cuda", 1, "cpu", True),
        ("cpu", 1, "cpu", True),
    ]
    assert tried(CARD, 4, 4)[-2:] == [("cpu", 4, "cpu", True), ("cpu", 1, "cpu", True)]
    assert tried(CARD, 1, 1, on_device=False) == [("cuda", 1, "cpu", False), ("cpu", 1, "cpu", True)]


@pytest.mark.parametrize("card", ["cuda", "mps"])
def test_what_a_failed_pass_held_on_a_card_is_given_back_before_the_next(
    card: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    for kind in ("cuda", "mps"):
        monkeypatch.setattr(getattr(torch, kind), "empty_cache", lambda kind=kind: done.append(f"{kind} emptied"))

    def one_pass(attempt: Attempt) -> None:
        done.append(f"{attempt.device.type} {attempt.at_once}")
        raise torch.OutOfMemoryError

    with pytest.raises(ModelError, match="memory of this computer"):
        first_output_that_fits(
            attempts(torch.device(card), lambda _device: 2, on_device=False), "m", (), one_pass  # type: ignore[arg-type]
        )
    emptied = f"{card} emptied"
    assert done == [f"{card} 2", emptied, f"{card} 1", emptied, "cpu 2", "cpu 1"]


def test_every_way_out_is_said_in_one_sentence() -> None:
    sentences = [sentence for _, sentence in attempts(CARD, lambda where: 1 if where.type == "cpu" else 4)][1:]
    said = ("one window at a time", "put the windows together", "CPU was used")
    for sentence, words in zip(sentences, said, strict=True):
        assert words in sentence
        assert "cuda:0" in sentence
        assert sentence.count(".") == 1
        assert sentence.endswith(".")
