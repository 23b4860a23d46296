"""The cases of a reference: those of a list or a folder, or generated bodies."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from BottleneckOODLib.errors import InputError
from BottleneckOODLib.gathering.case import CaseForReference
from BottleneckOODLib.imaging.label_choice import LabelChoice
from BottleneckOODLib.imaging.reading import IMAGE_SUFFIXES, case_id_of, read_volume
from BottleneckOODLib.imaging.reading_process import ReadVolume, read_apart, read_labels_apart
from BottleneckOODLib.imaging.series_folders import SeriesFolders
from BottleneckOODLib.imaging.volume import LabelVolume, Modality, Volume
from BottleneckOODLib.imaging.writing import read_label_volume
from BottleneckOODLib.likely_meant import missing_path, other_separator
from BottleneckOODLib.synthesis.anatomy import Anatomy
from BottleneckOODLib.synthesis.real_anatomy import read_real_anatomies
from BottleneckOODLib.synthesis.samples import reference_case

_CHANNEL = "_0000"
"""What nnU-Net puts behind the name of an image, and not behind that of its labels."""
_NOT_FACTS = ("image", "label", "case_id")


def listed_cases(
    source: Path, labels: Path | None = None, choice: LabelChoice | None = None, read: ReadVolume = read_volume
) -> list[CaseForReference]:
    """The cases of a table or a folder; no image is read yet.

    Args:
        source: A CSV in UTF-8 with a column ``image``, and perhaps ``label``, ``case_id`` and facts of the acquisition,
            paths relative to it; or a folder, of which every image and DICOM folder is a case.
        labels: Folder with a label map of each case, a file of the case's or the image's name; a case may have none.
            What the table names goes before.
        choice: Which values of the label maps are the organ; None where they hold it alone.
        read: Reads the images; ``imaging.reading_process.read_apart`` has the label maps read apart too. Picklable
            where several processes read.

    Raises:
        InputError: There is no such list or folder, it cannot be read or names no image, or no case has labels there.
    """
    rows = list(_folder_rows(source) if source.is_dir() else _table_rows(source))
    maps = None if labels is None else _label_maps(labels)
    cases = []
    found = 0
    for row in rows:
        label = row.label
        if label is None and maps is not None:
            label = next((maps[name] for name in row.names if name in maps), None)
        found += label is not None
        load = _FileLoader(row.image, label, choice or LabelChoice(), read)
        cases.append(CaseForReference(row.case_id, load, row.facts, labelled=label is not None))
    if maps is not None and not found:
        message = f"The folder {labels} has no labels of any case, such as {rows[0].case_id}; name them as the images."
        raise InputError(message)
    return cases


def image_case(
    case_id: str,
    image: Path | SeriesFolders,
    *,
    series: str | None,
    modality: Modality | None,
    read: ReadVolume = read_volume,
) -> CaseForReference:
    """One image without labels; it is not read yet."""
    return CaseForReference(case_id, _FileLoader(image, None, LabelChoice(), read, series, modality))


def generated_cases(n: int, seed: int, data: Path | None) -> Iterator[CaseForReference]:
    """The cases of the demo reference, each made when it is loaded.

    Args:
        n: How many.
        seed: The same seed gives the same cases.
        data: Folder with labelled scans whose deformed copies are a part of the cases; None for bodies alone.
    """
    for number in range(n):
        yield CaseForReference(f"body-{number:03d}", _BodyLoader(number, seed, data), labelled=True)


@dataclass(frozen=True)
class _FileLoader:
    """Reads a case's files; picklable, so that another process can."""

    image: Path | SeriesFolders
    label: Path | None
    choice: LabelChoice
    read: ReadVolume
    series: str | None = None
    modality: Modality | None = None

    @property
    def _read_labels(self) -> Callable[[Path], LabelVolume]:
        return read_labels_apart if self.read is read_apart else read_label_volume

    def __call__(self) -> tuple[Volume, LabelVolume | None]:
        volume = self.read(self.image, series=self.series, modality=self.modality)
        if self.label is None:
            return volume, None
        truth = self.choice.organ(self._read_labels(self.label), self.label.name)
        if truth.labels.shape != volume.voxels.shape:
            name = Path(self.image).name
            message = f"The labels {self.label} have another size than their image {name}; export them again."
            raise InputError(message)
        return volume, truth


