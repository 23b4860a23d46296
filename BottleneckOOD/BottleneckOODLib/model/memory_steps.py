"""What is tried when the memory of a device does not suffice for a pass, and what a user is told of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from BottleneckOODLib.errors import ModelError
from BottleneckOODLib.model.devices import describe_device, is_out_of_memory

if TYPE_CHECKING:
    from BottleneckOODLib.model.segmenter import SegmenterOutput


@dataclass(frozen=True)
class Attempt:
    """Where and how a pass is tried.

    Attributes:
        device: Where the network runs.
        at_once: Windows at a time.
        blended_on: Where the outputs are blended.
    """

    device: torch.device
    at_once: int
    blended_on: torch.device


def attempts(
    device: torch.device, at_once: Callable[[torch.device], int], *, on_device: bool = True
) -> Iterator[tuple[Attempt, str]]:
    """What is tried one after the other, each with less memory than the one before.

    Args:
        device: The device that was chosen.
        at_once: How many windows a device computes at a time while nothing has run out of memory.
        on_device: Whether outputs are blended where they are computed at first.

    Yields:
        The attempt, and a sentence for the user; it is empty for the first.
    """
    cpu, largest = torch.device("cpu"), at_once(device)
    blended_on = device if on_device else cpu
    yield Attempt(device, largest, blended_on), ""
    if largest > 1:
        told = f"The memory of {device} sufficed for one window at a time only; this takes longer."
        yield Attempt(device, 1, blended_on), told
    if blended_on.type != "cpu":
        told = f"The memory of {device} sufficed for the network only, so the CPU put the windows together."
        yield Attempt(device, 1, cpu), told
    if device.type != "cpu":
        told = f"The memory of {device} did not suffice, so the CPU was used; this takes longer."
        on_the_cpu = at_once(cpu)
        yield Attempt(cpu, on_the_cpu, cpu), told
        if on_the_cpu > 1:
            yield Attempt(cpu, 1, cpu), told


def first_output_that_fits(
    tries: Iterable[tuple[Attempt, str]],
    model_name: str,
    notes: tuple[str, ...],
    one_pass: Callable[[Attempt], SegmenterOutput],
) -> SegmenterOutput:
    """The output of the first attempt for which the memory suffices; it says where it was computed.

    Args:
        tries: As ``attempts`` yields them.
        model_name: For the sentences.
        notes: What a user should know whatever happens.
        one_pass: The pass.

    Raises:
        ModelError: The memory suffices for none of them, the network failed, or its values are not finite.
    """
    for attempt, fallback in tries:
        try:
            output = one_pass(attempt)
        except (RuntimeError, ValueError, MemoryError) as error:
            if not is_out_of_memory(error):
                message = f"The model {model_name} failed on this volume; try another to tell which is at fault."
                raise ModelError(message) from error
        else:
            if not output.is_finite:
                message = f"The model {model_name} gave values that are not numbers for this volume."
                raise ModelError(message)
            told = (*notes, fallback) if fallback else notes
            return replace(output, device=describe_device(attempt.device), warnings=told)
        # Only now is nothing of the failed pass held any more, not even by its traceback.
        if attempt.device.type in ("cuda", "mps"):
            getattr(torch, attempt.device.type).empty_cache()
    message = "The memory of this computer does not suffice for this volume; close other programs or crop the volume."
    raise ModelError(message)
