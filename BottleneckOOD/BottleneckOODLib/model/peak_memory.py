"""The most memory that this process, and a card that computed for it, has held."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path


def forget_card_peak() -> None:
    """Begin anew to watch the cards' memory; a process's own peak cannot be begun anew on every system."""
    import torch  # noqa: PLC0415 - who only asks for the process's memory needs none

    if _cards_compute():
        for index in range(torch.cuda.device_count()):
            torch.cuda.reset_peak_memory_stats(index)


def _cards_compute() -> bool:
    import torch  # noqa: PLC0415 - as above

    return bool(torch.cuda.is_initialized())  # type: ignore[no-untyped-call]


def card_peak_bytes() -> int | None:
    """The most that torch's tensors have held on one card since ``forget_card_peak``; None where none computed."""
    import torch  # noqa: PLC0415 - as above

    if not _cards_compute():
        return None
    return max(int(torch.cuda.max_memory_allocated(index)) for index in range(torch.cuda.device_count())) or None


def process_peak_bytes() -> int | None:
    """The most memory that this process has held since it began; None where the system does not tell (Windows).

    Source:
        proc(5), ``VmHWM``; elsewhere getrusage(2). On Linux the latter's number is handed down from whoever started the
        process, such as a large application.
    """
    with suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM:")).split()[1]) * 1024
    try:
        import resource  # noqa: PLC0415 - not on Windows
    except ImportError:
        return None
    # macOS counts in bytes, others in KiB.
    return int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) * (1 if sys.platform == "darwin" else 1024)
