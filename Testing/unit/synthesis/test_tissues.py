from __future__ import annotations

from BottleneckOODLib.synthesis.tissues import LIVER_TISSUES, OUTSIDE_BODY, Tissue


def test_tissue_numbers_fit_the_tables_and_are_unique() -> None:
    numbers = [int(t) for t in Tissue]
    assert len(set(numbers)) == len(numbers)
    assert max(numbers) < 32
    assert Tissue.OUTSIDE == 0


def test_the_vessels_of_the_liver_count_as_liver() -> None:
    assert set(LIVER_TISSUES) == {Tissue.LIVER, Tissue.LIVER_VESSEL}
    assert not set(LIVER_TISSUES) & set(OUTSIDE_BODY)
