from __future__ import annotations

import numpy as np
import pytest
import torch

from BottleneckOODLib.ood.average_pooling import PAPER_GRID, AveragePooling, NoReduction, pool_windows


@pytest.mark.parametrize("dim", ["2D", "3D"])
@pytest.mark.parametrize(("kernel", "stride"), PAPER_GRID)
@pytest.mark.parametrize("shape", [(5, 4, 5, 6), (2, 5, 4, 5, 4), (3, 8, 9, 17)], ids=str)
def test_pooling_is_torch_s(dim: str, kernel: int, stride: int, shape: tuple[int, ...]) -> None:
    cases = np.random.default_rng(0).normal(size=(3, *shape))
    layer = torch.nn.AvgPool2d(kernel, stride) if dim == "2D" else torch.nn.AvgPool3d(kernel, stride)
    # torch's 2D layer takes one axis of channels before the plane, so that all others are folded into it.
    folded = [torch.from_numpy(c.reshape(-1, *shape[-3:]) if dim == "2D" else c) for c in cases]
    theirs = np.array([layer(case).numpy().ravel() for case in folded])
    ours = AveragePooling(dim, kernel, stride).fit(cases).transform(cases)
    np.testing.assert_allclose(ours, theirs, atol=1e-12)


def test_single_precision_gives_the_same_to_its_digits() -> None:
    cases = np.random.default_rng(0).normal(size=(3, 5, 3, 3, 3))
    single = AveragePooling("3D", 2, 1).fit(cases).transform(cases.astype(np.float32))
    assert single.dtype == np.float64
    np.testing.assert_allclose(single, AveragePooling("3D", 2, 1).fit(cases).transform(cases), atol=1e-6)


def test_a_kernel_that_does_not_fit_is_refused() -> None:
    pooling = AveragePooling("3D", 4, 1)
    assert not pooling.fits((768, 3, 3, 3))
    assert not AveragePooling("3D", 2, 1).fits((768,))
    assert pooling.fits((8, 4, 4, 4))
    with pytest.raises(ValueError, match="kernel of 4 does not fit"):
        pooling.transform(np.zeros((2, 768, 3, 3, 3)))
    with pytest.raises(ValueError, match="not known"):
        AveragePooling("4D", 2, 1)


def test_nothing_is_reduced_by_no_reduction() -> None:
    cases = np.random.default_rng(0).normal(size=(3, 2, 2, 2, 2)).astype(np.float32)
    np.testing.assert_array_equal(NoReduction().fit(cases).transform(cases), cases.reshape(3, 16))


def test_windows_are_pooled_and_nothing_else() -> None:
    windows = np.random.default_rng(0).normal(size=(6, 3, 2, 2, 2))
    np.testing.assert_allclose(pool_windows(windows, "mean"), windows.sum(axis=0) / 6)
    np.testing.assert_array_equal(pool_windows(windows, "max"), windows.max(axis=0))
    assert pool_windows(windows, "none") is windows
    for without in (windows[0], windows[0, :, 0, 0, 0]):
        assert pool_windows(without, "mean") is without
    with pytest.raises(ValueError, match="unknown pooling"):
        pool_windows(windows, "median")
