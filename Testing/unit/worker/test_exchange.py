from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from BottleneckOODLib.errors import InputError
from BottleneckOODLib.imaging.volume import Volume
from BottleneckOODLib.worker.exchange import put_volume, take_volume


def test_a_volume_comes_over_to_the_last_digit(a_volume: Volume, tmp_path: Path) -> None:
    put_volume(a_volume, tmp_path / "volume")
    taken = take_volume(tmp_path / "volume")
    np.testing.assert_array_equal(taken.voxels, a_volume.voxels)
    assert taken.geometry == a_volume.geometry
    assert (taken.modality, taken.name, taken.warnings) == (a_volume.modality, a_volume.name, a_volume.warnings)


def test_nobody_else_can_read_it(a_volume: Volume, tmp_path: Path) -> None:
    put_volume(a_volume, tmp_path / "volume")
    assert (tmp_path / "volume").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("name", ["voxels.npy", "volume.json"])
@pytest.mark.parametrize("content", [b"", b"{}", b"\x93NUMPY\x01\x00", b"\x80\x04K\x01."])
def test_what_is_damaged_is_one_sentence(a_volume: Volume, tmp_path: Path, name: str, content: bytes) -> None:
    put_volume(a_volume, tmp_path / "volume")
    (tmp_path / "volume" / name).write_bytes(content)
    with pytest.raises(InputError, match="could not be handed to the worker"):
        take_volume(tmp_path / "volume")


def test_what_is_missing_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="could not be handed"):
        take_volume(tmp_path / "nothing")


def test_an_earlier_volume_is_not_overwritten(a_volume: Volume, tmp_path: Path) -> None:
    put_volume(a_volume, tmp_path / "volume")
    with pytest.raises(OSError, match="exists"):
        put_volume(a_volume, tmp_path / "volume")
