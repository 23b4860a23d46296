"""``assessment.json`` has the fields that are promised, and is refused with one sentence when it is damaged."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from BottleneckOODLib.assessment.assessment import Assessment, MapPoint
from BottleneckOODLib.assessment.record import (
    SCHEMA_VERSION,
    parse_head,
    parse_record,
    read_record,
    record_of,
    record_text,
)
from BottleneckOODLib.errors import InputError
from BottleneckOODLib.ood.placement import Placement

MakeAssessment = Callable[..., Assessment]
LIGHTS = ("green", "amber", "red", "grey")

FIELDS: dict[str, set[str]] = {
    "input": {"path_name", "modality", "shape", "spacing_mm", "orientation"},
    "model": {"name", "version", "fingerprint"},
    "reference": {"name", "fingerprint", "n_cases"},
    "segmentation": {"file", "volume_ml", "n_components"},
    "ood": {"detector", "score", "p_value", "percentile", "light", "sentence"},
    "placement": {"x", "y", "beyond_map"},
    "timings_s": {"load", "preprocess", "inference", "ood", "placement", "total"},
}
FIELDS_OF_EACH = {
    "checks": {"name", "state", "message"},
    "neighbours": {"case_id", "distance", "relative_distance", "dice"},
}
PLAIN = {"schema_version", "case_id", "created", "program_version", "device", "warnings"}


def refusal(text: str) -> str:
    """The sentence with which a record is refused."""
    with pytest.raises(InputError) as refused:
        parse_record(text, "of case-7")
    return str(refused.value)


def is_one_sentence(text: str) -> bool:
    return text.endswith(".") and not re.search(r"[.!?]\s", text) and "\n" not in text


def document_of(assessment: Assessment) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(record_text(assessment))
    return document


def changed(document: dict[str, Any], path: str, value: object) -> str:
    """The document's text with the value at a path such as ``"ood.score"`` or ``"checks.0.name"`` replaced."""
    *parents, last = path.split(".")
    inner: Any = document
    for step in parents:
        inner = inner[int(step) if isinstance(inner, list) else step]
    inner[int(last) if isinstance(inner, list) else last] = value
    return json.dumps(document)


def test_the_record_has_every_promised_field(an_assessment: Assessment) -> None:
    document = document_of(an_assessment)
    assert set(document) >= PLAIN | set(FIELDS) | set(FIELDS_OF_EACH)
    for name, fields in FIELDS.items():
        assert set(document[name]) >= fields, name
    for name, fields in FIELDS_OF_EACH.items():
        assert document[name]
        for entry in document[name]:
            assert set(entry) >= fields, name


def test_every_field_is_in_the_documentation(an_assessment: Assessment, repository: Path) -> None:
    described = (repository / "docs" / "files.md").read_text(encoding="utf-8")
    for name, value in document_of(an_assessment).items():
        assert f"| `{name}` |" in described
        for inner in value if isinstance(value, dict) and name != "map" else ():
            assert f"`{inner}`" in described


def test_the_record_says_what_the_assessment_says(an_assessment: Assessment) -> None:
    document = document_of(an_assessment)
    assert document["schema_version"] == SCHEMA_VERSION == 1
    assert document["input"]["shape"] == [10, 12, 14]
    assert document["input"]["spacing_mm"] == [3.0, 4.0, 5.0]
    assert document["input"]["orientation"] == "LPS"
    assert document["ood"]["light"] == "amber"
    assert document["ood"]["p_value"] == 0.07
    assert document["segmentation"] == {"file": "segmentation.seg.nrrd", "volume_ml": 1234.5, "n_components": 2}
    assert [check["state"] for check in document["checks"]] == ["met", "soft", "hard", "not_assessed", "soft"]
    assert document["neighbours"][1]["dice"] is None
    assert document["map"][1] == [2.0, -1.0, None]
    assert document["map_cases"][1] == ["train-2", {"contrast_phase": "none"}]


@pytest.mark.parametrize("light", LIGHTS)
def test_the_numbers_are_null_when_grey_and_only_then(make_assessment: MakeAssessment, light: str) -> None:
    ood = document_of(make_assessment(light))["ood"]
    assert [ood[name] is None for name in ("score", "p_value", "percentile")] == [light == "grey"] * 3


def test_a_case_without_mask_names_no_file(make_assessment: MakeAssessment) -> None:
    assert document_of(make_assessment(segmentation=None))["segmentation"]["file"] is None


@pytest.mark.parametrize("light", LIGHTS)
def test_what_was_written_is_read(make_assessment: MakeAssessment, light: str) -> None:
    before = make_assessment(light, segmentation=None)
    assert parse_record(record_text(before), "here")[0] == before


def test_a_record_from_before_names_were_kept_has_a_map_without_them(an_assessment: Assessment) -> None:
    document = {name: value for name, value in document_of(an_assessment).items() if name != "map_cases"}
    points = parse_record(json.dumps(document), "here")[0].map_points
    assert [(p.x, p.y, p.dice) for p in points] == [(p.x, p.y, p.dice) for p in an_assessment.map_points]
    assert {(p.case_id, len(p.facts)) for p in points} == {("", 0)}


