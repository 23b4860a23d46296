"""The same image gets the same light, however it is computed and in whatever order its files come."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from dicom_slices import WriteSlices
from last_digits import assert_same_mask

from BottleneckOODLib.assessment.assessment import Assessment
from BottleneckOODLib.imaging.volume import Volume
from BottleneckOODLib.logic import BottleneckOODLogic
from BottleneckOODLib.model import segmenter

SCORE_TOLERANCE = 1e-4


@pytest.fixture
def threads() -> Iterator[Callable[[int], None]]:
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def assert_same(found: Assessment, expected: Assessment) -> None:
    assert (found.light, found.p_value) == (expected.light, expected.p_value)
    assert found.score == pytest.approx(expected.score, rel=SCORE_TOLERANCE)
    assert {name: part.score for name, part in found.parts.items()} == pytest.approx(
        {name: part.score for name, part in expected.parts.items()}, rel=SCORE_TOLERANCE
    )
    assert [n.case_id for n in found.neighbours] == [n.case_id for n in expected.neighbours]
    assert found.segmentation is not None
    assert expected.segmentation is not None
    assert_same_mask(found.segmentation.labels, expected.segmentation.labels)


def test_threads_and_windows_at_a_time_change_nothing(
    a_logic: BottleneckOODLogic,
    a_case: Volume,
    threads: Callable[[int], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expected = a_logic.assess(a_case)
    for count in (1, 2):
        threads(count)
        for at_once in (1, 4):
            monkeypatch.setattr(segmenter, "windows_at_once", lambda *_, n=at_once: n)
            assert_same(a_logic.assess(a_case), expected)
    # And again, as it was computed first.
    assert_same(a_logic.assess(a_case), expected)


def test_the_order_in_which_a_series_lies_in_its_folder_changes_nothing(
    a_logic: BottleneckOODLogic, a_case: Volume, write_slices: WriteSlices, tmp_path: Path
) -> None:
    stored = a_case.voxels.round().astype(np.int16)
    results = []
    for seed in (None, 1):
        order = np.arange(len(stored)) if seed is None else np.random.default_rng(seed).permutation(len(stored))
        folder = tmp_path / f"series-{seed}"
        write_slices(
            folder,
            uid="1.2.3.4",
            stored=stored[order],
            positions=[np.array([0.0, 0.0, 5.0 * k]) for k in order],
            names=[f"{place:03d}.dcm" for place in range(len(order))],
            PixelSpacing=[5.0, 5.0],
            SliceThickness=5.0,
        )
        results.append(a_logic.assess(folder))
    for again in results[1:]:
        assert_same(again, results[0])
