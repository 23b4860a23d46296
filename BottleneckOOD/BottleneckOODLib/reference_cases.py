"""The cases of a reference: those of a list or a folder, or generated bodies."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from BottleneckOODLib.errors import InputError
from BottleneckOODLib.imaging.reading import IMAGE_SUFFIXES, case_id_of, read_volume
from BottleneckOODLib.imaging.volume import LabelVolume, Volume
from BottleneckOODLib.imaging.writing import read_label_volume
from BottleneckOODLib.logic import CaseForReference
from BottleneckOODLib.synthesis.body import SyntheticCase
from BottleneckOODLib.synthesis.real_anatomy import read_real_anatomies
from BottleneckOODLib.synthesis.samples import reference_cases


def listed_cases(source: Path) -> list[CaseForReference]:
    """The cases of a table or a folder; no image is read yet.

    Args:
        source: A CSV in UTF-8 with a column ``image``, and perhaps ``label``, ``case_id`` and facts of the acquisition,
            paths relative to it; or a folder, of which every image and DICOM folder is a case.

    Raises:
        InputError: There is no such list, it cannot be read, or it names no image.
    """
    return list(_folder_cases(source) if source.is_dir() else _table_cases(source))


def generated_cases(n: int, seed: int, data: Path | None) -> Iterator[CaseForReference]:
    """The cases of the demo reference, each made when its turn comes.

    Args:
        n: How many.
        seed: The same seed gives the same cases.
        data: Folder with labelled scans whose deformed copies are a part of the cases; None for bodies alone.
    """
    real = [] if data is None else read_real_anatomies(data)
    for number, case in enumerate(reference_cases(n, seed, real=real)):
        facts = {str(key): str(value) for key, value in case.facts.items()}
        yield CaseForReference(f"body-{number:03d}", _loader(case), facts)


def _loader(case: SyntheticCase) -> Callable[[], tuple[Volume, LabelVolume | None]]:
    return lambda: (case.volume, case.liver)


def _table_cases(source: Path) -> Iterator[CaseForReference]:
    if not source.is_file():
        message = f"The list of cases {source} does not exist; give a CSV or a folder."
        raise InputError(message)
    try:
        with source.open(newline="", encoding="utf-8-sig") as stream:
            rows = list(csv.DictReader(stream))
    except (OSError, UnicodeDecodeError, csv.Error):
        message = f"The list of cases {source.name} cannot be read; give a CSV in UTF-8."
        raise InputError(message) from None
    for number, row in enumerate(rows, start=2):
        image = (row.get("image") or "").strip()
        if not image:
            message = f'Line {number} of {source.name} names no image; the table needs a column "image".'
            raise InputError(message)
        label = (row.get("label") or "").strip()
        if "dice" in row:
            message = f"The column dice of {source.name} is measured and not given; rename or remove the column."
            raise InputError(message)
        facts = {k: v for k, v in row.items() if k and v and k not in ("image", "label", "case_id")}
        yield _case(
            source.parent / image, source.parent / label if label else None, (row.get("case_id") or "").strip(), facts
        )


def _folder_cases(folder: Path) -> Iterator[CaseForReference]:
    found = [p for p in sorted(folder.iterdir()) if p.is_dir() or p.name.lower().endswith(IMAGE_SUFFIXES)]
    if not found:
        message = f"The folder {folder} holds no images; give a folder of image files or DICOM folders."
        raise InputError(message)
    for path in found:
        yield _case(path, None, "", {})


def _case(image: Path, label: Path | None, case_id: str, facts: dict[str, str]) -> CaseForReference:
    def load() -> tuple[Volume, LabelVolume | None]:
        volume = read_volume(image)
        truth = None if label is None else read_label_volume(label)
        if truth is not None and len(np.unique(truth.labels[truth.labels > 0])) > 1:
            message = f"The labels {label} hold several structures; export the one that the model segments alone."
            raise InputError(message)
        if truth is not None and truth.labels.shape != volume.voxels.shape:
            message = f"The labels {label} have another size than their image {image.name}; export them again."
            raise InputError(message)
        return volume, truth

    return CaseForReference(case_id or case_id_of(image), load, facts, labelled=label is not None)
