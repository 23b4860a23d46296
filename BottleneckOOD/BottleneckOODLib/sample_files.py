"""The embedded samples as files, for whoever offers them by name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from BottleneckOODLib.resources import resource_folder
from BottleneckOODLib.tensor_file import sha256_of


@dataclass(frozen=True)
class SampleFile:
    """One sample.

    Attributes:
        name: Its name in a scene.
        description: What it is, in words.
        path: The image file.
        sha256: Of the file.
    """

    name: str
    description: str
    path: Path
    sha256: str


_SAMPLES = (
    ("BottleneckOOD_usual", "Generated CT like the training cases", "sample-usual.nii.gz"),
    ("BottleneckOOD_unusual", "Generated CT unlike the training cases", "sample-unusual.nii.gz"),
)


def sample_files() -> tuple[SampleFile, ...]:
    """The samples that are there; none where the program was installed without them."""
    folder = resource_folder() / "samples"
    found = [(name, words, folder / file) for name, words, file in _SAMPLES if (folder / file).is_file()]
    return tuple(SampleFile(name, words, path, sha256_of(path)) for name, words, path in found)
