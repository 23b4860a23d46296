"""What a batch says of what it leaves out: no name unless it is asked for, and how to ask."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from BottleneckOODLib.cli.main import main

TIP = "--names files tells it."


@pytest.fixture
def a_label_map(tmp_path: Path) -> Path:
    labels = np.zeros((40, 40, 40), np.uint8)
    labels[4:36, 4:36, 4:36] = 1
    path = tmp_path / "scans" / "Doe_Jane.nii.gz"
    path.parent.mkdir()
    sitk.WriteImage(sitk.GetImageFromArray(labels), str(path))
    return path


def test_a_file_that_is_passed_over_is_not_named_and_how_to_learn_its_name_is_said(
    a_label_map: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["triage", str(a_label_map.parent), "--store", str(tmp_path / "t.db")]) == 0
    told = capsys.readouterr().out
    assert "passed over: 1 file(s) or folder(s): The image (its name) looks like a label map" in told
    assert TIP in told
    assert "Doe" not in told


def test_it_is_named_where_names_are_asked_for(
    a_label_map: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = str(tmp_path / "t.db")
    assert main(["triage", str(a_label_map.parent), "--store", store, "--names", "files"]) == 0
    told = capsys.readouterr().out
    assert str(a_label_map) in told
    assert TIP not in told
