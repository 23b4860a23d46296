"""Case after case in one process: what a case took is let go of when it is over. The long form is ``Testing/soak``."""

from __future__ import annotations

import gc
import tempfile
import threading
import weakref
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from BottleneckOODLib.imaging.reading_process import ReadingProcess
from BottleneckOODLib.imaging.volume import Geometry, Volume, to_sitk
from BottleneckOODLib.logic import BottleneckOODLogic

ROUNDS = 4


def held() -> tuple[int, int]:
    """Open files, where the system tells, and threads."""
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.is_dir() else 0, threading.active_count()


@pytest.mark.usefixtures("no_picture")
def test_case_after_case_nothing_is_held(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    z, y, x = np.ogrid[:20, :40, :56]
    body = np.where(((x - 28) / 23) ** 2 + ((y - 20) / 15) ** 2 + 0 * z < 1, 40.0, -1000.0)
    geometry = Geometry((56, 40, 20), (5.0, 5.0, 5.0), (0.0, 0.0, 0.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
    sitk.WriteImage(to_sitk(body.astype(np.float32), geometry), str(tmp_path / "case.nrrd"))
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    kept = repository / "Testing" / "formats" / "v1"
    volumes: list[weakref.ref[Volume]] = []
    holding = []
    with ReadingProcess() as reader:

        def read(*arguments: object, **named: object) -> Volume:
            volume = reader.read(*arguments, **named)  # type: ignore[arg-type]
            volumes.append(weakref.ref(volume))
            return volume

        logic = BottleneckOODLogic(kept / "model", kept / "reference", device="cpu", read=read)
        for number in range(ROUNDS):
            logic.assess(tmp_path / "case.nrrd", case_id=f"case-{number}").save(tmp_path / "results")
            gc.collect()
            holding.append(held())
    # What other tests have left may still end meanwhile; what is held anew for each case would add up.
    assert all(last <= first for first, last in zip(holding[1], holding[-1], strict=True))
    assert [volume() for volume in volumes] == [None] * ROUNDS
    assert list((tmp_path / "temporary").iterdir()) == []
    assert len(list((tmp_path / "results").iterdir())) == ROUNDS
