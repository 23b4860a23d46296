"""DICOM objects that a test exported, and how they are read without the library that wrote them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom

Frames = dict[tuple[str, int], np.ndarray]

STUDY = {
    "FrameOfReferenceUID": "1.2.3.77",
    "PatientName": "Doe^Jane",
    "PatientID": "PID-1",
    "PatientBirthDate": "19800229",
    "PatientSex": "F",
    "StudyDate": "20240131",
    "StudyTime": "081500",
    "AccessionNumber": "ACC-1",
    "StudyID": "S1",
    "ReferringPhysicianName": "Who^Doctor",
    "SeriesNumber": 4,
}
MARKED_ABOVE, TWICE_ABOVE = 200.0, 1500.0


@dataclass(frozen=True)
class Exported:
    """A source folder and the three objects."""

    source: Path
    folder: Path
    segmentation: pydicom.Dataset
    report: pydicom.Dataset
    picture: pydicom.Dataset

    def __iter__(self) -> Iterator[pydicom.Dataset]:
        return iter((self.segmentation, self.report, self.picture))

    @property
    def slices(self) -> list[pydicom.Dataset]:
        """The source's files, as pydicom reads them."""
        return [pydicom.dcmread(path) for path in sorted(self.source.glob("*"))]


def marked(voxels: np.ndarray, names: Mapping[int, str]) -> np.ndarray:
    """Labels that a slice's own pixels tell, none in every third column: a mask on another slice would be seen."""
    labels = (voxels > MARKED_ABOVE).astype(np.uint8)
    if len(names) > 1:
        labels[voxels > TWICE_ABOVE] = max(names)
    labels[..., ::3] = 0
    return labels


def frames_expected(slices: list[pydicom.Dataset], names: Mapping[int, str]) -> Frames:
    """What each source instance and segment has to hold, empty frames left out."""
    frames = {}
    for slice_ in slices:
        slope, intercept = (
            float(slice_.get(f"Rescale{name}", value)) for name, value in (("Slope", 1), ("Intercept", 0))
        )
        labels = marked((slice_.pixel_array * slope + intercept).astype(np.float32), names)
        for segment, value in enumerate(sorted(names), start=1):
            if (labels == value).any():
                frames[str(slice_.SOPInstanceUID), segment] = labels == value
    return frames


def frames_read(made: pydicom.Dataset) -> Frames:
    """What each source instance and segment holds, read with pydicom's data elements alone."""
    frames = {}
    for number, pixels in enumerate(unpacked(made)):
        segment = int(group(made, number, "SegmentIdentificationSequence").ReferencedSegmentNumber)
        (image,) = group(made, number, "DerivationImageSequence").SourceImageSequence
        frames[str(image.ReferencedSOPInstanceUID), segment] = pixels.astype(bool)
    return frames


def unpacked(made: pydicom.Dataset) -> np.ndarray:
    """Frames (n, rows, columns) out of single bits, lowest first (PS3.5, 8.1.1)."""
    assert (made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation) == (1, 1, 0, 0)
    shape = (int(made.NumberOfFrames), int(made.Rows), int(made.Columns))
    bits = np.unpackbits(np.frombuffer(made.PixelData, np.uint8), bitorder="little")
    return bits[: int(np.prod(shape))].reshape(shape)


def group(made: pydicom.Dataset, frame: int, sequence: str) -> pydicom.Dataset:
    """A functional group of a frame, its own or the one that all frames share."""
    own = made.PerFrameFunctionalGroupsSequence[frame]
    return (own if sequence in own else made.SharedFunctionalGroupsSequence[0])[sequence][0]


def in_words(dataset: pydicom.Dataset) -> Iterator[tuple[str, str, str]]:
    """Value type, name and value of every content item of a report."""
    for item in dataset.get("ContentSequence", []):
        name = item.ConceptNameCodeSequence[0].CodeMeaning
        if item.ValueType == "NUM":
            yield "NUM", name, str(item.MeasuredValueSequence[0].NumericValue)
        elif item.ValueType == "CODE":
            yield "CODE", name, item.ConceptCodeSequence[0].CodeMeaning
        elif item.ValueType == "TEXT":
            yield "TEXT", name, item.TextValue
        else:
            yield item.ValueType, name, ""
        yield from in_words(item)
