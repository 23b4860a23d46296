"""``assessment.json``: the assessment as a document, and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from BottleneckOODLib.assessment.typed_json import as_type, list_of, typed
from BottleneckOODLib.errors import InputError
from BottleneckOODLib.ood.placement import Placement
from BottleneckOODLib.reference.scoring import Neighbour, PartScore

if TYPE_CHECKING:
    from BottleneckOODLib.assessment.assessment import Assessment, MapPoint, Memory, ModelFacts, ReferenceFacts

SCHEMA_VERSION = 1
RECORD_FILE, SEGMENTATION_FILE = "assessment.json", "segmentation.seg.nrrd"
TIMED_STEPS = ("load", "preprocess", "inference", "ood", "placement", "total")
_MAX_BYTES = 20_000_000
_DAMAGE = (KeyError, TypeError, ValueError, AttributeError, OverflowError)


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
            "n_calibrating": assessment.n_calibrating,
        },
        "outcome": None if assessment.outcome is None else asdict(assessment.outcome),
        "checks": [asdict(check) for check in assessment.checks],
        "neighbours": [asdict(neighbour) for neighbour in assessment.neighbours],
        "placement": None if assessment.placement is None else asdict(assessment.placement),
        "map": [[point.x, point.y, point.dice] for point in assessment.map_points],
        "map_cases": [[point.case_id, dict(point.facts)] for point in assessment.map_points],
        "timings_s": dict(assessment.timings_s),
        "device": assessment.device,
        "disagreement": dict(assessment.disagreement),
        "peak_memory": None if assessment.peak_memory is None else asdict(assessment.peak_memory),
        "warnings": list(assessment.warnings),
    }


def write_record(assessment: Assessment, path: Path) -> None:
    """Write ``assessment.json``."""
    path.write_text(record_text(assessment), encoding="utf-8")


def record_text(assessment: Assessment) -> str:
    """The text of ``assessment.json``."""
    return json.dumps(record_of(assessment), indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def read_record(path: Path) -> tuple[Assessment, str | None]:
    """Read ``assessment.json``.

    Returns:
        The assessment without its mask, and the name of the mask's file, or None where there is no mask.

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
    return parse_record(text, str(path))


def parse_record(text: str, source: str) -> tuple[Assessment, str | None]:
    """An assessment without its mask, and the name of the mask's file, from the text of ``assessment.json``.

    Raises:
        InputError: The text is damaged, or of a newer format.
    """
    document = _document_of(text, source)
    try:
        assessment = _assessment_of(document)
        mask_file = document["segmentation"]["file"]
    except _DAMAGE:
        raise InputError(_damaged(source)) from None
    if mask_file not in (None, SEGMENTATION_FILE):
        raise InputError(_damaged(source))
    return assessment, mask_file


@dataclass(frozen=True)
class RecordHead:
    """What a list of many cases needs of each record: who judged, and the case's place on the map."""

    program_version: str
    model: ModelFacts
    reference: ReferenceFacts
    placement: Placement | None
    n_calibrating: int | None = None


def parse_head(text: str, source: str) -> RecordHead:
    """The same as ``parse_record`` without what takes long, which is the map of the training cases.

    Raises:
        InputError: The text is damaged, or of a newer format.
    """
    from BottleneckOODLib.assessment.assessment import ModelFacts, ReferenceFacts  # noqa: PLC0415 - as below

    document = _document_of(text, source)
    try:
        return RecordHead(
            as_type(str, document["program_version"]),
            typed(ModelFacts, document["model"]),
            typed(ReferenceFacts, document["reference"]),
            _placement_of(document),
            _n_calibrating(document),
        )
    except _DAMAGE:
        raise InputError(_damaged(source)) from None


