"""What was measured stays, whatever a kill left behind it, and however a system ends its lines."""

from __future__ import annotations

from pathlib import Path

import pytest

from BottleneckOODLib.robustness.store import MEASUREMENTS_FILE, MeasurementStore

IDENTITY = {"model": "a"}


@pytest.mark.parametrize("ending", [b"\n", b"\r\n"])
def test_a_line_that_a_kill_cut_off_goes_alone(tmp_path: Path, ending: bytes) -> None:
    store = MeasurementStore(tmp_path, IDENTITY, resume=False, overwrite=False)
    for key in ("one", "two"):
        store.keep(key, f"The image {key} cannot be read.")
    path = tmp_path / MEASUREMENTS_FILE
    whole = path.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", ending)
    path.write_bytes(whole + b'{"key": "thr')
    again = MeasurementStore(tmp_path, IDENTITY, resume=True, overwrite=False)
    assert path.read_bytes() == whole
    assert again.get("two") == "The image two cannot be read."
    again.keep("three", "The image three cannot be read.")
    last = MeasurementStore(tmp_path, IDENTITY, resume=True, overwrite=False)
    assert [last.get(key) is None for key in ("one", "two", "three")] == [False, False, False]
