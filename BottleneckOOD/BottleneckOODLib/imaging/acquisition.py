"""What may be kept of the headers of an acquisition: one rule, whoever reads them; without pydicom."""

from __future__ import annotations

import re
from collections.abc import Callable

FACTS = {
    "Manufacturer": "manufacturer",
    "ManufacturerModelName": "scanner_model",
    "SliceThickness": "slice_thickness_mm",
    "KVP": "kvp",
    "ConvolutionKernel": "kernel",
    "MagneticFieldStrength": "field_strength_t",
    "ScanningSequence": "scanning_sequence",
    "SequenceVariant": "sequence_variant",
    "RepetitionTime": "repetition_time_ms",
    "EchoTime": "echo_time_ms",
    "FlipAngle": "flip_angle_deg",
    "PatientPosition": "patient_position",
    "BodyPartExamined": "body_part",
}
"""What each attribute that may be kept is called as a fact."""
_GREATEST = {
    "slice_thickness_mm": 100.0,
    "kvp": 1000.0,
    "field_strength_t": 30.0,
    "repetition_time_ms": 100_000.0,
    "echo_time_ms": 10_000.0,
    "flip_angle_deg": 360.0,
}
_TERMS = {
    "scanning_sequence": "SE IR GR EP RM",
    "sequence_variant": "SK MTC SS TRSS SP MP OSP TOF NONE",
    "patient_position": "HFP HFS HFDR HFDL FFDR FFDL FFP FFS LFP LFS RFP RFS AFDR AFDL PFDR PFDL",
    "body_part": "ABDOMEN ABDOMENPELVIS ADRENAL AORTA BILEDUCT BRAIN BREAST CHEST CHESTABDOMEN CHESTABDPELVIS CSPINE "
    "EXTREMITY HEAD HEADNECK HEART HIP KIDNEY LIVER LSPINE LUNG NECK NECKCHEST NECKCHESTABDOMEN NECKCHESTABDPELV "
    "PANCREAS PELVIS PROSTATE SPINE SPLEEN STOMACH TLSPINE TSPINE UTERUS WHOLEBODY",
}
"""Defined terms, PS3.3 C.7.3.1.1.2 and C.8.3.1.1, PS3.16 Annex L; others may be anything that somebody typed."""
_LONGEST_FACT = 64
_PLAIN_WORDS = re.compile(r"[A-Za-z0-9 .,_/()+&\\-]*")
_NUMBER_OR_DATE = re.compile(r"\d{5}|\d{1,4}([-./_])\d{1,2}\1\d{1,4}")
IDENTIFIERS = ("PatientName", "PatientID", "AccessionNumber")
"""Read for one thing alone: no word of them may be in a fact."""


def facts_within_bounds(text_of: Callable[[str], str]) -> dict[str, str | float]:
    """Facts of the acquisition that identify nobody.

    Numbers are kept within what a scanner can do, coded values where they are the standard's terms. Free text is kept
    where it is at most 64 plain characters, has no date and no number of five digits or more, and no word of the
    patient's name, ID or accession number: these three are read for that alone.

    Args:
        text_of: Gives the value of an attribute by its keyword, several with a backslash between; empty where there
            is none.
    """
    facts: dict[str, str | float] = {}
    named = {word for keyword in IDENTIFIERS for word in _words(text_of(keyword))}
    for keyword, name in FACTS.items():
        text = text_of(keyword)
        if name in _GREATEST:
            number = _number(text)
            if number is not None and 0 <= number <= _GREATEST[name]:
                facts[name] = number
            continue
        if name in _TERMS:
            text = text.upper()
            known = set(text.split("\\")) <= set(_TERMS[name].split())
        else:
            known = _is_plain(text) and not named & _words(text)
        if text and known:
            facts[name] = text
    return facts


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _words(text: str) -> set[str]:
    """What of a text could name somebody: its words of three characters or more."""
    return set(re.findall(r"[^\W_]{3,}", text.casefold()))


def _is_plain(text: str) -> bool:
    return len(text) <= _LONGEST_FACT and bool(_PLAIN_WORDS.fullmatch(text)) and not _NUMBER_OR_DATE.search(text)
