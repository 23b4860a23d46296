"""The panel's readers of files that nobody vouches for: in a process of Slicer's own interpreter, and not in Slicer."""

from __future__ import annotations

import logging
from collections.abc import Callable
from os import PathLike
from pathlib import Path

from BottleneckOODLib.errors import DependencyError
from BottleneckOODLib.imaging.reading import read_volume
from BottleneckOODLib.imaging.reading_process import ReadingProcess
from BottleneckOODLib.imaging.volume import LabelVolume, Modality, Volume
from BottleneckOODLib.imaging.writing import read_label_volume
from BottleneckOODLib.worker.python_command import PythonCommand, slicer_python

_LOG = logging.getLogger(__name__)


class ReadingApart:
    """Reads volumes and label maps in a process that is started when it is first needed, by one thread at a time.

    Where none can be started, the files are read in this process, as what is not read at all helps nobody; their
    headers are checked in any case.

    Args:
        python: Finds the interpreter; it may have to be asked for its environment, which takes a moment.
    """

    def __init__(self, python: Callable[[], PythonCommand] = slicer_python) -> None:
        self._python = python
        self._process: ReadingProcess | None = None
        self._in_vain = False

    def start(self) -> None:
        """Start the process ahead of time; what it lacks is told by the first file."""
        if self._process is not None or self._in_vain:
            return
        python = self._python()
        if python.hears:
            self._process = ReadingProcess(python=python.command, environment=python.environment, by_file=True)
        else:
            self._give_up("the interpreter was not found beside its launcher")

    def read(
        self, path: str | PathLike[str], *, series: str | None = None, modality: Modality | None = None
    ) -> Volume:
        """Read one volume, as ``imaging.reading.read_volume`` and with ``ReadingProcess.read``'s errors.

        Raises:
            InputError: The image cannot be read; or reading it ended the process, took too long or too much memory.
        """
        self.start()
        if self._process is not None:
            try:
                return self._process.read(path, series=series, modality=modality)
            except DependencyError as error:
                self._give_up(str(error))
        return read_volume(path, series=series, modality=modality)

    def read_labels(self, path: Path) -> LabelVolume:
        """Read one label map, as ``imaging.writing.read_label_volume`` and with the errors of ``read``."""
        self.start()
        if self._process is not None:
            try:
                return self._process.read_labels(path)
            except DependencyError as error:
                self._give_up(str(error))
        return read_label_volume(path)

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.close()
            self._process = None

    def _give_up(self, why: str) -> None:
        _LOG.warning("Images are read inside of the application: %s", why)
        self._in_vain = True
        self.close()
