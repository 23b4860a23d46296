"""Reading files that nobody vouches for in a process of its own, with limits of time and memory.

The libraries that decode images are written in C and C++: a file can make them fail in ways that no check of its
header foresees, and take the process along. Here it is another one. What ends it, or holds it, costs one sentence for
that file.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import logging
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import IO, Any, Protocol

import numpy as np
import numpy.typing as npt

from BottleneckOODLib.deaf_children import deaf_children
from BottleneckOODLib.errors import DependencyError, InputError, NoScanError, SeriesChoiceError, SlowReadError
from BottleneckOODLib.imaging.headers import MAX_VOXELS
from BottleneckOODLib.imaging.series_folders import folders_below, folders_of, has_few_files
from BottleneckOODLib.imaging.text_headers import detached_file
from BottleneckOODLib.imaging.volume import LabelVolume, Modality, Volume
from BottleneckOODLib.imaging.volume_facts import HANDED_OVER, geometry_from, labels_from, volume_from
from BottleneckOODLib.private_folder import private_folder, remove_in_use

LEAST_SECONDS, BYTES_A_SECOND = 8.0, 2_000_000
"""How long a file may take: so many seconds, and more by its size, as over a slow network."""
LEAST_MEMORY, MEMORY_A_BYTE = 2_000_000_000, 40
"""How much memory it may take: so many bytes, and more by its size; packed voxels become several times as large."""
_START_SECONDS = 120.0
_ENDED_WITHIN_SECONDS = 2.0
_MOST_LINE_BYTES = 10_000_000
_LOG = logging.getLogger(__name__)
_TOO_LATE = "was not read after"
_NO_WINDOW: int = getattr(subprocess, "CREATE_NO_WINDOW", 0)
_REFUSALS: Mapping[str, type[InputError]] = MappingProxyType(
    {kind.__name__: kind for kind in (InputError, NoScanError)}
)


class ReadVolume(Protocol):
    """Reads a volume, as ``imaging.reading.read_volume`` does."""

    def __call__(
        self, path: str | os.PathLike[str], *, series: str | None = None, modality: Modality | None = None
    ) -> Volume:
        """The volume.

        Raises:
            InputError: The image cannot be read.
        """


class ReadingProcess:
    """Reads volumes in a child, which is started at once, kept from one file to the next, and replaced when it ends.

    Args:
        least_seconds: How long any file may take, ``LEAST_SECONDS`` where None; a large one may take longer.
        least_memory: How many bytes of memory reading any file may take; a large one may take more. Kept on Linux only.
        python: What runs it; empty takes this interpreter.
        environment: Its whole environment; None takes this process's.
        by_file: Hand voxels over in a file of the temporary folder instead of a pipe, in one piece: for an application
            that lets a thread get on for a few milliseconds at a time, in which it would take little from a pipe.

    Used as a context, or closed with ``close``; it ends with this process in any case.
    """

    def __init__(
        self,
        least_seconds: float | None = None,
        least_memory: int = LEAST_MEMORY,
        *,
        python: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        by_file: bool = False,
    ) -> None:
        self._least_seconds = LEAST_SECONDS if least_seconds is None else least_seconds
        self._least_memory = least_memory
        self._python, self._environment, self._by_file = tuple(python), environment, by_file
        self._lock = threading.Lock()
        self._child: _Child | None = None
        with contextlib.suppress(DependencyError):
            # It imports what it needs while this process does other things.
            self._child = self._new_child()

    def read(
        self, path: str | os.PathLike[str], *, series: str | None = None, modality: Modality | None = None
    ) -> Volume:
        """Read one volume, as ``imaging.reading.read_volume``.

        Raises:
            SeriesChoiceError: The folder holds several series and none was chosen.
            SlowReadError: It was not read in time.
            InputError: The image cannot be read; or reading it ended the process or took too much memory.
            DependencyError: No process can be started.
        """
        answer = self._answer(path, {"labels": False, "series": series, "modality": modality})
        return volume_from(answer["volume"], answer["voxels"])

    def read_labels(self, path: Path) -> LabelVolume:
        """Read one label map, as ``imaging.writing.read_label_volume``.

        Raises:
            InputError: As ``read``.
            DependencyError: No process can be started.
        """
        answer = self._answer(path, {"labels": True})
        return labels_from(answer["labels"], answer["voxels"])

    def _answer(self, path: str | os.PathLike[str], wanted: Mapping[str, Any]) -> Mapping[str, Any]:
        source = Path(path)
        size = bytes_to_read(path)
        with self._lock:
            child = self._ready_child()
            request = {
                "path": os.fspath(path),
                "folders": [str(folder) for folder in folders_of(path)],
                "folder": os.getcwd(),  # noqa: PTH109 - as text
                **wanted,
                "memory_bytes": self._least_memory + MEMORY_A_BYTE * size,
                "no_memory": f"The image {source.name} does not fit into the memory that a file of its size may take; "
                "crop it.",
            }
            try:
                answer = child.asked(request, self._least_seconds + size / BYTES_A_SECOND)
            except BaseException:
                # Also Ctrl+C: what is left half said would be taken for the next answer.
                self._end()
                raise
            if isinstance(answer, str):
                self._end()
                if answer.startswith(_TOO_LATE):
                    message = (
                        f"The image {source.name} {answer}; its drive may be slow, or it may be damaged, too large, or "
                        "made to do harm: try it again from this computer's own disk, export it again, or crop it."
                    )
                    raise SlowReadError(message)
                message = (
                    f"The image {source.name} {answer}; it may be damaged, too large, or made to do harm: export it "
                    "again, or crop it."
                )
                raise InputError(message)
            return answer()

    def close(self) -> None:
        """End the child."""
        with self._lock:
            self._end()

    def __enter__(self) -> ReadingProcess:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.close()

    def _ready_child(self) -> _Child:
        if self._child is None or not self._child.running:
            self._end()
            self._child = self._new_child()
        if not self._child.ready():
            self._end()
            message = "The process that reads images does not start; check the installation of Python."
            raise DependencyError(message)
        return self._child

    def _new_child(self) -> _Child:
        return _Child(self._python or (sys.executable,), self._environment, by_file=self._by_file)

    def _end(self) -> None:
        if self._child is not None:
            self._child.end()
            self._child = None


def read_apart(
    path: str | os.PathLike[str], *, series: str | None = None, modality: Modality | None = None
) -> Volume:
    """Read one volume in the one reading process that belongs to this process, which is started by the first call.

    Raises:
        SeriesChoiceError: As ``ReadingProcess.read``.
        InputError: As ``ReadingProcess.read``.
        DependencyError: No process can be started.
    """
    return _own_process().read(path, series=series, modality=modality)


def read_labels_apart(path: Path) -> LabelVolume:
    """Read one label map as ``read_apart`` reads volumes, and with its errors."""
    return _own_process().read_labels(path)


def close_apart() -> None:
    """End that process, if it was started; the next file starts it again."""
    if _own_process.cache_info().currsize:
        _own_process().close()


@lru_cache(maxsize=1)
def _own_process() -> ReadingProcess:
    process = ReadingProcess()
    atexit.register(process.close)
    return process


def bytes_to_read(path: str | os.PathLike[str]) -> int:
    """Bytes of the files that make up an image; 0 where there is none."""
    source = Path(path)
    try:
        if source.is_dir():
            if folders := folders_of(path):
                return sum(map(_bytes_in, folders))
            # The slices may lie in the folders below.
            return sum(map(_bytes_in, folders_below(source))) if has_few_files(source) else _bytes_in(source)
        if not source.is_file():
            return 0
        size = source.stat().st_size
        data = detached_file(source)
        return size if data is None else size + data.stat().st_size
    except (OSError, ValueError, InputError):
        return 0


def _bytes_in(folder: Path) -> int:
    return sum(entry.stat().st_size for entry in os.scandir(folder) if entry.is_file())


class _Child:
    """One running reader."""

    def __init__(self, python: tuple[str, ...], environment: Mapping[str, str] | None, *, by_file: bool) -> None:
        self._folder = private_folder(DependencyError) if by_file else None
        environment = os.environ if environment is None else environment
        limits = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        told = [] if self._folder is None else [str(self._folder)]
        try:
            with deaf_children():
                self._process = subprocess.Popen(
                    [*python, "-m", "BottleneckOODLib.imaging.serve_reading", *told],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    env={**environment, **limits, "MALLOC_ARENA_MAX": "2"},
                    # Never from where the files lie: Python looks for modules there.
                    cwd=Path(__file__).resolve().parents[2],
                    creationflags=_NO_WINDOW,
                )
        except OSError:
            self._remove_folder()
            message = "The process that reads images cannot be started; check the installation of Python."
            raise DependencyError(message) from None
        self._heard: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._said_ready = False
        threading.Thread(target=_listen, args=(self._process.stdout, self._heard, self._folder), daemon=True).start()

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def ready(self) -> bool:
        """Wait until it has imported what it needs."""
        if not self._said_ready:
            try:
                self._said_ready = self._heard.get(timeout=_START_SECONDS) is not None
            except queue.Empty:
                return False
        return self._said_ready

    def asked(self, request: Mapping[str, Any], seconds: float) -> Callable[[], Mapping[str, Any]] | str:
        """What gives the answer or raises why there is none; or, in words, what became of the child."""
        stream = self._process.stdin
        assert stream is not None
        try:
            stream.write(json.dumps(request).encode("ascii") + b"\n")
            stream.flush()
            answer = self._heard.get(timeout=seconds)
        except OSError:
            answer = None
        except queue.Empty:
            return f"{_TOO_LATE} {seconds:.0f} s"
        if answer is None:
            return "ended the process that read it"
        if "fault" in answer:
            return f"is something that its reader cannot cope with ({answer['fault']})"
        return lambda: _answer_or_refusal(answer)

    def end(self) -> None:
        self._process.kill()
        # One that waits for a drive that is gone hears no signal, and nobody may wait with it.
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_ENDED_WITHIN_SECONDS)
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        self._remove_folder()

    def _remove_folder(self) -> None:
        if self._folder is not None:
            remove_in_use(self._folder)


def _listen(stream: IO[bytes], heard: queue.SimpleQueue[Any], folder: Path | None) -> None:
    """Take each answer with its voxels; None when there is none to come, or what came is no answer."""
    try:
        while line := stream.readline(_MOST_LINE_BYTES):
            answer = json.loads(line)
            for facts, kind in (("volume", np.float32), ("labels", np.uint8)):
                if facts in answer:
                    answer["voxels"] = _voxels(stream, geometry_from(answer[facts]).shape, kind, folder)
            heard.put(answer)
    except (OSError, ValueError, KeyError, TypeError, EOFError, MemoryError, InputError):
        pass
    except Exception:
        # Whatever it was: who asked waits for an answer, and would be told that the file takes too long.
        _LOG.exception("What the reading process said could not be taken.")
    heard.put(None)
    with contextlib.suppress(OSError):
        stream.close()


def _voxels(stream: IO[bytes], shape: tuple[int, int, int], kind: Any, folder: Path | None) -> npt.NDArray[Any]:
    if int(np.prod(shape, dtype=np.float64)) > MAX_VOXELS:
        raise ValueError(shape)
    voxels = np.empty(shape, kind)
    left = voxels.data.cast("B")
    if folder is None:
        _fill(left, stream)
        return voxels
    # Unbuffered: all that is there comes by one call, in which no other thread is kept waiting for Python.
    with (folder / HANDED_OVER).open("rb", buffering=0) as handed_over:
        _fill(left, handed_over)
    (folder / HANDED_OVER).unlink()
    return voxels


def _fill(left: memoryview, stream: IO[bytes]) -> None:
    while left:
        count = stream.readinto(left)  # type: ignore[attr-defined]
        if not count:
            raise EOFError
        left = left[count:]


def _answer_or_refusal(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    if "voxels" in answer:
        return answer
    sentence = str(answer["sentence"])
    if answer["refused"] == SeriesChoiceError.__name__:
        raise SeriesChoiceError(sentence, [str(line) for line in answer["series"]])
    raise _REFUSALS.get(str(answer["refused"]), InputError)(sentence)
