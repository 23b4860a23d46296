"""What counts as agreed, and where an image lies that the store saw."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from BottleneckOODLib.assessment.assessment import Assessment, ModelFacts
from BottleneckOODLib.assessment.decision import Decision, decide, withdraw
from BottleneckOODLib.assessment.decision_record import DecisionLog
from BottleneckOODLib.assessment.versions import save_version
from BottleneckOODLib.triage.finding import Candidate, find_volumes
from BottleneckOODLib.triage.place import Place
from BottleneckOODLib.triage.reviewed import has_edited_mask, image_of, reviewed_cases
from BottleneckOODLib.triage.store import Store

Rate = Callable[..., Decision]
OURS = "ab" * 32


@pytest.fixture
def rate(make_assessment: Callable[..., Assessment]) -> Rate:
    def row(reader: str, rating: str, model: str = OURS) -> Decision:
        assessment = make_assessment("green", model=ModelFacts("m", "1", model))
        return decide(assessment, rating, reader=reader)  # type: ignore[arg-type]

    return row


def test_a_reader_who_is_typed_otherwise_is_no_second_one(rate: Rate) -> None:
    logs = {
        "alone": DecisionLog((rate("Zoë", "accept"), rate("ZOË ", "accept"))),
        "two": DecisionLog((rate("zoë", "accept"), rate("B", "accept"))),
        "changed": DecisionLog((rate("Zoë", "reject"), rate("zoë", "accept"), rate("b", "accept"))),
    }
    found = reviewed_cases(logs.items(), OURS, ["accept"], 2)
    assert found.left_out == ("alone: 1 of the 2 readers that are needed rated it.",)
    # Spelled in one way, so that they are counted once over all cases.
    assert found.agreed == {"two": ("B", "Zoë"), "changed": ("B", "Zoë")}
    assert not found.failed


def test_who_agrees_who_does_not_and_why(rate: Rate) -> None:
    again = rate("A", "reject")
    logs = {
        "one": [rate("A", "accept")],
        "two": [rate("A", "accept"), rate("B", "accept")],
        "changed": [again, rate("A", "accept")],
        "disputed": [rate("A", "accept"), rate("B", "minor_edit")],
        "rejected": [rate("A", "accept"), rate("B", "reject")],
        "bad": [rate("A", "bad_image")],
        "undone": [again, withdraw(again, reader="A")],
        "foreign": [rate("A", "accept", model="cd" * 32)],
        "spaces": [rate("A  B", "accept"), rate("A B", "accept")],
    }
    named = [(name, DecisionLog(tuple(rows))) for name, rows in logs.items()]
    found = reviewed_cases(named, OURS, ("accept",), 1)
    assert found.agreed == {"one": ("A",), "two": ("A", "B"), "changed": ("A",), "spaces": ("A B",)}
    assert found.failed == {"rejected", "bad"}
    assert found.left_out == (
        'disputed: Another reader rated it "Minor edit".',
        'rejected: Another reader rated it "Reject".',
        "foreign: The rated mask is another model's.",
    )
    both = reviewed_cases(named, OURS, ("accept", "minor_edit"), 2)
    assert set(both.agreed) == {"two", "disputed"}
    assert "spaces: 1 of the 2 readers that are needed rated it." in both.left_out
    assert reviewed_cases(named, "cd" * 32, ("accept",), 1).agreed == {"foreign": ("A",)}


def test_a_bad_image_is_one_whichever_model_marked_it(rate: Rate) -> None:
    log = DecisionLog((rate("A", "accept"), rate("B", "bad_image", model="cd" * 32)))
    found = reviewed_cases([("x", log)], OURS, ("accept",), 1)
    assert (found.agreed, found.failed) == ({}, {"x"})
    assert found.left_out == ('x: Another reader rated it "Bad image".',)


def test_a_damaged_row_might_be_a_refusal(rate: Rate) -> None:
    log = DecisionLog((rate("A", "accept"),), ("Line 2 of the decisions is damaged.",))
    found = reviewed_cases([("x", log)], OURS, ("accept",), 1)
    assert found.agreed == {}
    assert found.left_out == ("x: Line 2 of the decisions is damaged.",)


def test_an_edited_mask_was_not_accepted_as_the_model_made_it(rate: Rate) -> None:
    logs = [(name, DecisionLog((rate("A", "accept"),))) for name in ("as_made", "edited")]
    found = reviewed_cases(logs, OURS, ("accept",), 1, lambda case_id, _: case_id == "edited")
    assert list(found.agreed) == ["as_made"]
    assert found.left_out == ("edited: A reader edited its mask, so it was not the model's own that was accepted.",)
    wanted_too = reviewed_cases(logs, OURS, ("accept", "minor_edit"), 1, lambda case_id, _: case_id == "edited")
    assert list(wanted_too.agreed) == ["as_made", "edited"]


def test_a_saved_edit_beside_a_result_is_seen(
    a_store: Store, make_assessment: Callable[..., Assessment], tmp_path: Path
) -> None:
    assessment = make_assessment("green")
    folder = assessment.save(tmp_path / "out")
    case_id = a_store.note_case("a" * 64, "ct", Place("ct.nii.gz", "", "1"))
    a_store.add_assessment(case_id, OURS, replace(assessment, case_id=case_id), str(folder), 1.0)
    assert has_edited_mask(a_store, case_id, [assessment.created]) is False
    assert assessment.segmentation is not None
    save_version(
        assessment.segmentation, folder, reader="A", parent="segmentation.seg.nrrd",
        assessment_created=assessment.created,
    )  # fmt: skip
    assert has_edited_mask(a_store, case_id, [assessment.created]) is True
    assert has_edited_mask(a_store, case_id, ["another time"]) is False
    log = DecisionLog((decide(assessment, "accept", reader="A"),))
    ours = assessment.model.fingerprint
    left_out = reviewed_cases([(case_id, log)], ours, ("accept",), 1, partial(has_edited_mask, a_store)).left_out
    assert left_out == ("ct: A reader edited its mask, so it was not the model's own that was accepted.",)


def test_an_image_is_found_where_it_was_seen_and_nowhere_when_it_changed(
    write_scan: Callable[..., Path], a_store: Store, tmp_path: Path
) -> None:
    first = write_scan("a.nii.gz", 1)
    (candidate,) = (item for item in find_volumes(tmp_path / "scans", "files") if isinstance(item, Candidate))
    case_id = a_store.note_case(candidate.content(), candidate.name, candidate.place())
    assert image_of(a_store, case_id) == candidate
    copy = tmp_path / "scans" / "copy.nii.gz"
    shutil.copy(first, copy)
    (second,) = (c for c in find_volumes(tmp_path / "scans", "files") if isinstance(c, Candidate) and c.path == copy)
    a_store.note_case(second.content(), second.name, second.place())
    copy.write_bytes(b"something else")
    assert image_of(a_store, case_id) == candidate
    first.unlink()
    assert image_of(a_store, case_id) is None


def test_a_series_among_several_is_found_again_though_its_uid_is_not_kept(
    write_slices: Callable[..., np.ndarray], a_store: Store, tmp_path: Path
) -> None:
    for number, uid in enumerate(("1.2.3.10", "1.2.3.20")):
        write_slices(tmp_path / "scan", uid=uid, stored=np.full((4, 6, 5), number, np.int16))
    for candidate in find_volumes(tmp_path / "scan"):
        assert isinstance(candidate, Candidate)
        case_id = a_store.note_case(candidate.content(), candidate.name, candidate.place())
        found = image_of(a_store, case_id)
        assert found is not None
        assert found.series == candidate.series
