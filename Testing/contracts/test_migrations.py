"""A store of an earlier schema on either database: its claims, readings and readers go on."""

from __future__ import annotations

import time
from pathlib import Path

import alembic.command
import sqlalchemy as sa
from alembic.config import Config

from BottleneckOODLib.triage import opening
from BottleneckOODLib.triage.store import Store
from BottleneckOODLib.triage.worklist import Wish, Worklist

MOMENT = "2026-01-01T00:00:00+00:00"


def as_of(url: str, revision: str) -> sa.Engine:
    """A database with the tables of a revision."""
    engine = sa.create_engine(url if "://" in url else f"sqlite:///{url}")
    config = Config()
    config.set_main_option("script_location", str(Path(opening.__file__).parent / "migrations"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        alembic.command.upgrade(config, revision)
    return engine


def test_claims_stay_and_readers_of_one_name_become_one(a_store_url: str) -> None:
    engine, claimed_at = as_of(a_store_url, "0002"), time.time() - 60
    tables = sa.MetaData()
    tables.reflect(engine)
    with engine.begin() as connection:
        for number, (name, readers, by) in enumerate(
            [("a", "", "Zoë  B."), ("b", "\nAnn\n\nann\n\nBo\n", ""), ("c", "\nÄnne\n", "")], start=1
        ):
            case = {"number": number, "content": name * 64, "case_id": name, "first_seen": MOMENT}
            connection.execute(tables.tables["cases"].insert().values(case))
            for assessment in (number, number + 10):
                result = {"number": assessment, "case": number, "created": MOMENT, "judge": f"j{assessment}"}
                words = {"light": "amber", "sentence": "s", "folder": "f", "seconds": 1.0, "record": "{}"}
                connection.execute(tables.tables["assessments"].insert().values({**result, **words}))
            claim = {"claimed_by": by, "claimed_at": claimed_at, "claimed_until": time.time() + 600}
            work = {"case": number, "assessment": number + 10, "light": "amber", "unusual": 1.5 - number, "lot": 0.5}
            counted = {"readings": readers.count("\n") // 2, "rating": "accept" if readers else "", "readers": readers}
            row = {**work, **counted, **claim, "claimed_blind": bool(by)}
            connection.execute(tables.tables["worklist"].insert().values(row))
    engine.dispose()
    with Store(a_store_url) as store:
        worklist = Worklist(store)
        claimed = worklist.at("a")
        assert claimed is not None
        assert (claimed.claimed_by, claimed.claimed_blind, claimed.claimed_assessment) == ("Zoë  B.", True, 11)
        assert worklist.claim("a", "Bo") is None
        kept = worklist.claim("a", "zoë b.", blind=True)
        assert kept is not None
        assert (kept.claimed_at, kept.claimed_blind) == (claimed_at, True)
        assert [(w.case_id, w.readings) for w in worklist.page()] == [("a", 0), ("b", 2), ("c", 1)]
        assert [w.case_id for w in worklist.page(Wish(reader="ANN"))] == ["b"]
        assert [w.case_id for w in worklist.page(Wish(reader="änne"))] == ["c"]
        free = worklist.at("b")
        assert free is not None
        assert (free.claimed_by, free.claimed_assessment) == ("", None)
