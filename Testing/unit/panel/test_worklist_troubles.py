"""A store or a file that is gone, slow, locked, read-only or too new: one sentence, and the window goes on."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from review_desktop import Desktop
from review_stores import ReviewStore
from sqlalchemy import event

from BottleneckOODLib.errors import InputError
from BottleneckOODLib.imaging.reading import read_volume
from BottleneckOODLib.imaging.writing import write_volume
from BottleneckOODLib.panel import store_session
from BottleneckOODLib.panel.awaited import LATE_S
from BottleneckOODLib.panel.case_reading import CaseReader, OpenedCase, read_case
from BottleneckOODLib.panel.store_decisions import PanelDecisions
from BottleneckOODLib.panel.store_session import StoreSession, Whereabouts
from BottleneckOODLib.triage.decisions import StoredDecisions
from BottleneckOODLib.triage.seen_lights import has_seen
from BottleneckOODLib.triage.store import Store
from BottleneckOODLib.triage.worklist import Worklist

Desktops = Callable[..., Desktop]
impatient = partial(StoreSession, patience_s=0.2)


@pytest.fixture
def a_review(make_review_store: Callable[..., ReviewStore]) -> ReviewStore:
    return make_review_store({"red": "red", "amber": "amber", "green": "green"})


def has_seen_light(store: Store, case_id: str, reader: str) -> bool:
    waiting = Worklist(store).at(case_id)
    assert waiting is not None
    with store.reading() as session:
        return has_seen(session, waiting.assessment, reader)


@contextmanager
def locked(path: str) -> Iterator[None]:
    """Another program writes into the store, and does not come to an end."""
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


class TestOpening:
    @pytest.mark.parametrize(
        ("store", "sentence"),
        [
            (" ", "Choose a store first"),
            ("{folder}/none.db", "does not exist"),
            ("sqlite:///{folder}/none.db", "does not exist"),
            ("{folder}/note.txt", "cannot be opened"),
            ("what://is/this", "unknown kind"),
            ("postgresql://nobody@localhost:1/none", "cannot be opened"),
        ],
    )
    def test_what_is_no_store_is_one_sentence(
        self, tmp_path: Path, desktops: Desktops, store: str, sentence: str
    ) -> None:
        (tmp_path / "note.txt").write_text("This is no database, but it is long enough to be one. " * 40)
        reader = desktops("Ann", open_session=impatient).open(store.format(folder=tmp_path))
        message = reader.list.state.message
        assert sentence in message
        assert "\n" not in message
        assert (reader.list.state.is_open, reader.list.state.opening, reader.list.expects_news) == (False,) * 3
        assert not (tmp_path / "none.db").exists()

    def test_a_newer_store_is_refused_and_left_as_it_is(self, a_review: ReviewStore, desktops: Desktops) -> None:
        with sqlite3.connect(a_review.url) as database:
            database.execute("UPDATE alembic_version SET version_num = 'from-the-future'")
        database.close()
        reader = desktops("Ann").open(a_review.url)
        assert "newer version" in reader.list.state.message
        assert not reader.list.state.is_open

    def test_what_is_not_installed_is_offered_and_told(
        self, a_review: ReviewStore, desktops: Desktops, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked: list[int] = []

        def declined() -> bool:
            asked.append(1)
            return False

        monkeypatch.setattr("BottleneckOODLib.panel.worklist_model.lacking_for", lambda _purpose: "SQLAlchemy>=2")
        reader = desktops("Ann", ready=declined).open(a_review.url)
        assert asked == [1]
        assert "needs SQLAlchemy>=2" in reader.list.state.message
        assert not reader.list.expects_news

    def test_the_panel_imports_no_database_until_a_store_is_opened(self) -> None:
        use = "import sys, BottleneckOODLib.panel.worklist_model as m; m.WorklistModel(None, None)"
        code = f"{use}; print('sqlalchemy' in sys.modules)"
        folder = Path(store_session.__file__).resolve().parents[2]
        done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "False"

    def test_an_open_store_goes_on_after_another_could_not_be_opened(
        self, a_review: ReviewStore, desktops: Desktops
    ) -> None:
        reader = desktops("Ann").open(a_review.url)
        reader.open(str(a_review.folder / "none.db"))
        assert not reader.list.state.is_open
        reader.open(a_review.url)
        assert reader.next() == "red"


class TestWhileReading:
    @pytest.mark.parametrize("how", ["store", "panel"])
    def test_a_case_that_was_asked_for_before_the_end_goes_back(
        self, a_review: ReviewStore, desktops: Desktops, how: str
    ) -> None:
        reader = desktops("Ann").open(a_review.url)
        gate, given = threading.Event(), threading.Event()
        desk = reader.list._desk
        assert desk is not None
        desk.submit(gate.wait)
        reader.list.next()
        desk.submit(given.set)
        threading.Timer(0.1, gate.set).start()
        {"store": reader.list.close_store, "panel": reader.list.close}[how]()
        assert given.wait(60)
        end = time.monotonic() + 60
        with Store(a_review.url) as store:
            while any(waiting.claimed_by for waiting in Worklist(store).page()):
                assert time.monotonic() < end

    def test_a_scene_that_is_closed_while_a_case_is_read_leaves_the_way_on_open(
        self, a_review: ReviewStore, desktops: Desktops
    ) -> None:
        gate = threading.Event()

        def slow(case: Whereabouts, reader: str) -> OpenedCase:
            gate.wait()
            return read_case(case, reader)

        reader = desktops("Ann", cases=lambda: CaseReader(slow)).open(a_review.url)
        reader.list.next()
        end = time.monotonic() + 60
        while not reader.list.state.case_id:
            assert time.monotonic() < end
            reader.list.poll()
        reader.list.scene_closed()
        gate.set()
        reader.wait()
        assert reader.list.state.can_move
        assert [row.case_id for row in reader.list.state.rows] == ["red", "amber", "green"]
        assert reader.next() == "red"

    def test_a_locked_store_is_told_and_nothing_is_kept_twice(self, a_review: ReviewStore, desktops: Desktops) -> None:
        reader = desktops("Ann", open_session=impatient).open(a_review.url)
        reader.next()
        with locked(a_review.url):
            reader.rate("reject")
            assert "locked" in reader.review.state.message
            assert reader.next() == "red"
            assert "locked" in reader.list.state.message
        reader.review.save()
        reader.wait()
        with Store(a_review.url) as store:
            assert [row.rating for row in StoredDecisions(store).decisions_of("red").decisions] == ["reject"]

    def test_a_locked_store_takes_no_case_off_the_way(self, a_review: ReviewStore, desktops: Desktops) -> None:
        reader = desktops("Ann", open_session=impatient).open(a_review.url)
        assert [reader.next(), reader.next(), reader.next(), reader.previous()] == ["red", "amber", "green", "amber"]
        with locked(a_review.url):
            for go in (reader.next, reader.previous):
                assert go() == "amber"
                assert "locked" in reader.list.state.message
        assert [reader.next(), reader.previous(), reader.previous()] == ["green", "amber", "red"]

    def test_a_case_that_another_reader_has_by_now_is_off_the_way(
        self, a_review: ReviewStore, desktops: Desktops
    ) -> None:
        reader = desktops("Ann").open(a_review.url)
        assert [reader.next(), reader.next(), reader.previous()] == ["red", "amber", "red"]
        with Store(a_review.url) as store:
            assert Worklist(store).claim("amber", "Bo")
        assert reader.next() == "red"
        assert "being read by Bo" in reader.list.state.message
        assert reader.next() == "green"

    @pytest.mark.parametrize("then", ["leaves", "goes on"])
    def test_a_light_that_was_seen_while_the_store_was_locked_is_not_hidden_again(
        self, a_review: ReviewStore, desktops: Desktops, then: str
    ) -> None:
        reader = desktops("Ann", blind=True, open_session=impatient).open(a_review.url)
        assert reader.next() == "red"
        desk = reader.list._desk
        assert desk is not None
        with locked(a_review.url):
            reader.review.set_blind_first(False)
            assert not reader.review.state.light_hidden
            assert desk.submit(lambda: "told").result(60) == "told"
        if then == "leaves":
            reader.list.close_store()
        else:
            assert reader.next() == "amber"
        end = time.monotonic() + 60
        with Store(a_review.url) as store:
            while not has_seen_light(store, "red", "Ann"):
                assert time.monotonic() < end
        again = desktops("Ann", blind=True).open(a_review.url)
        again.list.open_case("red")
        again.wait()
        assert again.case == "red"
        assert not again.review.state.light_hidden

    def test_a_store_that_is_slow_blocks_nothing_and_keeps_a_decision_once(
        self, a_review: ReviewStore, desktops: Desktops
    ) -> None:
        reader = desktops("Ann")
        reader.decisions._moment_s = 0.05
        reader.open(a_review.url)
        reader.next()
        gate = threading.Event()
        desk = reader.list._desk
        assert desk is not None
        desk.submit(gate.wait)
        reader.review.choose("reject")
        for _ in range(3):
            reader.review.save()
            assert "not known whether the decision is kept" in reader.review.state.message
            assert reader.review.state.ratings[3].chosen
        gate.set()
        reader.decisions._moment_s = 60
        reader.review.save()
        assert "Kept" in reader.review.state.message
        with Store(a_review.url) as store:
            assert [row.rating for row in StoredDecisions(store).decisions_of("red").decisions] == ["reject"]

    def test_a_store_that_does_not_answer_is_told_and_can_be_closed(
        self, a_review: ReviewStore, desktops: Desktops
    ) -> None:
        reader, gate = desktops("Ann").open(a_review.url), threading.Event()
        desk = reader.list._desk
        assert desk is not None
        desk.submit(gate.wait)
        reader.list.next()
        reader.list.poll()
        assert reader.list.state.message == ""
        reader.now += LATE_S + 1
        reader.list.poll()
        assert "not answered yet" in reader.list.state.message
        reader.list.close_store()
        assert (reader.list.state.is_open, reader.list.state.message) == (False, "")
        reader.open(a_review.url)
        assert reader.next() == "red"
        gate.set()

    def test_a_read_only_store_can_be_looked_at_and_says_why_nothing_can_be_claimed(
        self, a_review: ReviewStore, desktops: Desktops
    ) -> None:
        def read_only(store: str) -> StoreSession:
            session = StoreSession(store)
            engine = session._store.engine
            # Rights stop nobody who runs as root; the database's own switch does.
            event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA query_only=ON"))
            engine.dispose()
            return session

        reader = desktops("Ann", open_session=read_only).open(a_review.url)
        assert len(reader.list.state.rows) == 3
        assert reader.next() == ""
        assert "readonly" in reader.list.state.message
        assert "\n" not in reader.list.state.message


class TestFiles:
    @pytest.mark.parametrize("what", ["image", "folder", "mask", "changed image", "another image"])
    def test_a_case_that_cannot_be_shown_says_why_and_the_next_one_comes(
        self, a_review: ReviewStore, desktops: Desktops, what: str
    ) -> None:
        image, folder = a_review.images["red"], a_review.cases["red"]
        if what == "image":
            image.unlink()
        elif what == "folder":
            shutil.rmtree(folder)
        elif what == "mask":
            (folder / "segmentation.seg.nrrd").write_bytes(b"NRRD0005\nhalf")
        elif what == "changed image":
            write_volume(read_volume(a_review.images["amber"]), image)
        else:
            shutil.copytree(a_review.cases["green"], folder, dirs_exist_ok=True)
        reader = desktops("Ann").open(a_review.url)
        assert reader.next() == ""
        assert reader.list.state.case_id == "red"
        assert reader.list.state.message
        assert "\n" not in reader.list.state.message
        assert not reader.list.state.can_save_version
        assert reader.next() == "amber"

    def test_a_case_that_could_not_be_read_anew_has_no_mask_and_is_given_to_nobody(
        self, a_review: ReviewStore, desktops: Desktops
    ) -> None:
        with Store(a_review.url) as store:
            assert store.add_failure("red", "a newer model", "The file is damaged; export it again.", 0.1)
        assert desktops("Ann").open(a_review.url).next() == "amber"

    def test_a_moved_image_is_found_where_it_was_seen_before(self, a_review: ReviewStore, desktops: Desktops) -> None:
        from BottleneckOODLib.triage.finding import Candidate, find_volumes

        moved = a_review.folder / "elsewhere"
        moved.mkdir()
        shutil.copy(a_review.images["red"], moved / "copy.nii.gz")
        (found,) = (item for item in find_volumes(moved) if isinstance(item, Candidate))
        with Store(a_review.url) as store:
            assert store.note_case(found.content(), found.name, found.place()) == "red"
        shutil.rmtree(moved)
        reader = desktops("Ann").open(a_review.url)
        assert reader.next() == "red"

    def test_the_one_after_is_read_ahead_and_once(self, a_review: ReviewStore, desktops: Desktops) -> None:
        read: list[str] = []

        def counted(case: Whereabouts, reader: str) -> OpenedCase:
            read.append(case.case_id)
            return read_case(case, reader)

        def wait_for(count: int) -> None:
            end = time.monotonic() + 60
            while len(read) < count and time.monotonic() < end:
                time.sleep(0.005)

        reader = desktops("Ann", cases=lambda: CaseReader(counted)).open(a_review.url)
        assert reader.next() == "red"
        wait_for(2)
        assert read == ["red", "amber"]
        assert reader.next() == "amber"
        wait_for(3)
        assert read == ["red", "amber", "green"]

    def test_what_was_read_ahead_in_vain_is_forgotten(self, a_review: ReviewStore, desktops: Desktops) -> None:
        reader = desktops("Ann").open(a_review.url)
        reader.next()
        with Store(a_review.url) as store:
            from BottleneckOODLib.triage.worklist import Worklist

            assert Worklist(store).claim("amber", "Bo")
        assert reader.next() == "green"

    def test_of_several_series_the_one_that_was_assessed_is_found(
        self, write_slices: Callable[..., object], tmp_path: Path
    ) -> None:
        from BottleneckOODLib.triage.finding import Candidate, find_volumes, image_at

        folder = tmp_path / "study"
        for uid in ("1.2.3", "1.2.44"):
            write_slices(folder, uid=uid)
        found = [item for item in find_volumes(folder) if isinstance(item, Candidate)]
        assert len(found) == 2
        for item in found:
            assert image_at(item.place(), item.content()).series == item.series
        gone = found[0].place()
        for file in found[0].files:
            file.unlink()
        with pytest.raises(InputError, match="no longer in"):
            image_at(gone, "")


def test_what_is_of_no_store_is_kept_by_the_scene() -> None:
    class AScene:
        def __init__(self) -> None:
            self.rows: list[object] = []

        def add(self, decision: object) -> None:
            self.rows.append(decision)

        def decisions_of(self, _case_id: str) -> object:
            return self.rows

    scene = AScene()
    decisions = PanelDecisions(scene)  # type: ignore[arg-type]
    decisions.add("a row")  # type: ignore[arg-type]
    assert decisions.decisions_of("x") == ["a row"]
    assert not decisions.has_seen("x")
