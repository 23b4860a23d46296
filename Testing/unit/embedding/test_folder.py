from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from BottleneckOODLib.embedding.folder import CASES, EMBEDDING_FILE, PERFORMANCE, CaseRecord, EmbeddingFolder
from BottleneckOODLib.errors import OutputError
from BottleneckOODLib.evaluation.cohort import read_performance

FACTS = {"model": "a", "fingerprint": "f", "measurements": 1, "stages": ["s"]}
OUTCOMES = {"dice": 0.9, "hd": 12.5, "sd": 1.25}


def a_record(name: str, outcomes: dict[str, float | None] | None = None, parts: tuple[str, ...] = ("x",)) -> CaseRecord:
    return CaseRecord(name, parts, outcomes, empty=False)


def test_a_case_is_there_when_its_record_is(tmp_path: Path) -> None:
    folder = EmbeddingFolder(tmp_path / "out", FACTS)
    folder.write("one", "x", np.arange(3.0))
    assert not folder.has("one", ("x",))
    folder.finish(a_record("one"))
    for opened in (folder, EmbeddingFolder(tmp_path / "out", FACTS)):
        assert opened.has("one", ("x",))
        assert not opened.has("one", ("x", "y"))
    np.testing.assert_array_equal(np.load(tmp_path / "out" / "x" / "one.npy"), np.arange(3.0))


def test_parts_of_several_runs_add_up(tmp_path: Path) -> None:
    folder = EmbeddingFolder(tmp_path / "out", FACTS)
    folder.finish(a_record("one", parts=("x",)))
    folder.finish(a_record("one", parts=("y",)))
    assert EmbeddingFolder(tmp_path / "out", FACTS).has("one", ("x", "y"))


def test_the_table_is_one_that_an_evaluation_reads(tmp_path: Path) -> None:
    folder = EmbeddingFolder(tmp_path / "out", FACTS)
    folder.finish(a_record("1.2.840.7", OUTCOMES))
    folder.finish(a_record("no labels"))
    folder.finish(a_record("a, with a comma", {"dice": 0.0, "hd": None, "sd": None}))
    table = read_performance(tmp_path / "out" / PERFORMANCE)
    assert table.outcomes["1.2.840.7"] == OUTCOMES
    assert table.outcomes["a, with a comma"]["dice"] == 0
    assert np.isnan(table.outcomes["a, with a comma"]["hd"])
    assert len(table.outcomes) == folder.labelled == 2


@pytest.mark.parametrize("change", [{"fingerprint": "g"}, {"measurements": 2}, {"stages": []}])
def test_embeddings_of_other_facts_are_kept_and_refused(change: dict[str, object], tmp_path: Path) -> None:
    EmbeddingFolder(tmp_path / "out", FACTS).finish(a_record("one", OUTCOMES))
    before = sorted((p.name, p.read_bytes()) for p in (tmp_path / "out").rglob("*") if p.is_file())
    with pytest.raises(OutputError, match="another model or version; choose another folder"):
        EmbeddingFolder(tmp_path / "out", {**FACTS, **change})
    assert sorted((p.name, p.read_bytes()) for p in (tmp_path / "out").rglob("*") if p.is_file()) == before


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"of somebody")
    with pytest.raises(OutputError, match="something else than embeddings"):
        EmbeddingFolder(tmp_path, FACTS)
    assert [path.name for path in tmp_path.iterdir()] == ["photo.jpg"]


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"case_id": "one"}', b"\xff\xfe", b'{"parts": 3}'])
def test_a_damaged_record_makes_the_case_anew(damage: bytes, tmp_path: Path) -> None:
    EmbeddingFolder(tmp_path / "out", FACTS).finish(a_record("one", OUTCOMES))
    (tmp_path / "out" / CASES / "one.json").write_bytes(damage)
    folder = EmbeddingFolder(tmp_path / "out", FACTS)
    assert not folder.has("one", ("x",))
    assert folder.labelled == 0


def test_a_damaged_description_is_refused(tmp_path: Path) -> None:
    EmbeddingFolder(tmp_path / "out", FACTS)
    (tmp_path / "out" / EMBEDDING_FILE).write_text("{")
    with pytest.raises(OutputError, match="choose another folder"):
        EmbeddingFolder(tmp_path / "out", FACTS)


def test_what_has_no_record_is_dropped_and_what_has_one_stays(tmp_path: Path) -> None:
    folder = EmbeddingFolder(tmp_path / "out", FACTS)
    for name in ("one", "two"):
        folder.write(name, "x", np.zeros(2))
        folder.write(name, "flips", np.zeros(2), "z")
    folder.finish(a_record("one", parts=("x", "flips")))
    for name in ("one", "two", "never"):
        folder.drop(name, ("x", "flips"))
    left = {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.npy")}
    assert left == {str(Path("x") / "one.npy"), str(Path("flips") / "one" / "z.npy")}


def test_a_write_that_fails_leaves_the_old_file_and_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = EmbeddingFolder(tmp_path / "out", FACTS)
    folder.write("one", "x", np.zeros(2))

    def full(*_arguments: object, **_options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(OutputError, match=r"one\.npy cannot be written \(No space left on device\)"):
        folder.write("one", "x", np.ones(2))
    assert [path.name for path in (tmp_path / "out" / "x").iterdir()] == ["one.npy"]
    assert not np.load(tmp_path / "out" / "x" / "one.npy").any()


def test_others_may_read_what_was_written(tmp_path: Path) -> None:
    # What this machine's shell withholds from others is not the question.
    before = os.umask(0o022)
    try:
        EmbeddingFolder(tmp_path / "out", FACTS).write("one", "x", np.zeros(2))
    finally:
        os.umask(before)
    assert (tmp_path / "out" / "x" / "one.npy").stat().st_mode & 0o044 == 0o044


def test_the_description_says_which_model_and_which_stages(tmp_path: Path) -> None:
    EmbeddingFolder(tmp_path / "out", FACTS)
    assert json.loads((tmp_path / "out" / EMBEDDING_FILE).read_text()) == {"schema_version": 1, **FACTS}


def test_a_run_that_was_killed_at_its_first_file_is_begun_anew(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / ".writing-abcdefgh").write_text("{")
    EmbeddingFolder(tmp_path / "out", FACTS)
    assert [path.name for path in (tmp_path / "out").iterdir()] == [EMBEDDING_FILE]
