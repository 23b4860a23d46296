"""No edit of a mask is lost by going on, and every saved one is a version of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from review_desktop import Desktop
from review_stores import ReviewStore

from BottleneckOODLib.assessment.record import SEGMENTATION_FILE
from BottleneckOODLib.assessment.versions import edited_versions
from BottleneckOODLib.errors import InputError
from BottleneckOODLib.imaging.writing import read_label_volume
from BottleneckOODLib.triage.decisions import StoredDecisions
from BottleneckOODLib.triage.export import decision_rows
from BottleneckOODLib.triage.store import Store

Desktops = Callable[..., Desktop]


@pytest.fixture
def a_review(make_review_store: Callable[..., ReviewStore]) -> ReviewStore:
    return make_review_store({"red": "red", "amber": "amber"})


@pytest.fixture
def a_reader(a_review: ReviewStore, desktops: Desktops) -> Desktop:
    reader = desktops("Ann").open(a_review.url)
    assert reader.next() == "red"
    return reader


WAYS: dict[str, Callable[[Desktop], None]] = {
    "next": lambda reader: reader.list.next(),
    "open": lambda reader: reader.list.open_case("amber"),
    "close": lambda reader: reader.list.close_store(),
    "another store": lambda reader: reader.list.open_store(reader.url),
}


@pytest.mark.parametrize(
    ("way", "answer"),
    [(way, "save") for way in WAYS] + [(way, answer) for way in ("next", "close") for answer in ("leave", "stay")],
)
def test_who_goes_on_is_asked_once_and_gets_what_was_chosen(
    a_reader: Desktop, a_review: ReviewStore, way: str, answer: str
) -> None:
    edited = a_reader.display.edit()
    a_reader.display.answers = [answer]
    WAYS[way](a_reader)
    a_reader.wait()
    assert len(a_reader.display.asked) == 1
    assert "red" in a_reader.display.asked[0]
    saved = edited_versions(a_review.cases["red"])
    assert [version.reader for version in saved] == (["Ann"] if answer == "save" else [])
    if answer == "save":
        assert read_label_volume(a_review.cases["red"] / saved[0].file) == edited
    if answer == "stay":
        assert a_reader.case == "red"
        assert a_reader.display.mask is edited
    else:
        assert a_reader.case != "red"


def test_nobody_is_asked_about_what_was_not_edited(a_reader: Desktop) -> None:
    assert [a_reader.next(), a_reader.previous()] == ["amber", "red"]
    a_reader.list.close_store()
    assert a_reader.display.asked == []


def test_versions_follow_each_other_and_the_original_stays(a_reader: Desktop, a_review: ReviewStore) -> None:
    folder = a_review.cases["red"]
    before = (folder / SEGMENTATION_FILE).read_bytes()
    for seed in (1, 2):
        a_reader.display.edit(seed)
        a_reader.list.save_version()
        a_reader.wait()
        assert f"segmentation.v{seed + 1}.seg.nrrd" in a_reader.list.state.message
    a_reader.list.save_version()
    assert "nothing to save" in a_reader.list.state.message
    first, second = edited_versions(folder)
    assert (first.parent, second.parent) == (SEGMENTATION_FILE, first.file)
    assert (folder / SEGMENTATION_FILE).read_bytes() == before


def test_whoever_edited_goes_on_with_it_and_others_see_the_model_s_mask(
    a_reader: Desktop, a_review: ReviewStore, desktops: Desktops
) -> None:
    edited = a_reader.display.edit()
    a_reader.list.save_version()
    a_reader.wait()
    assert [a_reader.next(), a_reader.previous()] == ["amber", "red"]
    assert a_reader.display.mask == edited
    assert "segmentation.v2.seg.nrrd" in a_reader.list.state.message
    a_reader.list.close_store()
    other = desktops("Bo").open(a_review.url)
    assert other.next() == "red"
    assert other.display.mask == read_label_volume(a_review.cases["red"] / SEGMENTATION_FILE)


def test_whoever_edited_goes_on_with_it_however_the_name_is_typed(a_reader: Desktop, a_review: ReviewStore) -> None:
    edited = a_reader.display.edit()
    a_reader.list.save_version()
    a_reader.wait()
    a_reader.review.set_reader(" ANN")
    a_reader.list.set_reader(" ANN")
    assert [a_reader.next(), a_reader.previous()] == ["amber", "red"]
    assert a_reader.display.mask == edited
    a_reader.rate()
    with Store(a_review.url) as store:
        (row,) = decision_rows(StoredDecisions(store).all(), store.result_folders)
    assert row["edited_masks"] == "segmentation.v2.seg.nrrd"


def test_what_is_edited_while_the_store_answers_is_asked_about(a_reader: Desktop, a_review: ReviewStore) -> None:
    a_reader.list.next()
    edited = a_reader.display.edit()
    a_reader.display.answers = ["stay"]
    a_reader.wait()
    assert (a_reader.case, a_reader.display.mask) == ("red", edited)
    a_reader.display.answers = ["leave"]
    assert a_reader.next() == "amber"


def test_a_mask_that_cannot_be_saved_is_not_left(a_reader: Desktop, a_review: ReviewStore) -> None:
    edited = a_reader.display.edit()
    (a_review.cases["red"] / SEGMENTATION_FILE).unlink()
    a_reader.display.answers = ["save"]
    assert a_reader.next() == "red"
    assert "put the case's folder back" in a_reader.list.state.message
    assert a_reader.display.mask is edited


def test_a_mask_that_cannot_be_read_is_not_left(a_reader: Desktop) -> None:
    def refuse() -> None:
        raise InputError("The segment cannot be read; convert it.")

    a_reader.display.edits = refuse  # type: ignore[method-assign]
    assert a_reader.next() == "red"
    assert a_reader.list.state.message == "The segment cannot be read; convert it."


def test_edits_survive_a_second_run_of_the_batch(a_reader: Desktop, a_review: ReviewStore, tmp_path: Path) -> None:
    a_reader.display.edit()
    a_reader.list.save_version()
    a_reader.wait()
    kept = {path.name: path.read_bytes() for path in a_review.cases["red"].iterdir()}
    opened = a_reader.display.shown[-1].assessment
    with pytest.raises(Exception, match=r"segmentation\.v2\.seg\.nrrd"):
        opened.save(a_review.cases["red"].parent, overwrite=True, picture=False)
    assert {path.name: path.read_bytes() for path in a_review.cases["red"].iterdir()} == kept