def _document_of(text: str, source: str) -> Mapping[str, Any]:
    try:
        document = json.loads(text, parse_constant=_refuse_constant)
        version = document["schema_version"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise InputError(_damaged(source)) from None
    if type(version) is int and version > SCHEMA_VERSION:
        message = f"The assessment {source} was made by a newer version of BottleneckOOD; update BottleneckOOD."
        raise InputError(message)
    if version != SCHEMA_VERSION:
        raise InputError(_damaged(source))
    return dict(document)


def _damaged(source: str) -> str:
    return f"The assessment {source} is damaged; assess the case again."


def _n_calibrating(document: Mapping[str, Any]) -> int | None:
    """Records that were made before it was kept have none."""
    n_calibrating: int | None = as_type(int | None, document["ood"].get("n_calibrating"))
    if n_calibrating is not None and not 0 < n_calibrating <= document["reference"]["n_cases"]:
        message = f"{n_calibrating} cases cannot calibrate"
        raise ValueError(message)
    return n_calibrating


def _disagreement(document: Mapping[str, Any]) -> dict[str, float]:
    """Records that were made before it was kept have none."""
    shares = {as_type(str, name): as_type(float, share) for name, share in document.get("disagreement", {}).items()}
    if not all(0 <= share <= 1 for share in shares.values()):
        message = "a disagreement is no share"
        raise ValueError(message)
    return shares


def _peak_memory(document: Mapping[str, Any]) -> Memory | None:
    """Records that were made before it was kept have none."""
    from BottleneckOODLib.assessment.assessment import Memory  # noqa: PLC0415 - the two files know each other

    values = document.get("peak_memory")
    peak = None if values is None else typed(Memory, values)
    if peak is not None and min(peak.process_bytes or 0, peak.card_bytes or 0) < 0:
        message = "less memory than none"
        raise ValueError(message)
    return peak


def _placement_of(document: Mapping[str, Any]) -> Placement | None:
    placement = document["placement"]
    return None if placement is None else typed(Placement, placement)


def _assessment_of(document: Mapping[str, Any]) -> Assessment:
    from BottleneckOODLib.assessment.assessment import (  # noqa: PLC0415 - the two files know each other
        Assessment,
        InputFacts,
        ModelFacts,
        ReferenceFacts,
    )
    from BottleneckOODLib.assessment.checks import Check, Light  # noqa: PLC0415 - as above
    from BottleneckOODLib.assessment.outcome import OutcomeEstimate  # noqa: PLC0415 - as above

    ood, mask, timings = document["ood"], document["segmentation"], dict(document["timings_s"])
    if not set(TIMED_STEPS) <= set(timings):
        message = "not every step is timed"
        raise KeyError(message)
    return Assessment(
        case_id=as_type(str, document["case_id"]),
        created=as_type(str, document["created"]),
        program_version=as_type(str, document["program_version"]),
        input=typed(InputFacts, document["input"]),
        model=typed(ModelFacts, document["model"]),
        reference=typed(ReferenceFacts, document["reference"]),
        light=as_type(Light, ood["light"]),
        sentence=as_type(str, ood["sentence"]),
        detector=as_type(str, ood["detector"]),
        score=as_type(float | None, ood["score"]),
        p_value=as_type(float | None, ood["p_value"]),
        percentile=as_type(float | None, ood["percentile"]),
        parts={name: typed(PartScore, part) for name, part in ood["parts"].items()},
        checks=tuple(typed(Check, check) for check in document["checks"]),
        neighbours=tuple(typed(Neighbour, neighbour) for neighbour in document["neighbours"]),
        placement=_placement_of(document),
        volume_ml=as_type(float, mask["volume_ml"]),
        n_components=as_type(int, mask["n_components"]),
        timings_s={step: as_type(float, seconds) for step, seconds in timings.items()},
        device=as_type(str, document["device"]),
        warnings=list_of(str, document["warnings"]),
        map_points=_map_points(document),
        # Records that were made before there were outcomes have none.
        outcome=None if document.get("outcome") is None else typed(OutcomeEstimate, document["outcome"]),
        n_calibrating=_n_calibrating(document),
        disagreement=_disagreement(document),
        peak_memory=_peak_memory(document),
    )


def _map_points(document: Mapping[str, Any]) -> tuple[MapPoint, ...]:
    from BottleneckOODLib.assessment.assessment import MapPoint  # noqa: PLC0415 - the two files know each other

    places = list_of(tuple[float, float, float | None], document["map"])
    # Records that were made before names were kept have none.
    named = document.get("map_cases", [["", {}]] * len(places))
    return tuple(
        MapPoint(x, y, dice, as_type(str, case_id), {name: as_type(str, fact) for name, fact in facts.items()})
        for (x, y, dice), (case_id, facts) in zip(places, named, strict=True)
    )


def _refuse_constant(name: str) -> float:
    message = f"{name} is no JSON number"
    raise ValueError(message)
