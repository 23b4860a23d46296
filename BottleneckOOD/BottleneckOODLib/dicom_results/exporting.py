"""An assessment written as DICOM objects of its scan's study."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from BottleneckOODLib.assessment.assessment import Assessment
from BottleneckOODLib.assessment.versions import EditedVersion
from BottleneckOODLib.atomic_folder import check_replaceable, written_whole
from BottleneckOODLib.errors import InputError
from BottleneckOODLib.imaging.dicom import choose_series
from BottleneckOODLib.imaging.reading import read_volume, safe_name
from BottleneckOODLib.imaging.reading_process import ReadVolume
from BottleneckOODLib.imaging.scattered_series import series_at
from BottleneckOODLib.imaging.volume import LabelVolume, Volume

MASK_OBJECT, REPORT_OBJECT, PICTURE_OBJECT = "segmentation.dcm", "report.dcm", "picture.dcm"
_SAME_PLACE_MM = 0.01
_NO_OBJECTS = "no DICOM objects were written"


def export_dicom(
    assessment: Assessment,
    source: str | Path,
    output: str | Path,
    *,
    series: str | None = None,
    read: ReadVolume = read_volume,
    edited: tuple[EditedVersion, LabelVolume] | None = None,
) -> Path:
    """Write ``output/<case_id>/`` whole or not at all: mask (SEG), report (SR) and picture (secondary capture).

    The objects carry the patient's and the study's attributes of the source, since they belong to its study. Each call
    makes new instances in new series. The source is only read.

    Args:
        assessment: Of a series, with its mask; the image is read again.
        source: The folder of the series that was assessed.
        output: Where the case's folder goes; an existing one is kept, and the call refused.
        series: Number or UID of the series where the folder holds several.
        read: Reads the image: in this process, or ``imaging.reading_process``'s in its own.
        edited: A reader's version of the mask, to be written in the place of the model's own; the objects say so.

    Returns:
        The case's folder.

    Raises:
        SeriesChoiceError: The folder holds several series and none was chosen.
        InputError: The source is no DICOM series, or not the one that was assessed; its slices cannot be referred to;
            the mask is empty.
        OutputError: The case's folder exists, or cannot be written.
    """
    # The record may come from elsewhere, and a name in it must not lead out of the output's folder.
    folder, target = Path(source), Path(output) / safe_name(assessment.case_id)
    check_series_folder(folder)
    version, mask = edited or (None, assessment.segmentation)
    if mask is None or not np.isin(mask.labels, list(mask.names)).any():
        message = f"The mask of {assessment.case_id} is empty, so {_NO_OBJECTS}; look at the image itself."
        raise InputError(message)
    check_replaceable(target, overwrite=False, known=())
    # Read again, so that slice k of the mask is the k-th file beyond doubt.
    volume = read(folder, series=series)
    if not _is_of(assessment, mask, volume):
        message = (
            f"The mask of {assessment.case_id} does not lie on the slices of {folder.name}, so {_NO_OBJECTS}; name the "
            "series that was assessed."
        )
        raise InputError(message)
    from BottleneckOODLib.dicom_results.picture_object import picture_object  # noqa: PLC0415 - imports highdicom
    from BottleneckOODLib.dicom_results.report_object import report_object  # noqa: PLC0415 - imports highdicom
    from BottleneckOODLib.dicom_results.segmentation_object import segmentation_object  # noqa: PLC0415
    from BottleneckOODLib.dicom_results.source_headers import source_headers, without_words  # noqa: PLC0415

    chosen = choose_series(series_at(folder)[0], series, folder)
    headers = source_headers(chosen, folder.name, mask.geometry.spacing_mm[2])
    with (
        written_whole(target, overwrite=False, known=()) as temporary,
        without_words(),
        segmentation_object(assessment, mask, headers, version) as segmentation,
    ):
        segmentation.save_as(temporary / MASK_OBJECT)
        report_object(assessment, mask, segmentation, headers, version).save_as(temporary / REPORT_OBJECT)
        shown = replace(assessment, volume=volume)
        picture_object(shown, mask, headers[0], version).save_as(temporary / PICTURE_OBJECT)
    return target


def check_series_folder(source: Path) -> None:
    """Refuse what has no study to refer to.

    Raises:
        InputError: The source is no folder.
    """
    if source.is_dir():
        return
    what = "is no DICOM series, which has a study to refer to" if source.exists() else "does not exist"
    message = f"The image {source.name} {what}, so {_NO_OBJECTS}; choose the folder of the series that was assessed."
    raise InputError(message)


def _is_of(assessment: Assessment, mask: LabelVolume, volume: Volume) -> bool:
    """Whether the mask lies on the image's grid; where the assessed image is at hand, also whether it is this one."""
    if not volume.geometry.is_close(mask.geometry, _SAME_PLACE_MM):
        return False
    return assessment.volume is None or bool(np.array_equal(assessment.volume.voxels, volume.voxels))
