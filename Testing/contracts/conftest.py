"""A queue on each kind of database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from BottleneckOODLib.assessment.assessment import Assessment
from BottleneckOODLib.triage.place import Place
from BottleneckOODLib.triage.store import Store

# A busy machine is no store that does not answer.
PATIENCE_S = 60.0
# As made, red and grey come before amber and green.
LIGHTS = {"a": "red", "b": "grey", "c": "amber", "d": "green"}


@pytest.fixture(params=["sqlite", "postgresql"])
def a_store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A store that is not made yet."""
    return str(tmp_path / "t.db" if request.param == "sqlite" else request.getfixturevalue("a_postgres_url"))


@pytest.fixture
def a_queue(a_store_url: str, make_assessment: Callable[..., Assessment]) -> Iterator[Store]:
    """``a`` red, ``b`` grey, ``c`` amber, ``d`` green."""
    with Store(a_store_url, patience_s=PATIENCE_S) as store:
        for name, light in LIGHTS.items():
            store.note_case(name * 64, name, Place(name, "", "1"))
            store.add_assessment(name, "j", replace(make_assessment(light), case_id=name), f"out/{name}", 2.0)
        yield store
