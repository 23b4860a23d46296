"""An evaluation that was killed before it kept anything, or while it tidied up, is begun anew by ``--resume``."""

from __future__ import annotations

from pathlib import Path

import pytest

from BottleneckOODLib.errors import EvaluationError
from BottleneckOODLib.evaluation.unfinished import Unfinished


@pytest.mark.parametrize("left", [[], [".writing-abcdefgh"], ["3.json", "case-test-1.json"]])
def test_what_a_kill_left_without_its_identity_counts_for_nothing(tmp_path: Path, left: list[str]) -> None:
    folder = tmp_path / "unfinished"
    folder.mkdir()
    for name in left:
        (folder / name).write_text("{}")
    assert Unfinished(folder, "these").begin(resume=True, overwrite=False) == {}
    assert [path.name for path in folder.iterdir()] == ["identity.json"]


def test_what_is_of_other_cases_or_somebody_s_own_is_kept(tmp_path: Path) -> None:
    unfinished = Unfinished(tmp_path / "unfinished", "these")
    unfinished.begin(resume=False, overwrite=False)
    unfinished.keep(3, {})
    with pytest.raises(EvaluationError, match="other cases or settings"):
        Unfinished(tmp_path / "unfinished", "others").begin(resume=True, overwrite=False)
    assert Unfinished(tmp_path / "unfinished", "these").begin(resume=True, overwrite=False) == {3: {}}
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "photo.jpg").write_bytes(b"x")
    with pytest.raises(EvaluationError, match="--overwrite"):
        Unfinished(tmp_path / "mine", "these").begin(resume=True, overwrite=False)
    assert (tmp_path / "mine" / "photo.jpg").exists()