numbers = st.floats(allow_nan=False, allow_infinity=False)
texts = st.text(alphabet=st.characters(exclude_categories=["Cs"]))


@settings(deadline=None)
@given(
    text=texts,
    score=st.none() | numbers,
    volume=numbers,
    place=st.none() | st.builds(Placement, numbers, numbers, st.booleans()),
    points=st.lists(
        st.builds(MapPoint, numbers, numbers, st.none() | numbers, texts, st.dictionaries(texts, texts, max_size=2)),
        max_size=3,
    ),
)
def test_any_text_and_number_survives(
    make_assessment: MakeAssessment,
    text: str,
    score: float | None,
    volume: float,
    place: Placement | None,
    points: list[MapPoint],
) -> None:
    before = make_assessment(
        case_id=text,
        sentence=text,
        warnings=(text,),
        score=score,
        volume_ml=volume,
        placement=place,
        map_points=tuple(points),
        segmentation=None,
    )
    written = record_text(before).encode("utf-8")
    assert parse_record(written.decode("utf-8"), "here")[0] == before


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("field", ["score", "p_value", "percentile", "volume_ml"])
def test_a_number_that_is_not_finite_is_not_written(make_assessment: MakeAssessment, field: str, number: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        record_text(make_assessment(**{field: number}))


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_a_number_that_is_not_finite_is_not_read(an_assessment: Assessment, constant: str) -> None:
    text = record_text(an_assessment).replace('"score": 0.75', f'"score": {constant}')
    assert "damaged" in refusal(text)


@pytest.mark.parametrize("version", [2, 3, 10**6])
def test_a_newer_schema_is_refused_with_what_to_do(an_assessment: Assessment, version: int) -> None:
    document = {**document_of(an_assessment), "schema_version": version}
    # A newer format may have any other fields.
    for text in (json.dumps(document), json.dumps({"schema_version": version, "all": "new"})):
        said = refusal(text)
        assert "newer version" in said
        assert "update" in said
        assert is_one_sentence(said)


@pytest.mark.parametrize("version", [0, -1, None, "1", "2", 1.5, [1], {}])
def test_a_schema_version_that_never_was_is_refused(an_assessment: Assessment, version: object) -> None:
    assert "damaged" in refusal(json.dumps({**document_of(an_assessment), "schema_version": version}))


def test_truncated_anywhere_it_is_refused(an_assessment: Assessment) -> None:
    text = record_text(an_assessment).rstrip()
    for length in range(0, len(text), 41):
        said = refusal(text[:length])
        assert "damaged" in said
        assert is_one_sentence(said)
    assert "damaged" in refusal(text[:-1])


@pytest.mark.parametrize("text", ["", "null", "[]", "1", '"text"', "{}", "[" * 100_000, "\0", "{'a': 1}"])
def test_what_is_no_record_is_refused(text: str) -> None:
    said = refusal(text)
    assert "damaged" in said
    assert is_one_sentence(said)


def test_each_missing_field_is_refused(an_assessment: Assessment) -> None:
    whole = document_of(an_assessment)
    for name in PLAIN | set(FIELDS) | set(FIELDS_OF_EACH):
        assert "damaged" in refusal(json.dumps({k: v for k, v in whole.items() if k != name})), name
    for name, fields in FIELDS.items():
        for field in fields - ({"file"} if name == "segmentation" else set()):
            if name != "timings_s":
                less = {k: v for k, v in whole[name].items() if k != field}
                assert "damaged" in refusal(json.dumps({**whole, name: less})), (name, field)
    for name, fields in FIELDS_OF_EACH.items():
        for field in fields:
            less_entries = [{k: v for k, v in entry.items() if k != field} for entry in whole[name]]
            assert "damaged" in refusal(json.dumps({**whole, name: less_entries})), (name, field)


def test_unknown_fields_inside_are_refused(an_assessment: Assessment) -> None:
    for path in ("input.more", "model.more", "checks.0.more", "neighbours.0.more", "placement.more"):
        assert "damaged" in refusal(changed(document_of(an_assessment), path, 1)), path


WRONG_TYPES: list[tuple[str, object]] = [
    *[(name, value) for name in ("input", "model", "reference", "segmentation", "ood") for value in (None, [], "x", 7)],
    ("checks", None),
    ("checks", [1]),
    ("checks", "x"),
    ("neighbours", {"a": 1}),
    ("neighbours", 7),
    ("placement", [1, 2]),
    ("placement", "x"),
    ("map", [[1, 2]]),
    ("map", [["a", 2, None]]),
    ("map", [[1, 2, "x"]]),
    ("map", 7),
    ("map_cases", None),
    ("map_cases", [["train-1", {}]]),
    ("map_cases", [["train-1", {}], ["train-2", {}], [3, {}]]),
    ("map_cases", [["train-1", {}], ["train-2", {}], ["train-3", {"kernel": 7}]]),
    ("map_cases", [["train-1", {}], ["train-2", {}], ["train-3", "soft"]]),
    ("map_cases", [["train-1", {}], ["train-2", {}], ["train-3"]]),
    ("timings_s", []),
    ("timings_s", {"load": "long"}),
    ("warnings", None),
    ("warnings", 7),
    ("input.shape", 7),
    ("input.spacing_mm", None),
    ("segmentation.volume_ml", "much"),
    ("segmentation.n_components", None),
    *[(f"ood.{name}", value) for name in ("score", "p_value", "percentile") for value in ("0.5", True, [], {})],
    *[("ood.light", value) for value in ("blue", "", None, 1, "Green")],
    ("ood.parts", []),
    ("ood.parts", {"bottleneck": None}),
    ("ood.parts", {"bottleneck": {"score": 1.0}}),
]

# Read as if nothing were wrong, each would fail later or show nonsense.
SUBTLY_WRONG_TYPES: list[tuple[str, object]] = [
    ("checks.0.state", "perhaps"),
    ("checks.0.state", None),
    ("checks.0.message", 7),
    ("checks.0.calibrated", "no"),
    ("neighbours.0.distance", "near"),
    ("neighbours.0.relative_distance", None),
    ("neighbours.0.dice", "good"),
    ("neighbours.0.case_id", None),
    ("placement.x", "left"),
    ("placement.beyond_map", "no"),
    ("input.shape", "abc"),
    ("input.shape", [1, 2]),
    ("input.spacing_mm", ["a", "b", "c"]),
    ("input.path_name", None),
    ("model.name", None),
    ("model.demonstration", "no"),
    ("reference.n_cases", "many"),
    ("ood.sentence", None),
    *[("disagreement", value) for value in (None, 7, [], {"folds": "far"}, {"folds": -0.1}, {"folds": 1.1})],
    *[("peak_memory", value) for value in (7, {}, {"process_bytes": 1.5, "card_bytes": None}, [])],
    ("peak_memory", {"process_bytes": -1, "card_bytes": None}),
    *[("ood.n_calibrating", value) for value in ("many", 1.5, True, 0, 61)],
    ("ood.parts.bottleneck.percentile", "high"),
    ("case_id", None),
    ("case_id", 7),
    ("created", {}),
    ("device", None),
    ("segmentation.n_components", 1.5),
    ("segmentation.volume_ml", "12"),
    ("timings_s.load", "1"),
    ("warnings", "one text"),
    ("warnings", [1]),
    ("timings_s", {}),
]


@pytest.mark.parametrize(
    ("path", "value"),
    [*WRONG_TYPES, *SUBTLY_WRONG_TYPES],
)
def test_a_wrong_type_is_refused(an_assessment: Assessment, path: str, value: object) -> None:
    said = refusal(changed(document_of(an_assessment), path, value))
    assert "damaged" in said
    assert is_one_sentence(said)


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"{", b"", b"\x80\x04\x95"])
def test_a_file_that_cannot_be_read_is_refused_with_its_name(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "assessment.json").write_bytes(content)
    with pytest.raises(InputError, match=r"assessment\.json is damaged"):
        read_record(tmp_path / "assessment.json")


