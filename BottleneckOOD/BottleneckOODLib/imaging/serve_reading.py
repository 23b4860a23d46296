"""The process that reads volumes for ``reading_process.py``: ``python -m BottleneckOODLib.imaging.serve_reading``.

A line of JSON asks for a volume; a line of JSON answers, followed by the voxels as they lie in memory. Where a folder
is given as its argument, the voxels go into a file there instead. It ends when its standard input is closed, so it
cannot outlive who started it, and removes that folder.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from BottleneckOODLib.errors import InputError, SeriesChoiceError, UserError
from BottleneckOODLib.imaging.reading import read_volume
from BottleneckOODLib.imaging.series_folders import SeriesFolders
from BottleneckOODLib.imaging.volume_facts import HANDED_OVER, facts_of, label_facts
from BottleneckOODLib.imaging.writing import read_label_volume
from BottleneckOODLib.private_folder import remove_in_use


def main() -> None:
    """Keep standard output for answers alone: what a library prints goes to standard error, which nobody reads."""
    # The terminal's Ctrl+C reaches this process too; who asked ends it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    _leave_no_core()
    _say(answers, {"ready": True})
    folder = Path(sys.argv[1]) if sys.argv[1:] else None
    try:
        for line in sys.stdin.buffer:
            _answer(json.loads(line), answers, folder)
    finally:
        if folder is not None:
            remove_in_use(folder)


def _leave_no_core() -> None:
    """A file that ends this process leaves no copy of its memory beside the images, and nobody waits while it is made.

    The limit of one byte also holds where a program takes the copy (Linux, ``do_coredump`` in ``fs/coredump.c``).
    """
    try:
        import resource  # noqa: PLC0415 - not on Windows

        _, hard = resource.getrlimit(resource.RLIMIT_CORE)
        most = 1 if hard == resource.RLIM_INFINITY else min(1, hard)
        resource.setrlimit(resource.RLIMIT_CORE, (most, most))
    except (ImportError, ValueError, OSError):
        pass


def _answer(request: dict[str, Any], answers: BinaryIO, folder: Path | None) -> None:
    try:
        os.chdir(request["folder"])
        with _memory_limited(request["memory_bytes"]):
            facts, array = _read(request)
        if folder is not None:
            _hand_over(array, folder, Path(request["path"]).name)
    except UserError as error:
        _say(answers, _refusal(error))
    except MemoryError:
        _say(answers, _refusal(InputError(request["no_memory"])))
    except Exception as error:
        _say(answers, {"fault": type(error).__name__})
    else:
        _say(answers, facts)
        if folder is None:
            answers.write(array.data.cast("B"))
            answers.flush()


def _read(request: dict[str, Any]) -> tuple[dict[str, Any], npt.NDArray[np.float32] | npt.NDArray[np.uint8]]:
    if request["labels"]:
        labels = read_label_volume(Path(request["path"]))
        return {"labels": label_facts(labels)}, np.ascontiguousarray(labels.labels)
    path, folders = Path(request["path"]), tuple(Path(folder) for folder in request["folders"])
    source = SeriesFolders(path, folders) if folders else request["path"]
    volume = read_volume(source, series=request["series"], modality=request["modality"])
    return {"volume": facts_of(volume)}, np.ascontiguousarray(volume.voxels)


def _hand_over(array: npt.NDArray[Any], folder: Path, name: str) -> None:
    try:
        array.tofile(folder / HANDED_OVER)
    except OSError:
        message = f"The image {name} could not be handed over; check the free space of the temporary folder."
        raise InputError(message) from None


def _refusal(error: UserError) -> dict[str, Any]:
    series = list(error.series) if isinstance(error, SeriesChoiceError) else []
    return {"refused": type(error).__name__, "sentence": str(error), "series": series}


def _say(answers: BinaryIO, answer: dict[str, Any]) -> None:
    answers.write(json.dumps(answer, allow_nan=False).encode("ascii") + b"\n")
    answers.flush()


@contextlib.contextmanager
def _memory_limited(most: int) -> Iterator[None]:
    """Take no more address space than that while a file is read, where the system can say so (Linux)."""
    try:
        import resource  # noqa: PLC0415 - not on Windows

        before = resource.getrlimit(resource.RLIMIT_AS)
        hard = before[1]
        resource.setrlimit(resource.RLIMIT_AS, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))
    except (ImportError, ValueError, OSError):
        yield
        return
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


if __name__ == "__main__":
    main()
