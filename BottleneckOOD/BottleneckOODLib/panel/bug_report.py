"""The text that *Copy for a bug report* puts on the clipboard: enough to find a fault, nothing that names anybody."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from importlib import metadata

from BottleneckOODLib.panel.scrubbing import scrubbed
from BottleneckOODLib.version import __version__

_PACKAGES = (
    "torch", "monai", "numpy", "scipy", "SimpleITK", "pydicom", "safetensors", "einops", "umap-learn", "faiss-cpu",
)  # fmt: skip
_MOST_LOG_LINES = 80


def bug_report(sentence: str, log: str, *, device: str = "", facts: Mapping[str, str] | None = None) -> str:
    """A report that can be sent to anybody.

    Args:
        sentence: What the user was told.
        log: What the worker printed; its end is taken.
        device: The device that was chosen.
        facts: More to tell, such as the version of Slicer; taken as it is, so never anything of a case.

    Returns:
        The report; names of files, folders, cases and users, and identifiers, are replaced by ``<...>``.
    """
    lines = [
        f"BottleneckOOD {__version__}",
        *(f"{name} {value}" for name, value in (facts or {}).items()),
        f"Python {platform.python_version()} on {platform.system()} {platform.release()} ({platform.machine()})",
        f"Packages: {', '.join(_versions())}",
        f"Device: {scrubbed(device) or 'not chosen'}",
        "",
        f"Message: {scrubbed(sentence) or 'none'}",
    ]
    tail = log.splitlines()[-_MOST_LOG_LINES:]
    if tail:
        lines += ["", "End of the worker's log:", scrubbed("\n".join(tail))]
    return "\n".join(lines) + "\n"


def _versions() -> list[str]:
    told = []
    for name in _PACKAGES:
        try:
            told.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            told.append(f"{name} missing")
    return told
