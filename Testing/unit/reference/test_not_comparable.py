"""What cannot be compared is refused on both sides: the case's, and the reference's own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from BottleneckOODLib.ood.calibration import LARGEST, NotFiniteError, conformal_p_value
from BottleneckOODLib.ood.knn import KNearestNeighbours
from BottleneckOODLib.ood.mahalanobis import ShrunkMahalanobis
from BottleneckOODLib.ood.pca import PrincipalComponents
from BottleneckOODLib.ood.pooling import pool_tokens
from BottleneckOODLib.reference.feature_space import FeatureSpace
from BottleneckOODLib.reference.scoring import score_case

N, D = 40, 6
ALL = np.ones(N, dtype=bool)
FEATURES = np.random.default_rng(0).normal(size=(N, D))
DETECTORS: dict[str, Any] = {"md": ShrunkMahalanobis, "knn": lambda: KNearestNeighbours(0.1)}


def space_of(features: np.ndarray = FEATURES, detector: str = "md", *, reduced: bool = False) -> FeatureSpace:
    reducer = PrincipalComponents(3) if reduced else None
    return FeatureSpace.fitted("bottleneck", features, DETECTORS[detector](), reducer=reducer)


@pytest.mark.parametrize("detector", DETECTORS)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e200, -1e200, 2 * LARGEST])
def test_a_case_beyond_every_measurement_is_refused(detector: str, value: float) -> None:
    vector = FEATURES[0].copy()
    vector[2] = value
    with pytest.raises(NotFiniteError, match="bottleneck feature"):
        score_case({"bottleneck": space_of(detector=detector)}, {"bottleneck": vector}, ALL)


def test_a_case_at_the_edge_of_what_can_be_squared_is_judged() -> None:
    vector = FEATURES[0].copy()
    vector[2] = LARGEST
    assert score_case({"bottleneck": space_of()}, {"bottleneck": vector}, ALL).light == "amber"


@pytest.mark.parametrize("detector", DETECTORS)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_reference_by_whose_spread_every_case_would_be_usual_is_refused(detector: str) -> None:
    """Squares of 1e200 overflow: the spread is infinite, so whatever comes would lie in the middle."""
    leave_one_out = np.linspace(0, 1, N)
    with pytest.raises(NotFiniteError, match="reference"):
        FeatureSpace.fitted("bottleneck", FEATURES * 1e200, DETECTORS[detector](), leave_one_out)


@pytest.mark.parametrize("name", ["features", "centre", "scale", "leave_one_out"])
def test_a_space_that_is_not_whole_is_not_compared_with(name: str) -> None:
    space = space_of()
    broken = getattr(space, name).copy()
    broken[-1] = np.nan
    for spoilt in (broken, getattr(space, name)[:0] if name in ("features", "leave_one_out") else broken):
        with pytest.raises(NotFiniteError, match="reference"):
            score_case({"bottleneck": replace(space, **{name: spoilt})}, {"bottleneck": FEATURES[0]}, ALL)


@pytest.mark.parametrize("detector", DETECTORS)
def test_nor_one_with_a_part_of_its_detector_or_reducer_gone(detector: str) -> None:
    space = space_of(detector=detector, reduced=True)
    for part in (space.detector, space.reducer):
        for name, value in list(vars(part).items()):
            if isinstance(value, np.ndarray):
                setattr(part, name, np.full_like(value, np.inf))
                with pytest.raises(NotFiniteError, match="reference"):
                    space.check_whole()
                setattr(part, name, value)
    space.check_whole()


def test_without_cases_there_is_no_p_value() -> None:
    """One of no cases and the case itself would be 1: as usual as can be."""
    with pytest.raises(NotFiniteError, match="no reference case"):
        conformal_p_value(0.5, np.zeros(0))


def test_nor_where_none_of_the_cases_calibrates() -> None:
    with pytest.raises(NotFiniteError, match="no reference case"):
        score_case({"bottleneck": space_of()}, {"bottleneck": FEATURES[0]}, ~ALL)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_token_of_no_weight_that_is_a_number_is_refused(value: float) -> None:
    tokens = np.ones((2, 3, 1, 1, 2), np.float32)
    weights = np.ones((2, 1, 1, 2), np.float32)
    weights[1, 0, 0, 1] = value
    with pytest.raises(NotFiniteError, match="weight"):
        pool_tokens(tokens, weights)
