"""What was measured on a case for a reference: one row, and the files that keep it until the reference is saved."""

from __future__ import annotations

import hashlib
import math
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from BottleneckOODLib.atomic_folder import file_written_whole
from BottleneckOODLib.errors import OutputError
from BottleneckOODLib.imaging.mask_features import MaskFeatures
from BottleneckOODLib.imaging.volume import LabelVolume, Volume
from BottleneckOODLib.temporaries import clear_abandoned
from BottleneckOODLib.tensor_file import TensorFileError, check_tensor_file, read_arrays, write_arrays

FloatArray = npt.NDArray[np.float64]
Float32Array = npt.NDArray[np.float32]

_FEATURE = "feature."
_MASK_SPACES = ("mask_shape", "mask_intensity")
_SUFFIX = ".safetensors"
_MAX_BYTES = 500_000_000
_N_OUTCOMES, _N_MASK_FACTS = 3, 4


@dataclass(frozen=True, eq=False)
class MeasuredRow:
    """One case as the model, the image and the mask gave it.

    Attributes:
        features: One vector a feature space; the mask's are missing where the model found nothing.
        outcome: Dice, mean surface distance and 95% Hausdorff distance in mm, each NaN where not known; shape (3,).
        mask_facts: Volume in ml, parts, share of the largest, share at the scan's edge; None where it is empty.
        tokens: Local tokens for the map of unusual regions, shape (n, C).
        thumbnail: A PNG as bytes, where one was asked for, shape (n_bytes,).
    """

    features: dict[str, FloatArray]
    outcome: FloatArray
    mask_facts: FloatArray | None
    tokens: Float32Array | None
    thumbnail: npt.NDArray[np.uint8] | None = None

    @property
    def mask(self) -> MaskFeatures | None:
        """What is known of the mask; None where it is empty."""
        if self.mask_facts is None:
            return None
        volume_ml, parts, largest, border = (float(value) for value in self.mask_facts)
        shape, intensity = (self.features[space] for space in _MASK_SPACES)
        return MaskFeatures(volume_ml, int(parts), largest, border, shape, intensity)

    def known_outcome(self, number: int, digits: int) -> float | None:
        """One of the outcomes, rounded; None where it is not known."""
        value = float(self.outcome[number])
        return round(value, digits) if math.isfinite(value) else None


class RowFiles:
    """Rows in a folder, one file a case, each written whole; what does not fit is measured again.

    Args:
        folder: Where they lie; made when the first row is kept.
        settings: Everything beside image and labels that a row depends on, as text.
    """

    def __init__(self, folder: Path, settings: str) -> None:
        self._folder, self._settings = folder, settings

    def key(self, image: str, volume: Volume, truth: LabelVolume | None) -> str:
        """Name of a case's row: SHA-256 of its voxels, where they lie, its labels, and the settings.

        Args:
            image: The volume's ``image_fingerprint``.
            volume: The case's image.
            truth: Its labels.
        """
        digest = hashlib.sha256(self._settings.encode("utf-8"))
        digest.update(f"{volume.modality} {volume.geometry!r}".encode())
        digest.update(image.encode("ascii"))
        if truth is not None:
            digest.update(truth.labels.tobytes())
        return digest.hexdigest()

    def read(self, key: str) -> MeasuredRow | None:
        """The row of that name; None where there is none, or it is damaged."""
        path = self._folder / f"{key}{_SUFFIX}"
        try:
            if not path.is_file() or path.stat().st_size > _MAX_BYTES:
                return None
            check_tensor_file(path)
            arrays = read_arrays(path)
        except (OSError, TensorFileError):
            return None
        features = {name[len(_FEATURE) :]: a for name, a in arrays.items() if name.startswith(_FEATURE)}
        outcome, mask_facts = arrays.get("outcome"), arrays.get("mask_facts")
        sound = outcome is not None and outcome.shape == (_N_OUTCOMES,) and all(a.ndim == 1 for a in features.values())
        if mask_facts is not None:
            sound &= mask_facts.shape == (_N_MASK_FACTS,) and set(_MASK_SPACES) <= set(features)
        if not sound or outcome is None:
            return None
        return MeasuredRow(features, outcome, mask_facts, arrays.get("tokens"), arrays.get("thumbnail"))

    def keep(self, key: str, row: MeasuredRow) -> None:
        """Write a row; a disk that is full costs the row, not the run."""
        arrays: dict[str, npt.NDArray[np.generic]] = {f"{_FEATURE}{name}": a for name, a in row.features.items()}
        arrays["outcome"] = row.outcome
        for name, array in (("mask_facts", row.mask_facts), ("tokens", row.tokens), ("thumbnail", row.thumbnail)):
            if array is not None:
                arrays[name] = array
        with suppress(OSError, OutputError):
            self._folder.mkdir(parents=True, exist_ok=True)
            with file_written_whole(self._folder / f"{key}{_SUFFIX}") as temporary:
                write_arrays(arrays, temporary)


def remove_row_files(folder: Path) -> None:
    """Remove the rows of a folder, and the folder when nothing else lies in it."""
    if not folder.is_dir():
        return
    clear_abandoned(folder)
    digits = 64
    for path in folder.iterdir():
        name = path.name.lstrip(".")
        if len(name) > digits and all(letter in "0123456789abcdef" for letter in name[:digits]):
            path.unlink(missing_ok=True)
    if not any(folder.iterdir()):
        folder.rmdir()


def image_fingerprint(volume: Volume) -> str:
    """SHA-256 of a volume's voxels, whatever it is called and wherever it lies."""
    digest = hashlib.sha256(repr(volume.voxels.shape).encode("ascii"))
    for plane in volume.voxels:
        digest.update(plane.tobytes())
    return digest.hexdigest()
