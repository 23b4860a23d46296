"""A store of every released schema opens, migrated if need be, and says the same; what is newer is refused."""

from __future__ import annotations

import hashlib
import hmac
import json
import shutil
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from dicom_slices import write_slices

from BottleneckOODLib.assessment.assessment import Assessment
from BottleneckOODLib.errors import StoreError, UserError
from BottleneckOODLib.model.model_folder import read_model_folder
from BottleneckOODLib.reference.reference_folder import Reference
from BottleneckOODLib.triage.decisions import StoredDecisions
from BottleneckOODLib.triage.export import case_rows, decision_rows
from BottleneckOODLib.triage.finding import Candidate, find_volumes, image_at
from BottleneckOODLib.triage.rating import rate
from BottleneckOODLib.triage.reviewed import image_of
from BottleneckOODLib.triage.store import Store
from BottleneckOODLib.triage.worklist import Worklist

FORMATS = Path(__file__).parent
FOLDERS = sorted(path.name for path in FORMATS.glob("v*"))
STORES = sorted(path.stem for path in FORMATS.glob("store-*.db"))
QUEUE = [("far", 2), ("unjudged", 0), ("unread", 0), ("near", 0), ("nearer", 0), ("usual", 1)]
DECISIONS = [
    ("usual", "usual-ann", "Ann", "accept", True, "", ""),
    ("far", "far-ann", "Ann", "reject", True, "", "Half of it is missing: \xe4"),
    ("far", "far-ben", "Ben", "minor_edit", True, "", ""),
    ("near", "near-ann", "Ann", "accept", False, "", ""),
    ("near", "near-ann-withdrawn", "Ann", "withdrawn", False, "near-ann", "the wrong case"),
]


