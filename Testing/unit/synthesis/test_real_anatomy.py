from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from BottleneckOODLib.errors import InputError
from BottleneckOODLib.synthesis.real_anatomy import read_real_anatomies
from BottleneckOODLib.synthesis.tissues import LIVER_TISSUES, Tissue

SHAPE = (16, 40, 44)
LIVER = (slice(6, 16), slice(12, 26), slice(8, 20))
SPLEEN = (slice(8, 16), slice(18, 26), slice(28, 34))


def _write(folder: Path, *, flipped: bool) -> None:
    """A box of a patient with liver and spleen, cut off at the top; stored LPS, or with two axes turned round."""
    image = np.full(SHAPE, -1000, np.float32)
    image[:, 6:34, 4:40] = -100
    image[:, 8:32, 6:38] = 40
    labels = np.zeros(SHAPE, np.uint8)
    labels[LIVER], labels[SPLEEN] = 5, 1
    image[LIVER] = 60
    direction = np.eye(3)
    if flipped:
        image, labels = image[:, ::-1, ::-1].copy(), labels[:, ::-1, ::-1].copy()
        direction = np.diag([-1.0, -1.0, 1.0])
    (folder / "abdomen_ct").mkdir(parents=True)
    for array, name in ((image, "ct.nii.gz"), (labels, "ct_labels.nii.gz")):
        written = sitk.GetImageFromArray(array)
        written.SetSpacing((4.0, 4.0, 5.0))
        written.SetDirection(direction.ravel().tolist())
        sitk.WriteImage(written, str(folder / "abdomen_ct" / name))


@pytest.mark.parametrize("flipped", [False, True])
def test_a_scan_is_read_the_right_way_round(tmp_path: Path, flipped: bool) -> None:
    _write(tmp_path, flipped=flipped)
    (anatomy,) = read_real_anatomies(tmp_path)
    assert anatomy.spacing_mm == (5.0, 4.0, 4.0)
    assert (anatomy.labels[LIVER] == Tissue.LIVER).all()
    assert (anatomy.labels[SPLEEN] == Tissue.SPLEEN).all()
    assert anatomy.intensities is not None
    assert anatomy.intensities[10, 20, 14] == 60


def test_the_liver_closes_as_a_dome_under_lung(tmp_path: Path) -> None:
    _write(tmp_path, flipped=False)
    (anatomy,) = read_real_anatomies(tmp_path)
    areas = np.isin(anatomy.labels, LIVER_TISSUES).sum(axis=(1, 2))
    above = areas[SHAPE[0] :]
    assert above[0] > 0
    assert (np.diff(above) <= 0).all()
    assert above[-1] == 0
    assert (anatomy.labels[SHAPE[0] :] == Tissue.LUNG).any()


def test_only_the_scanned_part_is_known(tmp_path: Path) -> None:
    _write(tmp_path, flipped=False)
    (anatomy,) = read_real_anatomies(tmp_path)
    assert anatomy.known is not None
    assert anatomy.known[: SHAPE[0]].all()
    assert not anatomy.known[SHAPE[0] :].any()


def test_a_folder_without_labelled_scans_is_refused_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"No labelled scan was found in .*drawn bodies only\.$"):
        read_real_anatomies(tmp_path)
