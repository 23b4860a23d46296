"""What every store does, whatever keeps it: a file (SQLite) or a server (PostgreSQL)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text

from BottleneckOODLib.assessment.assessment import Assessment
from BottleneckOODLib.assessment.decision import Decision, Rating, decide, shown_of, withdraw
from BottleneckOODLib.assessment.record import record_text
from BottleneckOODLib.errors import StoreError
from BottleneckOODLib.triage.decisions import StoredDecisions
from BottleneckOODLib.triage.place import Place
from BottleneckOODLib.triage.report.contents import gather
from BottleneckOODLib.triage.store import Store, unusualness
from BottleneckOODLib.triage.worklist import Wish, Worklist

MakeAssessment = Callable[..., Assessment]
JUDGE = "ab" * 32


@pytest.fixture(params=["sqlite", "postgresql"])
def a_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return str(tmp_path / "triage.db")
    return str(request.getfixturevalue("a_postgres_url"))


@pytest.fixture
def a_store(a_url: str) -> Iterator[Store]:
    with Store(a_url) as store:
        yield store


def place(name: str) -> Place:
    return Place(f"scans/{name}.nii.gz", "", "10-20")


def add(store: Store, assessment: Assessment, name: str) -> str:
    case_id = store.note_case(f"{name:0>64}", name, place(name))
    store.add_assessment(case_id, JUDGE, replace(assessment, case_id=case_id), f"results/{case_id}", 1.5)
    return case_id


def fill(store: Store, make: MakeAssessment, lights: dict[str, str], **changes: object) -> None:
    for name, light in lights.items():
        add(store, make(light, **changes), name)


def rated(store: Store, case_id: str, reader: str, rating: Rating = "minor_edit") -> Decision:
    assessment = store.assessment_of(case_id)
    assert assessment is not None
    row = decide(assessment, rating, reader=reader, note="why", shown=shown_of(assessment))
    StoredDecisions(store).add(row)
    return row


def test_names_that_differ_in_case_alone_are_given_once(a_store: Store) -> None:
    """On Windows and macOS their results would be one folder."""
    names = [a_store.note_case(f"{number:064}", name, place(name)) for number, name in enumerate(("CT1", "ct1", "Ct1"))]
    assert names == ["CT1", "ct1-2", "Ct1-3"]


def test_what_was_kept_is_there_after_opening_again(a_url: str, an_assessment: Assessment) -> None:
    with Store(a_url) as store:
        case_id = add(store, an_assessment, "abdomen")
        row = rated(store, case_id, "Z")
    with Store(a_url) as store:
        kept = store.assessment_of("abdomen")
        assert kept is not None
        assert record_text(kept) == record_text(replace(an_assessment, case_id="abdomen", segmentation=None))
        assert StoredDecisions(store).decisions_of("abdomen").decisions == (row,)
        assert store.places_of("abdomen") == (place("abdomen"),)
        assert store.counts() == {"cases": 1, "assessments": 1, "decisions": 1}


def test_two_copies_are_one_case_and_a_moved_file_is_the_case_it_was(a_store: Store) -> None:
    first = a_store.note_case("a" * 64, "ct", place("one"))
    assert a_store.note_case("a" * 64, "copy-of-ct", place("two")) == first == "ct"
    assert a_store.counts()["cases"] == 1
    assert [p.path for p in a_store.places_of("ct")] == ["scans/two.nii.gz", "scans/one.nii.gz"]


def test_a_series_is_kept_under_a_hash_that_no_other_store_has(a_store: Store, tmp_path: Path) -> None:
    seen = Place("scans/two", "ab" * 32, "10-20")
    with Store(str(tmp_path / "another.db")) as another:
        kept = []
        for store in (a_store, another):
            store.note_case("a" * 64, "ct", seen)
            assert store.case_at(seen) == "ct"
            (where,) = store.places_of("ct")
            assert store.note_case("a" * 64, "ct", where) == "ct"
            assert store.places_of("ct") == (where,)
            kept.append(where)
        assert len({seen.series, *(where.series for where in kept)}) == 3
        with pytest.raises(ValueError, match="of another store"):
            another.case_at(kept[0])


def test_two_cases_of_one_name_are_told_apart(a_store: Store) -> None:
    names = [a_store.note_case(letter * 64, "ct", place(letter)) for letter in "abc"]
    assert names == ["ct", "ct-2", "ct-3"]


def test_a_place_is_known_until_its_file_changes(a_store: Store) -> None:
    a_store.note_case("a" * 64, "ct", place("ct"))
    assert a_store.case_at(place("ct")) == "ct"
    assert a_store.case_at(replace(place("ct"), stamp="11-21")) is None
    a_store.note_case("b" * 64, "ct", replace(place("ct"), stamp="11-21"))
    assert a_store.case_at(replace(place("ct"), stamp="11-21")) == "ct-2"
    assert a_store.case_at(place("ct")) is None


def test_a_result_is_by_model_and_reference(a_store: Store, an_assessment: Assessment) -> None:
    case_id = add(a_store, an_assessment, "ct")
    assert a_store.is_judged(case_id, JUDGE)
    assert not a_store.is_judged(case_id, "cd" * 32)


def test_a_later_result_is_added_and_the_earlier_one_stays(a_store: Store, make_assessment: MakeAssessment) -> None:
    case_id = add(a_store, make_assessment("green"), "ct")
    later = replace(make_assessment("red"), case_id=case_id)
    a_store.add_assessment(case_id, "cd" * 32, later, "elsewhere", 2.0)
    assert a_store.counts()["assessments"] == 2
    (found,) = a_store.results()
    assert (found.light, found.folder) == ("red", "elsewhere")
    assert [w.light for w in Worklist(a_store).page()] == ["red"]


def test_a_case_that_could_not_be_read_waits_as_grey_with_its_reason(a_store: Store) -> None:
    case_id = a_store.note_case("a" * 64, "broken", place("broken"))
    a_store.add_failure(case_id, JUDGE, "The file is cut off; copy it again.", 0.1)
    (waiting,) = Worklist(a_store).page()
    assert (waiting.light, waiting.sentence) == ("grey", "The file is cut off; copy it again.")
    assert a_store.assessment_of(case_id) is None


def test_the_most_unusual_comes_first(a_store: Store, make_assessment: MakeAssessment) -> None:
    fill(a_store, make_assessment, {"a": "green", "b": "red", "c": "amber", "d": "grey"})
    for name, score in (("e", 4.0), ("f", 0.1)):
        add(a_store, make_assessment("amber", score=score), name)
    pages, after = [], None
    while page := Worklist(a_store).page(size=2, after=after):
        pages += [w.case_id for w in page]
        after = page[-1].after
    assert pages == ["b", "d", "e", "c", "f", "a"]
    scores = [(f.light, f.score) for f in a_store.results()]
    expected = sorted(scores, key=lambda pair: -unusualness(*pair))
    lights = {f.case_id: f.light for f in a_store.results()}
    assert [lights[case_id] for case_id in pages] == [light for light, _ in expected]


def test_a_wish_narrows_the_queue(a_store: Store, make_assessment: MakeAssessment) -> None:
    fill(a_store, make_assessment, {"liver_1": "green", "liver_2": "red", "Kidney%": "red"})
    rated(a_store, "liver_2", "Ann", "reject")
    work = Worklist(a_store)

    def names(**wish: object) -> list[str]:
        found = [w.case_id for w in work.page(Wish(**wish))]  # type: ignore[arg-type]
        assert work.count(Wish(**wish)) == len(found)  # type: ignore[arg-type]
        return sorted(found)

    assert names(light="red") == ["Kidney%", "liver_2"]
    assert names(state="read") == names(rating="reject") == names(reader="Ann") == ["liver_2"]
    assert names(state="open") == ["Kidney%", "liver_1"]
    assert names(search="LIVER") == ["liver_1", "liver_2"]
    assert names(search="%") == ["Kidney%"]
    assert names(reader="An") == []


def test_two_readers_never_get_the_same_case(a_store: Store, make_assessment: MakeAssessment) -> None:
    fill(a_store, make_assessment, dict.fromkeys("abcdefgh", "amber"))
    taken: list[str] = []
    gate = threading.Barrier(4)

    def read(reader: str) -> None:
        gate.wait()
        work = Worklist(a_store)
        while (waiting := work.claim_next(reader)) is not None:
            taken.append(waiting.case_id)
            rated(a_store, waiting.case_id, reader)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(read, ["Ann", "Bo", "Cy", "Di"]))
    assert sorted(taken) == list("abcdefgh")


def test_who_holds_a_claim_gets_the_same_case_until_it_runs_out(
    a_store: Store, make_assessment: MakeAssessment
) -> None:
    fill(a_store, make_assessment, {"a": "red", "b": "amber"})
    work = Worklist(a_store)
    first = work.claim_next("Ann", now=1000.0, seconds=60)
    assert first is not None
    assert work.claim_next("Ann", now=1010.0, seconds=60) is not None
    assert (first.case_id, first.claimed_by) == ("a", "Ann")
    second = work.claim_next("Bo", now=1010.0)
    assert second is not None
    assert second.case_id == "b"
    assert not work.claim("a", "Bo", now=1020.0)
    late = work.claim_next("Cy", now=1071.0)
    assert late is not None
    assert late.case_id == "a"


def test_a_claim_can_be_given_back(a_store: Store, make_assessment: MakeAssessment) -> None:
    fill(a_store, make_assessment, {"a": "red"})
    work = Worklist(a_store)
    assert work.claim("a", "Ann")
    work.release("a", "Bo")
    assert work.claim_next("Bo") is None
    work.release("a", "Ann")
    assert work.claim_next("Bo") is not None


def test_a_second_reading_is_by_somebody_else(a_store: Store, make_assessment: MakeAssessment) -> None:
    fill(a_store, make_assessment, {"a": "red"})
    work, twice = Worklist(a_store), Wish(readings=2)
    rated(a_store, "a", "Ann")
    assert work.claim_next("Bo") is None
    assert work.claim_next("Ann", twice) is None
    assert work.claim_next("Bo", twice) is not None
    rated(a_store, "a", "Bo", "reject")
    assert work.claim_next("Cy", twice) is None
    (waiting,) = work.page()
    assert (waiting.readings, waiting.rating) == (2, "reject")


def test_a_withdrawal_adds_a_row_and_puts_the_case_back(a_store: Store, make_assessment: MakeAssessment) -> None:
    fill(a_store, make_assessment, {"a": "amber"})
    row = rated(a_store, "a", "Ann")
    assert Worklist(a_store).claim_next("Ann") is None
    StoredDecisions(a_store).add(withdraw(row, reader="Ann"))
    log = StoredDecisions(a_store).decisions_of("a")
    assert [r.rating for r in log.decisions] == ["minor_edit", "withdrawn"]
    assert log.standing == ()
    assert Worklist(a_store).claim_next("Ann") is not None


def test_a_decision_is_kept_once_however_often_it_is_given(a_store: Store, make_assessment: MakeAssessment) -> None:
    fill(a_store, make_assessment, {"a": "amber"})
    row = rated(a_store, "a", "Ann")
    StoredDecisions(a_store).add(row)
    assert StoredDecisions(a_store).decisions_of("a").decisions == (row,)


def test_all_decisions_come_by_case(a_store: Store, make_assessment: MakeAssessment) -> None:
    fill(a_store, make_assessment, {"a": "amber", "b": "green", "c": "red"})
    rows = [rated(a_store, name, reader) for reader in ("Ann", "Bo") for name in ("a", "c")]
    given = {case_id: log.decisions for case_id, log in StoredDecisions(a_store).all()}
    assert given == {"a": (rows[0], rows[2]), "c": (rows[1], rows[3])}


def test_a_failed_transaction_changes_nothing(a_store: Store, make_assessment: MakeAssessment) -> None:
    fill(a_store, make_assessment, {"a": "amber"})
    before = a_store.counts(), Worklist(a_store).page()

    def half_of_it() -> None:
        with a_store.writing() as session:
            session.execute(text("UPDATE worklist SET light = 'green'"))
            session.execute(text("INSERT INTO cases (number) VALUES (77)"))

    with pytest.raises(StoreError, match="nothing was changed"):
        half_of_it()
    assert (a_store.counts(), Worklist(a_store).page()) == before


@pytest.mark.parametrize("reader", ["", "  ", "\n"])
def test_a_reader_needs_a_name(a_store: Store, reader: str) -> None:
    with pytest.raises(StoreError, match="needs a name"):
        Worklist(a_store).claim_next(reader)


def test_bytes_that_are_no_text_are_refused_by_a_sentence(a_store: Store, an_assessment: Assessment) -> None:
    """As a terminal hands over what it cannot decode."""
    a_store.note_case("a" * 64, "a", Place("a", "", "1"))
    for ask in (
        lambda: Worklist(a_store).claim_next("A\udcff"),
        lambda: Worklist(a_store).show("a\udcff", "Ann"),
        lambda: Worklist(a_store).page(Wish(search="\udcff")),
        lambda: a_store.add_assessment("a", "j", an_assessment, "out\udcff/a", 1.0),
    ):
        with pytest.raises(StoreError, match=r"bytes that are no text; nothing was changed"):
            ask()
    assert a_store.counts()["assessments"] == 0


def test_a_case_that_is_not_there_is_a_sentence(a_store: Store, an_assessment: Assessment) -> None:
    row = decide(replace(an_assessment, case_id="nobody"), "minor_edit", reader="Ann")
    for ask in (
        lambda: StoredDecisions(a_store).add(row),
        lambda: StoredDecisions(a_store).decisions_of("nobody"),
        lambda: a_store.assessment_of("nobody"),
        lambda: Worklist(a_store).claim("nobody", "Ann"),
        lambda: a_store.add_failure("nobody", JUDGE, "x", 0.0),
    ):
        with pytest.raises(StoreError, match="holds no case nobody"):
            ask()


def test_a_newer_store_is_refused(a_url: str) -> None:
    with Store(a_url) as store, store.writing() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreError, match="newer version"):
        Store(a_url)


def test_the_tables_are_what_the_migrations_make(a_store: Store) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    from BottleneckOODLib.triage.schema import Base

    with a_store.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []


def test_a_report_tells_of_every_case_in_the_order_of_the_queue(
    a_store: Store, make_assessment: MakeAssessment
) -> None:
    fill(a_store, make_assessment, {"a": "green", "b": "red", "c": "amber"})
    unread = a_store.note_case("f" * 64, "d", place("d"))
    a_store.add_failure(unread, JUDGE, "The file scans/d.nii.gz is empty; copy it again.", 0.1)
    rated(a_store, "c", "Z", "reject")
    told = gather(a_store)
    assert [case.found.case_id for case in told.listed] == ["b", "d", "c", "a"]
    assert [found.case_id for found in told.results] == ["a", "b", "c", "d"]
    assert told.counts == {("red", ""): 1, ("grey", ""): 1, ("amber", "reject"): 1, ("green", ""): 1}
    assert told.listed[1].found.sentence == "The file d.nii.gz is empty; copy it again."
    assert "//" not in told.store
    assert "@" not in told.store


def test_a_case_has_one_result_by_a_model_and_reference(a_store: Store, make_assessment: MakeAssessment) -> None:
    case_id = add(a_store, make_assessment("green"), "ct")
    second = replace(make_assessment("red"), case_id=case_id)
    gate = threading.Barrier(3)

    def keep(number: int) -> bool:
        gate.wait()
        if number == 2:
            return a_store.add_failure(case_id, "cd" * 32, "It is cut off.", 0.1)
        return a_store.add_assessment(case_id, "cd" * 32, second, "elsewhere", 2.0)

    assert not a_store.add_assessment(case_id, JUDGE, second, "elsewhere", 2.0)
    with ThreadPoolExecutor(3) as pool:
        assert sorted(pool.map(keep, range(3))) == [False, False, True]
    assert a_store.counts()["assessments"] == 2
