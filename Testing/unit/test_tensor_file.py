"""Why arrays could not be written is told as the system told it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import safetensors

from BottleneckOODLib.tensor_file import telling_the_system_s_reason, write_arrays


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ("There is not enough space on the disk. (os error 112)", "There is not enough space on the disk"),
        ('No space left on device (os error 28) at path "/a: b/.tmp1"', "No space left on device"),
    ],
)
def test_windows_counts_its_errors_in_its_own_way(told: str, reason: str) -> None:
    with pytest.raises(OSError, match=reason) as failed, telling_the_system_s_reason():
        raise safetensors.SafetensorError(f"Error while serializing: I/O error: {told}")
    assert failed.value.strerror == reason


def test_a_folder_that_is_not_there_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"\w") as failed:
        write_arrays({"a": np.zeros(3)}, tmp_path / "gone" / "a.safetensors")
    assert failed.value.strerror
    assert "os error" not in failed.value.strerror
