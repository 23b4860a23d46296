from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from BottleneckOODLib.synthesis.anatomy import Anatomy
from BottleneckOODLib.synthesis.tissues import LIVER_TISSUES, Tissue


@pytest.mark.parametrize(
    "tissue",
    [Tissue.LIVER, Tissue.LIVER_VESSEL, Tissue.SPLEEN, Tissue.KIDNEY, Tissue.GUT_WALL, Tissue.AORTA, Tissue.VEIN,
     Tissue.LUNG, Tissue.MYOCARDIUM, Tissue.HEART_BLOOD, Tissue.URINE, Tissue.CORTICAL_BONE, Tissue.MARROW],
)  # fmt: skip
def test_a_body_has_every_organ(a_drawn_body: Anatomy, tissue: Tissue) -> None:
    assert (a_drawn_body.labels == tissue).sum() >= 3


def test_the_liver_is_one_piece(a_drawn_body: Anatomy) -> None:
    liver = np.isin(a_drawn_body.labels, LIVER_TISSUES)
    parts, count = ndimage.label(liver, structure=np.ones((3, 3, 3)))
    sizes = np.bincount(parts.ravel())[1:]
    assert sizes.max() > 0.97 * liver.sum(), count


def test_lung_lies_above_the_liver(a_drawn_body: Anatomy) -> None:
    liver = np.isin(a_drawn_body.labels, LIVER_TISSUES)
    top = np.argwhere(liver)[:, 0].max()
    columns = liver[top]
    above = a_drawn_body.labels[top + 3][columns]
    assert np.mean(np.isin(above, (Tissue.LUNG, Tissue.MUSCLE))) > 0.8


def test_vessels_of_the_liver_touch_the_liver(a_drawn_body: Anatomy) -> None:
    near = ndimage.binary_dilation(a_drawn_body.labels == Tissue.LIVER, iterations=2)
    vessels = a_drawn_body.labels == Tissue.LIVER_VESSEL
    assert near[vessels].mean() > 0.95
