"""The images that are damaged: labelled scans of a folder, and generated bodies that no reference holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from BottleneckOODLib.errors import InputError
from BottleneckOODLib.imaging.reading import IMAGE_SUFFIXES, case_id_of, read_volume, safe_name
from BottleneckOODLib.imaging.volume import LabelVolume, Volume
from BottleneckOODLib.imaging.writing import read_label_volume
from BottleneckOODLib.likely_meant import missing_path
from BottleneckOODLib.robustness.displacements import LabelledVolume
from BottleneckOODLib.synthesis.body import BodyStyle, generate_body

LABELS_ENDING = "_labels"
TOTALSEGMENTATOR_LIVER = 5
TEST, VALIDATION = "test", "validation"
VALIDATION_SEED = 4242
_FIELDS_OF_VIEW = ("whole abdomen", "upper abdomen", "thorax-abdomen", "liver slab", "abdomen-pelvis")
_SPACING_MM = (2.0, 2.0, 4.0)


@dataclass(frozen=True)
class BaseCase:
    """One image to start from.

    Attributes:
        part: ``"test"`` for the scans of the folder, ``"validation"`` for generated bodies.
        case: Its name.
        labelled: Whether its organ is known.
        load: Gives the image and its organ; called when it is needed.
    """

    part: str
    case: str
    labelled: bool
    load: Callable[[], LabelledVolume]


def scans_of(folder: Path, organ: int = TOTALSEGMENTATOR_LIVER) -> list[BaseCase]:
    """The scans below a folder, those with labels first; no image is read yet.

    Args:
        folder: Image files and folders of DICOM slices, at any depth. ``NAME_labels.nii.gz`` beside ``NAME.nii.gz``
            holds its labels (any of the image formats).
        organ: Value of the organ in label maps of several structures; in a map of one structure that one is it.

    Raises:
        InputError: There is no such folder, it holds no image, or none with labels.
    """
    if not folder.is_dir():
        message = f"The data folder {folder} does not exist; {missing_path(folder)}"
        raise InputError(message)
    images = {path: _stem(path) for path in sorted(folder.rglob("*")) if path.name.lower().endswith(IMAGE_SUFFIXES)}
    labels = {(path.parent, stem): path for path, stem in images.items() if stem.endswith(LABELS_ENDING)}
    scans = [(path, labels.get((path.parent, stem + LABELS_ENDING))) for path, stem in images.items()]
    scans = [(path, its_labels) for path, its_labels in scans if path not in labels.values()]
    series = sorted({path.parent for path in folder.rglob("*.dcm")})
    if not scans and not series:
        message = f"The folder {folder} holds no scans; give a folder of image files or folders of DICOM slices."
        raise InputError(message)
    labelled = [_scan(folder, path, its_labels, organ) for path, its_labels in scans if its_labels is not None]
    if not labelled:
        message = (
            f"No scan in {folder} has labels, so no Dice can be measured; "
            f"put NAME{LABELS_ENDING}.nii.gz beside NAME.nii.gz."
        )
        raise InputError(message)
    others = [path for path, its_labels in scans if its_labels is None] + series
    return [*labelled, *(_scan(folder, path, None, organ) for path in others)]


def generated_bodies(n: int, seed: int = VALIDATION_SEED) -> Iterator[BaseCase]:
    """Drawn bodies, each made when its turn comes; of other seeds than any reference's."""
    for number in range(n):
        kind = _FIELDS_OF_VIEW[number % len(_FIELDS_OF_VIEW)]
        yield BaseCase(VALIDATION, f"drawn-{number:02d}", labelled=True, load=_drawn(seed + number, kind))


def _drawn(seed: int, field_of_view: str) -> Callable[[], LabelledVolume]:
    def load() -> LabelledVolume:
        case = generate_body(seed, spacing_mm=_SPACING_MM, style=BodyStyle(field_of_view=field_of_view))
        return case.volume, case.liver

    return load


def _stem(path: Path) -> str:
    return next(path.name[: -len(s)] for s in IMAGE_SUFFIXES if path.name.lower().endswith(s))


def _scan(folder: Path, path: Path, labels: Path | None, organ: int) -> BaseCase:
    # Files of one name in two folders are two cases.
    inside = path.relative_to(folder)
    name = safe_name("-".join((*inside.parts[:-1], case_id_of(path))))

    def load() -> LabelledVolume:
        volume = read_volume(path)
        return volume, None if labels is None else _organ(labels, volume, organ)

    return BaseCase(TEST, name, labels is not None, load)


def _organ(path: Path, volume: Volume, organ: int) -> LabelVolume:
    truth = read_label_volume(path)
    if truth.labels.shape != volume.voxels.shape:
        message = f"The labels {path} have another size than their scan; export them again."
        raise InputError(message)
    values = np.unique(truth.labels[truth.labels > 0])
    mask = truth.labels > 0 if len(values) <= 1 else truth.labels == organ
    if not mask.any():
        message = f"The labels {path} hold no structure of the value {organ}; say which one it is with --organ."
        raise InputError(message)
    # The scan's own geometry: what was cut out of a larger scan may carry the position of the whole.
    return LabelVolume(mask.astype(np.uint8), volume.geometry, {1: "organ"})
