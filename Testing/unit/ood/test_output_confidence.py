"""How unsure a network is of its mask, held against a plain re-statement."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import scipy.special
from hypothesis import given, settings
from hypothesis import strategies as st

from BottleneckOODLib.ood import output_scores as module
from BottleneckOODLib.ood.output_scores import (
    OUTPUT_CONFIDENCE_NAMES,
    output_confidence,
    output_scores,
    predicted_organ,
)

FloatArray = npt.NDArray[np.float64]
SHAPE = (7, 9, 8)


def logits_of(n_classes: int, seed: int) -> FloatArray:
    """Logits of a network that marks a box in the middle, more or less surely."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(n_classes, *SHAPE))
    logits[0] += 3
    logits[-1, 2:5, 3:7, 2:6] += 6
    return logits


def odds(share: float) -> float:
    return float(np.log(share / (1 - share)))


@pytest.mark.parametrize("at_once", [1 << 20, 1])
@pytest.mark.parametrize("n_classes", [2, 4])
def test_it_is_the_log_odds_of_the_published_score_inside_the_organ(
    n_classes: int, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_VOXELS_AT_ONCE", at_once)
    logits = logits_of(n_classes, seed=1)
    organ = logits.argmax(axis=0) == n_classes - 1
    found = output_confidence(logits, organ, (n_classes - 1,))
    assert found is not None
    assert found.shape == (len(OUTPUT_CONFIDENCE_NAMES),)
    assert found[0] == pytest.approx(odds(output_scores(logits, organ)["msp_organ"]), abs=1e-10)


def test_hesitating_between_two_parts_of_the_organ_is_no_doubt_about_the_mask() -> None:
    logits = np.zeros((3, *SHAPE))
    logits[1:, 2:5, 3:7, 2:6] = 8.0
    organ = predicted_organ(logits)
    both, one = output_confidence(logits, organ, (1, 2)), output_confidence(logits, organ, (1,))
    assert both is not None
    assert one is not None
    assert both[0] == pytest.approx(odds(1 / (2 * np.exp(8) + 1)))
    assert one[0] == pytest.approx(odds((np.exp(8) + 1) / (2 * np.exp(8) + 1)))


def test_an_empty_organ_has_no_confidence() -> None:
    assert output_confidence(logits_of(2, seed=0), np.zeros(SHAPE, dtype=bool)) is None


@given(st.integers(0, 999), st.floats(1.1, 5), st.floats(-50, 50))
@settings(max_examples=25, deadline=None)
def test_larger_logits_are_surer_and_a_shift_changes_nothing(seed: int, factor: float, shift: float) -> None:
    logits = logits_of(2, seed)
    organ = predicted_organ(logits)
    plain, scaled, moved = (output_confidence(x, organ) for x in (logits, factor * logits, logits + shift))
    assert plain is not None
    assert scaled is not None
    assert moved is not None
    assert scaled[0] < plain[0]
    assert moved[0] == pytest.approx(plain[0], abs=1e-8)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_a_network_that_knows_no_doubt_stays_finite(dtype: npt.DTypeLike) -> None:
    logits = (2000 * np.sign(logits_of(2, seed=0))).astype(dtype)
    logits[0] = -logits[1]
    before = logits.copy()
    found = output_confidence(logits, predicted_organ(logits))
    assert found is not None
    assert found[0] == pytest.approx(scipy.special.logit(1e-6))
    np.testing.assert_array_equal(logits, before)


def test_voxels_outside_of_the_organ_do_not_matter() -> None:
    logits = logits_of(2, seed=3)
    organ = predicted_organ(logits)
    elsewhere = np.where(organ, logits, np.array([50.0, 0.0]).reshape(2, 1, 1, 1))
    first, second = output_confidence(logits, organ), output_confidence(elsewhere, organ)
    assert first is not None
    assert second is not None
    assert first[0] == pytest.approx(second[0], abs=1e-12)


def test_a_network_that_says_another_class_is_unsure_without_end_and_stays_finite() -> None:
    logits = np.zeros((3, *SHAPE))
    logits[2] = 900.0
    found = output_confidence(logits, np.ones(SHAPE, dtype=bool), (1,))
    assert found is not None
    assert found[0] == pytest.approx(-scipy.special.logit(1e-6))


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_what_is_kept_in_less_precision_is_computed_in_double(dtype: npt.DTypeLike) -> None:
    logits = logits_of(2, seed=5).astype(dtype)
    organ = predicted_organ(logits)
    found, expected = output_confidence(logits, organ), output_confidence(logits.astype(np.float64), organ)
    assert found is not None
    assert expected is not None
    assert found[0] == expected[0]
