"""The mask as a DICOM segmentation on the slices of its series."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import highdicom as hd
import numpy as np
from pydicom import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from BottleneckOODLib.dicom_results.equipment import (
    CONTENT_DESCRIPTION,
    CONTENT_LABEL,
    MAKER,
    equipment_of,
    long_string,
    new_uid,
    series_description,
)
from BottleneckOODLib.dicom_results.source_headers import CHARACTER_SET, series_number
from BottleneckOODLib.imaging.volume import LabelVolume
from BottleneckOODLib.imaging.writing import segment_codes, segment_colour

if TYPE_CHECKING:
    from BottleneckOODLib.assessment.assessment import Assessment
    from BottleneckOODLib.assessment.versions import EditedVersion


@contextmanager
def segmentation_object(
    assessment: Assessment, mask: LabelVolume, headers: Sequence[Dataset], version: EditedVersion | None = None
) -> Iterator[hd.seg.Segmentation]:
    """Give a binary segmentation, one segment a label that has voxels, without frames that would be empty.

    It can be saved and read as a data set until the block ends.

    Args:
        assessment: What the mask belongs to.
        mask: Slice k of its array lies on the k-th header, row for row and column for column; not empty.
        headers: Of the source slices, from ``source_headers``.
        version: Which version of the mask it is, where a reader edited it: then it is semi-automatic.

    Source:
        DICOM PS3.3, A.51 (Segmentation IOD).
    """
    present = labels_present(mask)
    frames = np.stack([mask.labels == value for value in present], axis=-1)
    made = hd.seg.Segmentation(
        source_images=list(headers),
        pixel_array=frames,
        segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=[
            _segment(number, mask.names[value], assessment, edited=version is not None)
            for number, value in enumerate(present, start=1)
        ],
        series_instance_uid=new_uid(),
        series_number=series_number(headers[0], 1),
        sop_instance_uid=new_uid(),
        instance_number=1,
        content_label=CONTENT_LABEL,
        content_description=CONTENT_DESCRIPTION,
        content_creator_name=f"{MAKER}^",
        series_description=series_description("mask" if version is None else f"mask v{version.number}"),
        specific_character_set=CHARACTER_SET,
        omit_empty_frames=True,
        **equipment_of(assessment),
    )
    try:
        yield made
    finally:
        # highdicom keeps a table of the frames in a database in memory and has no way to close it; Python 3.13 warns.
        if (frames_table := getattr(made, "_db_con", None)) is not None:
            frames_table.close()


def labels_present(mask: LabelVolume) -> list[int]:
    """The label values that have voxels, in the order of their segments."""
    return [value for value in sorted(mask.names) if (mask.labels == value).any()]


def code_of(structure: tuple[str, str]) -> Code:
    """A SNOMED CT code and its meaning as a coded concept."""
    code, meaning = structure
    return Code(code, "SCT", meaning)


def _segment(number: int, name: str, assessment: Assessment, *, edited: bool) -> hd.seg.SegmentDescription:
    category, kind = segment_codes(name)
    model, kinds = assessment.model, hd.seg.SegmentAlgorithmTypeValues
    return hd.seg.SegmentDescription(
        segment_number=number,
        segment_label=long_string(name),
        segmented_property_category=code_of(category),
        segmented_property_type=code_of(kind),
        algorithm_type=kinds.SEMIAUTOMATIC if edited else kinds.AUTOMATIC,
        algorithm_identification=hd.AlgorithmIdentificationSequence(
            name=long_string(f"{MAKER} {model.name}"),
            family=codes.DCM.ArtificialIntelligence,
            version=long_string(model.version),
            source=MAKER,
            parameters=_parameters(assessment),
        ),
        tracking_id=long_string(name),
        tracking_uid=new_uid(),
        display_color=hd.color.CIELabColor.from_rgb(*(round(255 * part) for part in segment_colour(name))),
    )


def _parameters(assessment: Assessment) -> dict[str, Any]:
    return {"model_fingerprint": assessment.model.fingerprint, "program_version": assessment.program_version}
