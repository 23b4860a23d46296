"""What made an object, and what every object says of itself."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from BottleneckOODLib.assessment.assessment import Assessment

MAKER = "BottleneckOOD"
CONTENT_LABEL = "RESEARCH_USE"
CONTENT_DESCRIPTION = "Research use, not for clinical use; review the mask"
_LONGEST = 64


def equipment_of(assessment: Assessment) -> dict[str, str]:
    """The attributes of the General Equipment module; the model's fingerprint stands for a serial number."""
    return {
        "manufacturer": MAKER,
        "manufacturer_model_name": long_string(f"{MAKER}, model {assessment.model.name}"),
        "software_versions": long_string(assessment.program_version),
        "device_serial_number": long_string(assessment.model.fingerprint),
    }


def series_description(what: str) -> str:
    """What a list of series shows: which object of ours, and what it may be used for."""
    return long_string(f"{MAKER} {what}, research use, not for clinical use")


def long_string(text: str) -> str:
    """A text as the value representation LO can hold it: 64 characters, no backslash, never empty."""
    return text.replace("\\", "/")[:_LONGEST].strip() or "not stated"


def new_uid() -> str:
    """An identifier that nothing else has, from a random UUID (PS3.5, B.2)."""
    return f"2.25.{uuid.uuid4().int}"


def device_uid(assessment: Assessment) -> str:
    """The identifier of this program with this model: the same for the same two."""
    name = f"{MAKER}/{assessment.program_version}/{assessment.model.fingerprint}"
    return f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, name).int}"