def test_the_record_holds_no_path_and_no_volume(an_assessment: Assessment) -> None:
    document = record_of(an_assessment)
    assert not {"volume", "voxels", "path"} & set(document)
    assert "/" not in document["input"]["path_name"]


@pytest.mark.parametrize("light", LIGHTS)
def test_a_record_s_head_is_that_of_the_whole(make_assessment: MakeAssessment, light: str) -> None:
    whole = make_assessment(light)
    head = parse_head(record_text(whole), "of case-7")
    for name in ("program_version", "model", "reference", "placement", "n_calibrating"):
        assert getattr(head, name) == getattr(whole, name)


def test_a_record_from_before_the_calibrating_cases_were_counted_opens(an_assessment: Assessment) -> None:
    document = document_of(an_assessment)
    del document["ood"]["n_calibrating"]
    assert parse_record(json.dumps(document), "of case-7")[0].n_calibrating is None
    assert parse_head(json.dumps(document), "of case-7").n_calibrating is None


def test_a_record_from_before_memory_and_disagreement_were_kept_opens(an_assessment: Assessment) -> None:
    document = document_of(an_assessment)
    del document["disagreement"], document["peak_memory"]
    earlier = parse_record(json.dumps(document), "of case-7")[0]
    assert (earlier.disagreement, earlier.peak_memory) == ({}, None)


@pytest.mark.parametrize("change", [{"schema_version": 99}, {"schema_version": "1"}, {"model": None}, {"placement": 3}])
def test_a_head_is_refused_as_the_whole_is(an_assessment: Assessment, change: dict[str, Any]) -> None:
    text = json.dumps({**document_of(an_assessment), **change})
    with pytest.raises(InputError) as refused:
        parse_head(text, "of case-7")
    assert str(refused.value) == refusal(text)
