"""What a volume's DICOM headers tell of its acquisition, from the scene and the database, without identifiers."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import slicer

from BottleneckOODLib.imaging.acquisition import facts_within_bounds
from BottleneckOODLib.imaging.volume import Modality

TagOf = Callable[[str, str], str]
"""Gives the value of a tag (``"0008,0060"``) of an instance (its SOP instance UID), such as Slicer's DICOM database."""

_INSTANCES = "DICOM.instanceUIDs"
_MODALITY_TAG, _AGENT_TAG = "0008,0060", "0018,0010"
# "Other" is what programs write that do not know what made the image.
_TELL_NOTHING = ("", "OT")
_DESCRIPTION_TAGS = ("0018,1030", "0008,103e")
_TAG_OF = {
    "Manufacturer": "0008,0070",
    "ManufacturerModelName": "0008,1090",
    "ConvolutionKernel": "0018,1210",
    "PatientPosition": "0018,5100",
    "BodyPartExamined": "0018,0015",
    "SliceThickness": "0018,0050",
    "KVP": "0018,0060",
    "MagneticFieldStrength": "0018,0087",
    "ScanningSequence": "0018,0020",
    "SequenceVariant": "0018,0021",
    "RepetitionTime": "0018,0080",
    "EchoTime": "0018,0081",
    "FlipAngle": "0018,1314",
    "PatientName": "0010,0010",
    "PatientID": "0010,0020",
    "AccessionNumber": "0008,0050",
}
# Only the phase is kept of a description: the rest may name people.
_PHASES = (
    ("arterial", r"arteri|\bart\b"),
    ("portal", r"portal|\bpv\b|\bpvp\b|venous|venös|\bven\b"),
    ("late", r"\blate\b|delay|equilib|spät"),
    ("none", r"native?\b|nativ|unenhanced|non.?contrast|without contrast|\bplain\b"),
)


def modality_of(volume_node: Any, tag_of: TagOf | None = None) -> Modality:
    """The modality of a volume that was loaded from DICOM; ``"unknown"`` where nothing tells it.

    Args:
        volume_node: The volume's node.
        tag_of: Reads headers; None asks the scene alone (Slicer's subject hierarchy).
    """
    said = _in_hierarchy(volume_node) or _tag(volume_node, tag_of, _MODALITY_TAG)
    if said == "CT":
        return "CT"
    return "MR" if said in ("MR", "MRI") else "unknown"


def stated_modality(volume_node: Any, tag_of: TagOf | None = None) -> str:
    """The modality as the headers state it, such as ``"PT"``; empty where nothing tells it."""
    return _in_hierarchy(volume_node) or _tag(volume_node, tag_of, _MODALITY_TAG)


def refusal_of_modality(volume_node: Any, tag_of: TagOf | None = None) -> str | None:
    """Why a volume is no CT or MR image, as one sentence; None where it is one, or nothing tells what it is."""
    said = stated_modality(volume_node, tag_of)
    if said in _TELL_NOTHING or modality_of(volume_node, tag_of) != "unknown":
        return None
    return f"The headers say that {volume_node.GetName() or 'volume'} is {said}; choose a CT or MR volume."


def acquisition_of(volume_node: Any, tag_of: TagOf | None) -> dict[str, str | float]:
    """Facts of the acquisition that identify nobody, from the headers of the volume's first instance.

    They are those of a file, within the same bounds (``imaging.acquisition``), and the contrast phase: the one that the
    protocol's or the series' name says in plain words, if any.
    """
    facts = facts_within_bounds(lambda keyword: _tag(volume_node, tag_of, _TAG_OF[keyword]))
    if _first_instance(volume_node) and tag_of is not None and modality_of(volume_node, tag_of) == "CT":
        facts["contrast_agent"] = "yes" if _tag(volume_node, tag_of, _AGENT_TAG) else "not stated"
    words = " ".join(_tag(volume_node, tag_of, tag) for tag in _DESCRIPTION_TAGS).lower().replace("_", " ")
    phases = [phase for phase, pattern in _PHASES if re.search(pattern, words)]
    if len(phases) == 1:
        facts["contrast_phase"] = phases[0]
    return facts


def _in_hierarchy(volume_node: Any) -> str:
    scene = volume_node.GetScene()
    # Asking for "the" hierarchy of a scene would make one where there is none.
    hierarchy = None if scene is None else scene.GetFirstNodeByClass("vtkMRMLSubjectHierarchyNode")
    if hierarchy is None:
        return ""
    item = hierarchy.GetItemByDataNode(volume_node)
    name = slicer.vtkMRMLSubjectHierarchyConstants.GetDICOMSeriesModalityAttributeName()
    return str(hierarchy.GetItemAttribute(item, name) or "").strip() if item else ""


def _first_instance(volume_node: Any) -> str:
    return next(iter((volume_node.GetAttribute(_INSTANCES) or "").split()), "")


def _tag(volume_node: Any, tag_of: TagOf | None, tag: str) -> str:
    instance = _first_instance(volume_node)
    return str(tag_of(instance, tag) or "").strip() if tag_of is not None and instance else ""