@dataclass(frozen=True)
class _BodyLoader:
    """Makes a generated body; picklable, so that another process can."""

    number: int
    seed: int
    data: Path | None

    def __call__(self) -> tuple[Volume, LabelVolume | None]:
        case = reference_case(self.number, self.seed, real=_anatomies(self.data))
        return replace(case.volume, acquisition=case.facts), case.liver


@lru_cache(maxsize=1)
def _anatomies(data: Path | None) -> tuple[Anatomy, ...]:
    return () if data is None else tuple(read_real_anatomies(data))


@dataclass(frozen=True)
class _Row:
    image: Path
    label: Path | None
    case_id: str
    facts: dict[str, str]

    @property
    def names(self) -> tuple[str, ...]:
        """Under which its labels may stand, the likeliest first."""
        image = case_id_of(self.image)
        return self.case_id, image, image.removesuffix(_CHANNEL)


def _table_rows(source: Path) -> Iterator[_Row]:
    if not source.is_file():
        message = f"The list of cases {source} does not exist, and a CSV or a folder is needed; {missing_path(source)}"
        raise InputError(message)
    try:
        with source.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream)
            columns, rows = reader.fieldnames, list(reader)
    except (OSError, UnicodeDecodeError, csv.Error):
        message = f"The list of cases {source.name} cannot be read; give a CSV in UTF-8."
        raise InputError(message) from None
    if separated := other_separator(columns):
        message = f"The list of cases {source.name} cannot be used: {separated}."
        raise InputError(message)
    if not rows:
        message = f'The list of cases {source.name} names no image; give a line for each case below the column "image".'
        raise InputError(message)
    for number, row in enumerate(rows, start=2):
        image = (row.get("image") or "").strip()
        if not image:
            message = f'Line {number} of {source.name} names no image; the table needs a column "image".'
            raise InputError(message)
        label = (row.get("label") or "").strip()
        if "dice" in row:
            message = (
                f"The column dice of {source.name} is measured and not given; remove it, and give known values with "
                "--performance."
            )
            raise InputError(message)
        path = source.parent / image
        case_id = (row.get("case_id") or "").strip() or case_id_of(path)
        facts = {k: v for k, v in row.items() if k and v and k not in _NOT_FACTS}
        yield _Row(path, source.parent / label if label else None, case_id, facts)


def _folder_rows(folder: Path) -> Iterator[_Row]:
    found = _images_in(folder, folders=True)
    if not found:
        message = f"The folder {folder} holds no images; give a folder of image files or DICOM folders."
        raise InputError(message)
    for path in found:
        yield _Row(path, None, case_id_of(path), {})


def _label_maps(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        message = f"The folder of labels {folder} does not exist; {missing_path(folder)}"
        raise InputError(message)
    maps: dict[str, Path] = {}
    for path in _images_in(folder, folders=False):
        first = maps.setdefault(case_id_of(path).removesuffix(".seg"), path)
        if first != path:
            message = f"The labels {first.name} and {path.name} in {folder} are of one case; keep one of them."
            raise InputError(message)
    return maps


def _images_in(folder: Path, *, folders: bool) -> list[Path]:
    """Image files, and folders where they are asked for; what is hidden is none of a user's making."""
    return [
        path
        for path in sorted(folder.iterdir())
        if not path.name.startswith(".")
        and ((folders and path.is_dir()) or (path.is_file() and path.name.lower().endswith(IMAGE_SUFFIXES)))
    ]