@pytest.fixture(params=STORES)
def an_old_store(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A copy: the file here is never opened, so that no test migrates it."""
    return Path(shutil.copy(FORMATS / f"{request.param}.db", tmp_path / "triage.db"))


def test_every_schema_of_the_store_is_kept() -> None:
    scripts = (Path(__file__).parents[2] / "BottleneckOOD/BottleneckOODLib/triage/migrations/versions").glob("*.py")
    revisions = [line.split('"')[1] for path in scripts for line in path.read_text().splitlines()
                 if line.startswith("revision")]  # fmt: skip
    assert {f"store-{revision}" for revision in revisions} == set(STORES)


def test_an_old_store_has_its_queue_and_its_claim(an_old_store: Path) -> None:
    # The kept claim is held for years, so that it does not run out; one that long is void.
    with closing(sqlite3.connect(an_old_store)) as connection, connection:
        connection.execute("UPDATE worklist SET claimed_until = ? WHERE claimed_by != ''", (time.time() + 600,))
    with Store(str(an_old_store)) as store:
        page = Worklist(store).page()
        assert [(waiting.case_id, waiting.readings) for waiting in page] == QUEUE
        assert {(w.case_id, w.claimed_by, w.claimed_blind) for w in page if w.claimed_by} == {("nearer", "Cem", True)}
        assert Worklist(store).claim("nearer", "Dee") is None
        waiting = Worklist(store).claim_next("Dee")
        assert waiting is not None
        assert waiting.case_id == "unjudged"


def test_who_held_a_claim_in_an_old_store_rates_what_was_given(an_old_store: Path) -> None:
    with Store(str(an_old_store)) as store:
        waiting = Worklist(store).at("nearer")
        assert waiting is not None
        assert waiting.claimed_assessment == waiting.assessment
        row = rate(store, "nearer", "accept", reader="CEM")
        assert (row.blind_first, row.shown, row.versions.assessment_created) == (True, None, waiting.created)
        after = Worklist(store).at("nearer")
        assert after is not None
        assert (after.readings, after.claimed_by, after.claimed_assessment) == (1, "", None)


def test_who_has_seen_a_light_is_kept() -> None:
    with closing(sqlite3.connect(f"file:{FORMATS / 'store-0003.db'}?immutable=1", uri=True)) as kept:
        assert kept.execute("SELECT assessment, reader FROM seen").fetchall() == [(5, "dee")]


def test_an_old_store_has_its_decisions_and_takes_more(an_old_store: Path) -> None:
    with Store(str(an_old_store)) as store:
        rows = decision_rows(StoredDecisions(store).all())
        columns = ("case_id", "decision_id", "reader", "rating", "stands", "withdraws", "note")
        assert [tuple(row[column] for column in columns) for row in rows] == DECISIONS
        assert [row["overrules"] for row in rows] == [False] * 5
        assert (rows[1]["seconds"], rows[1]["shown_light"], rows[2]["shown_light"]) == (21.5, "red", "")
        assert store.counts() == {"cases": 6, "assessments": 6, "decisions": 5}


def test_an_old_store_exports_every_case(an_old_store: Path) -> None:
    with Store(str(an_old_store)) as store:
        rows = {str(row["case_id"]): row for row in case_rows(store.results())}
        assert {name: row["light"] for name, row in rows.items()} == {
            "usual": "green", "far": "red", "near": "amber", "nearer": "amber", "unjudged": "grey", "unread": "grey",
        }  # fmt: skip
        assert rows["far"]["score"] == pytest.approx(3.0)
        assert rows["unread"]["sentence"] == "The file unread.nii.gz cannot be read; check it."
        assessment = store.assessment_of("near")
        assert assessment is not None
        assert (assessment.light, assessment.created) == ("amber", "2026-03-01T09:02:00+00:00")
        assert store.places_of("far")[0].path == "scans/far.nii.gz"


def test_a_series_that_was_hashed_without_salt_is_found_again_and_salted(tmp_path: Path) -> None:
    for number, uid in enumerate(("1.2.3.10", "1.2.3.20")):
        write_slices(tmp_path / "scan", uid=uid, stored=np.full((4, 6, 5), number, np.int16))
    first, second = (found for found in find_volumes(tmp_path / "scan") if isinstance(found, Candidate))
    place = second.place()
    assert place.series == hashlib.sha256(f"{place.path}\0{second.series}".encode()).hexdigest()
    copy = shutil.copy(FORMATS / "store-0001.db", tmp_path / "triage.db")
    columns = "(number, \"case\", path, series, stamp, seen)"
    with closing(sqlite3.connect(copy)) as theirs, theirs:
        values = (99, 2, place.path, place.series, place.stamp, "2026-03-01T09:00:00+00:00")
        theirs.execute(f"INSERT INTO places {columns} VALUES (?, ?, ?, ?, ?, ?)", values)
    with Store(str(copy)) as store:
        assert store.case_at(place) == "far"
        assert store.case_at(first.place()) is None
        found = image_of(store, "far")
        assert found is not None
        # Its name is that of whoever takes the case down first, and of no interest any more.
        assert (found.path, found.files, found.series) == (second.path, second.files, second.series)
        kept = store.places_of("far")[0]
        assert image_at(kept, "").series == second.series
        assert kept.series == hmac.new(bytes.fromhex(store.salt), place.series.encode(), "sha256").hexdigest()
    assert place.series.encode() not in Path(copy).read_bytes()


def _newer_json(path: Path) -> None:
    document = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**document, "schema_version": 99, "something": "new"}), encoding="utf-8")


@pytest.mark.parametrize("version", FOLDERS)
@pytest.mark.parametrize(
    ("file", "load"),
    [
        ("model/model.json", lambda folder: read_model_folder(folder / "model")),
        ("reference/reference.json", lambda folder: Reference.load(folder / "reference")),
        ("assessment/case/assessment.json", lambda folder: Assessment.load(folder / "assessment" / "case")),
    ],
)
def test_a_newer_folder_is_refused_with_a_sentence(
    version: str, file: str, load: Callable[[Path], object], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(FORMATS / version, tmp_path / version))
    load(folder)
    _newer_json(folder / file)
    before = (folder / file).read_bytes()
    with pytest.raises(UserError, match=r"newer version of BottleneckOOD; update BottleneckOOD\.$"):
        load(folder)
    assert (folder / file).read_bytes() == before


def test_a_newer_store_is_refused_with_a_sentence_and_left_as_it_is(an_old_store: Path) -> None:
    with sqlite3.connect(an_old_store) as theirs:
        theirs.execute("UPDATE alembic_version SET version_num = '9999'")
    theirs.close()
    with pytest.raises(StoreError, match=r"newer version of BottleneckOOD; update BottleneckOOD\.$"):
        Store(str(an_old_store))
    with sqlite3.connect(an_old_store) as theirs:
        assert theirs.execute("SELECT version_num FROM alembic_version").fetchall() == [("9999",)]
        assert theirs.execute("SELECT count(*) FROM decisions").fetchone() == (5,)
    theirs.close()


def test_a_newer_decision_of_a_store_is_refused_with_a_sentence(an_old_store: Path) -> None:
    change = "UPDATE decisions SET line = json_set(line, '$.schema_version', 99) || char(10) WHERE decision_id = ?"
    with sqlite3.connect(an_old_store) as theirs:
        theirs.execute(change, ("far-ben",))
    theirs.close()
    with Store(str(an_old_store)) as store:
        assert len(StoredDecisions(store).decisions_of("near").decisions) == 2
        with pytest.raises(UserError, match=r"newer version of BottleneckOOD; update BottleneckOOD\.$"):
            StoredDecisions(store).decisions_of("far")
