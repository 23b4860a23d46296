"""``assessment.json``: the assessment as a document, and back."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from BottleneckOODLib.errors import InputError
from BottleneckOODLib.imaging.volume import LabelVolume
from BottleneckOODLib.ood.placement import Placement
from BottleneckOODLib.reference.scoring import Neighbour, PartScore

if TYPE_CHECKING:
    from BottleneckOODLib.assessment.assessment import Assessment

SCHEMA_VERSION = 1
RECORD_FILE, SEGMENTATION_FILE = "assessment.json", "segmentation.seg.nrrd"
_MAX_BYTES = 20_000_000


def record_of(assessment: Assessment) -> dict[str, Any]:
    """The assessment as plain data, in the order of ``docs/files.md``; no NaN, no identifiers, no paths."""
    mask = assessment.segmentation
    return {
        "schema_version": SCHEMA_VERSION,
        "case_id": assessment.case_id,
        "created": assessment.created,
        "program_version": assessment.program_version,
        "input": asdict(assessment.input),
        "model": asdict(assessment.model),
        "reference": asdict(assessment.reference),
        "segmentation": {
            "file": None if mask is None else SEGMENTATION_FILE,
            "volume_ml": assessment.volume_ml,
            "n_components": assessment.n_components,
        },
        "ood": {
            "detector": assessment.detector,
            "score": assessment.score,
            "p_value": assessment.p_value,
            "percentile": assessment.percentile,
            "light": assessment.light,
            "sentence": assessment.sentence,
            "parts": {name: asdict(part) for name, part in assessment.parts.items()},
        },
        "checks": [asdict(check) for check in assessment.checks],
        "neighbours": [asdict(neighbour) for neighbour in assessment.neighbours],
        "placement": None if assessment.placement is None else asdict(assessment.placement),
        "map": [[point.x, point.y, point.dice] for point in assessment.map_points],
        "timings_s": dict(assessment.timings_s),
        "device": assessment.device,
        "warnings": list(assessment.warnings),
    }


def write_record(assessment: Assessment, path: Path) -> None:
    """Write ``assessment.json``."""
    path.write_text(record_text(assessment), encoding="utf-8")


def record_text(assessment: Assessment) -> str:
    """The text of ``assessment.json``."""
    return json.dumps(record_of(assessment), indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def read_record(path: Path, segmentation: LabelVolume | None) -> Assessment:
    """Read ``assessment.json``.

    Raises:
        InputError: The file is missing, damaged, or of a newer format.
    """
    if not path.is_file():
        message = f"The folder {path.parent} holds no assessment; choose the folder of an assessed case."
        raise InputError(message)
    try:
        text = path.read_text(encoding="utf-8") if path.stat().st_size < _MAX_BYTES else ""
    except (OSError, UnicodeDecodeError):
        text = ""
    return parse_record(text, str(path), segmentation)


def parse_record(text: str, source: str, segmentation: LabelVolume | None) -> Assessment:
    """An assessment from the text of ``assessment.json``.

    Raises:
        InputError: The text is damaged, or of a newer format.
    """
    damaged = f"The assessment {source} is damaged; assess the case again."
    try:
        document = json.loads(text, parse_constant=_refuse_constant)
        version = document["schema_version"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise InputError(damaged) from None
    if type(version) is int and version > SCHEMA_VERSION:
        message = f"The assessment {source} was made by a newer version of BottleneckOOD; update BottleneckOOD."
        raise InputError(message)
    try:
        assessment = _assessment_of(document, segmentation)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise InputError(damaged) from None
    if version != SCHEMA_VERSION or assessment.light not in ("green", "amber", "red", "grey"):
        raise InputError(damaged)
    return assessment


def _assessment_of(document: Mapping[str, Any], segmentation: LabelVolume | None) -> Assessment:
    from BottleneckOODLib.assessment.assessment import (  # noqa: PLC0415 - the two files know each other
        Assessment,
        InputFacts,
        MapPoint,
        ModelFacts,
        ReferenceFacts,
    )
    from BottleneckOODLib.assessment.checks import Check  # noqa: PLC0415 - as above

    image, ood, mask = dict(document["input"]), document["ood"], document["segmentation"]
    image["shape"], image["spacing_mm"] = tuple(image["shape"]), tuple(image["spacing_mm"])
    placement = document["placement"]
    return Assessment(
        case_id=str(document["case_id"]),
        created=str(document["created"]),
        program_version=str(document["program_version"]),
        input=InputFacts(**image),
        model=ModelFacts(**document["model"]),
        reference=ReferenceFacts(**document["reference"]),
        light=ood["light"],
        sentence=str(ood["sentence"]),
        detector=str(ood["detector"]),
        score=_optional(ood["score"]),
        p_value=_optional(ood["p_value"]),
        percentile=_optional(ood["percentile"]),
        parts={name: PartScore(**part) for name, part in ood["parts"].items()},
        checks=tuple(Check(**check) for check in document["checks"]),
        neighbours=tuple(Neighbour(**neighbour) for neighbour in document["neighbours"]),
        placement=None if placement is None else Placement(**placement),
        volume_ml=float(mask["volume_ml"]),
        n_components=int(mask["n_components"]),
        timings_s={str(step): float(seconds) for step, seconds in document["timings_s"].items()},
        device=str(document["device"]),
        warnings=tuple(str(warning) for warning in document["warnings"]),
        map_points=tuple(MapPoint(float(x), float(y), _optional(dice)) for x, y, dice in document["map"]),
        segmentation=segmentation,
    )


def _optional(value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        message = f"{value!r} where a number is needed"
        raise TypeError(message)
    return float(value)


def _refuse_constant(name: str) -> float:
    message = f"{name} is no JSON number"
    raise ValueError(message)
