"""Which cards there are, and why torch cannot compute on one: plain facts, without importing torch."""

from __future__ import annotations

import re
from dataclasses import dataclass

Capability = tuple[int, int]


@dataclass(frozen=True)
class DeviceFacts:
    """A device that can be chosen.

    Attributes:
        name: What to ask for: ``auto``, ``cpu``, ``cuda:0`` or ``mps``.
        description: In words, such as the card's name.
        free_gb: Memory that is free, in GB (10**9 bytes), or None when it cannot be told.
        total_gb: Memory in all, in GB, or None.
    """

    name: str
    description: str
    free_gb: float | None
    total_gb: float | None


@dataclass(frozen=True)
class Card:
    """A card that torch sees.

    Attributes:
        name: Its name.
        capability: Its CUDA compute capability, major and minor.
    """

    name: str
    capability: Capability


@dataclass(frozen=True)
class GpuFacts:
    """What is known about graphics cards and torch on this computer.

    Attributes:
        system: ``platform.system()``: ``Linux``, ``Windows`` or ``Darwin``.
        machine: ``platform.machine()``, such as ``arm64``.
        torch_version: Version of torch, with its build, such as ``2.10.0+cpu``.
        torch_build: ``cpu``, or what torch was built for, such as ``CUDA 12.8`` or ``ROCm 6.4``.
        architectures: What this torch has code for, as ``torch.cuda.get_arch_list()`` gives it: ``sm_90``.
        cards: Cards that torch sees.
        mps: Whether Apple's Metal is available.
        nvidia_card: Name of an NVIDIA card that the system has, whether torch sees it or not; empty when none is known.
        driver: Version of its driver; empty when there is none, or it does not answer.
        complaint: What torch said when it looked for cards.
        hidden: Whether ``CUDA_VISIBLE_DEVICES`` hides every card.
    """

    system: str
    machine: str
    torch_version: str
    torch_build: str
    architectures: tuple[str, ...] = ()
    cards: tuple[Card, ...] = ()
    mps: bool = False
    nvidia_card: str = ""
    driver: str = ""
    complaint: str = ""
    hidden: bool = False


def runs_on(capability: Capability, architectures: tuple[str, ...]) -> bool:
    """Whether torch has code for a card.

    Code of one major version runs on every later minor one; ``compute_XY`` is compiled for any later card.

    >>> runs_on((8, 6), ("sm_80", "sm_90")), runs_on((12, 0), ("sm_80", "sm_90")), runs_on((6, 1), ("sm_70",))
    (True, False, False)
    """
    if not architectures:
        # A build that does not tell (ROCm, for one) is not refused for that.
        return True
    for architecture in architectures:
        match = re.fullmatch(r"(sm|compute)_(\d+)(\d)([af]?)", architecture)
        if match is None:
            continue
        kind, only_this = match.group(1), match.group(4) == "a"
        made_for = (int(match.group(2)), int(match.group(3)))
        if made_for == capability:
            return True
        if made_for < capability and not only_this and (kind == "compute" or made_for[0] == capability[0]):
            return True
    return not any(re.match(r"(sm|compute)_\d", architecture) for architecture in architectures)


def why_no_gpu(facts: GpuFacts) -> str:
    """Why no graphics card computes, and what to do about it, in one sentence; empty when one does."""
    if any(runs_on(card.capability, facts.architectures) for card in facts.cards) or facts.mps:
        return ""
    if facts.cards:
        return _unsuitable(facts.cards[0], facts)
    return _unreached(facts) if facts.nvidia_card and not facts.hidden else _not_there(facts)


def _not_there(facts: GpuFacts) -> str:
    if facts.hidden:
        return (
            "The graphics card is hidden from this program by the environment variable CUDA_VISIBLE_DEVICES; "
            "remove the variable to use the card."
        )
    if facts.system == "Darwin":
        return (
            "This Mac's graphics processor cannot be used: that takes Apple silicon and macOS 14 or later; "
            "the CPU computes."
        )
    return "No graphics card that can be used was found (an NVIDIA card is needed); the CPU computes."


def _unreached(facts: GpuFacts) -> str:
    if facts.torch_build == "cpu":
        return (
            f"The {facts.nvidia_card} is there, but the installed torch {facts.torch_version} was built for CPUs only; "
            "install torch again with the PyTorch extension, which chooses the build for the card."
        )
    if not facts.driver:
        return (
            f"The {facts.nvidia_card} is there, but its driver is missing or does not answer; "
            "install NVIDIA's driver and restart the computer."
        )
    if "too old" in facts.complaint:
        return (
            f"The driver {facts.driver} of the {facts.nvidia_card} is too old for torch {facts.torch_version} "
            f"({facts.torch_build}); update NVIDIA's driver, or install an earlier torch with the PyTorch extension."
        )
    return (
        f"The {facts.nvidia_card} with driver {facts.driver} is there, but torch {facts.torch_version} "
        f"({facts.torch_build}) cannot reach it; restart the computer, then update NVIDIA's driver."
    )


def _unsuitable(card: Card, facts: GpuFacts) -> str:
    newest = max((_made_for(name) for name in facts.architectures), default=card.capability)
    age, remedy = (
        ("too new", "install a later torch with the PyTorch extension")
        if card.capability > newest
        else ("too old", "install an earlier torch with the PyTorch extension, or use the CPU")
    )
    return (
        f"The {card.name} is {age} for torch {facts.torch_version} ({facts.torch_build}), which has no code for it; "
        f"{remedy}."
    )


def _made_for(architecture: str) -> Capability:
    match = re.fullmatch(r"(?:sm|compute)_(\d+)(\d)[af]?", architecture)
    return (0, 0) if match is None else (int(match.group(1)), int(match.group(2)))
