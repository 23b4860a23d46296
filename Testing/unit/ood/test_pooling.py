from __future__ import annotations

import numpy as np
import pytest

from BottleneckOODLib.ood.pooling import POOLINGS, pool_in_mask, pool_moments, pool_tokens


@pytest.fixture
def tokens() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(3, 5, 2, 2, 2)).astype(np.float32)


def test_the_mean_is_over_windows_and_space(tokens: np.ndarray) -> None:
    np.testing.assert_allclose(pool_tokens(tokens), tokens.astype(np.float64).mean(axis=(0, 2, 3, 4)), rtol=1e-6)


def test_mean_and_deviation_stand_one_after_the_other(tokens: np.ndarray) -> None:
    pooled = pool_tokens(tokens, method="mean_std")
    np.testing.assert_allclose(pooled[:5], pool_tokens(tokens))
    np.testing.assert_allclose(pooled[5:], tokens.astype(np.float64).std(axis=(0, 2, 3, 4)), rtol=1e-6)


def test_the_largest_value_of_each_channel(tokens: np.ndarray) -> None:
    np.testing.assert_array_equal(pool_tokens(tokens, method="max"), tokens.max(axis=(0, 2, 3, 4)))


@pytest.mark.parametrize("method", POOLINGS)
def test_tokens_that_see_only_air_do_not_count(tokens: np.ndarray, method: str) -> None:
    occupied = np.ones((3, 2, 2, 2), dtype=np.float32)
    occupied[2] = 0
    changed = tokens.copy()
    changed[2] = 1e6
    np.testing.assert_array_equal(pool_tokens(changed, occupied, method), pool_tokens(tokens, occupied, method))
    np.testing.assert_allclose(pool_tokens(tokens, occupied, method), pool_tokens(tokens[:2], None, method))


def test_a_token_counts_as_much_as_it_sees_of_the_body(tokens: np.ndarray) -> None:
    occupied = np.random.default_rng(1).uniform(0.1, 1, (3, 2, 2, 2)).astype(np.float32)
    flat, weights = tokens.transpose(0, 2, 3, 4, 1).reshape(-1, 5), occupied.ravel()
    np.testing.assert_allclose(pool_tokens(tokens, occupied), np.average(flat, axis=0, weights=weights), rtol=1e-5)


@pytest.mark.parametrize("method", POOLINGS)
def test_an_image_of_air_still_gives_a_vector(tokens: np.ndarray, method: str) -> None:
    nothing = np.zeros((3, 2, 2, 2), dtype=np.float32)
    np.testing.assert_allclose(pool_tokens(tokens, nothing, method), pool_tokens(tokens, None, method))


@pytest.mark.parametrize("method", POOLINGS)
def test_the_order_of_windows_does_not_matter(tokens: np.ndarray, method: str) -> None:
    np.testing.assert_allclose(pool_tokens(tokens[::-1], None, method), pool_tokens(tokens, None, method))


def test_an_unknown_pooling_is_refused(tokens: np.ndarray) -> None:
    with pytest.raises(ValueError, match="median"):
        pool_tokens(tokens, method="median")


@pytest.mark.parametrize("method", ["mean", "mean_std"])
def test_moments_of_windows_pool_to_what_their_tokens_do(tokens: np.ndarray, method: str) -> None:
    weights = np.random.default_rng(2).uniform(0.1, 1, (3, 2, 2, 2)).astype(np.float32)
    alone = [pool_tokens(tokens[i : i + 1], weights[i : i + 1], "mean_std") for i in range(3)]
    mean, deviation = np.split(np.array(alone), 2, axis=1)
    pooled = pool_moments(mean, deviation, weights.sum(axis=(1, 2, 3)), method)
    np.testing.assert_allclose(pooled, pool_tokens(tokens, weights, method), rtol=1e-6)


def test_a_window_without_weight_has_no_say_in_moments() -> None:
    mean, deviation = np.array([[1.0], [1e6]]), np.array([[2.0], [1e6]])
    np.testing.assert_allclose(pool_moments(mean, deviation, np.array([3.0, 0.0])), [1.0, 2.0])


def test_without_any_weight_all_windows_count_alike() -> None:
    mean, deviation = np.array([[1.0], [3.0]]), np.array([[0.0], [0.0]])
    np.testing.assert_allclose(pool_moments(mean, deviation, np.zeros(2)), [2.0, 1.0])


def test_moments_hold_no_largest_value() -> None:
    with pytest.raises(ValueError, match="max"):
        pool_moments(np.ones((1, 1)), np.ones((1, 1)), np.ones(1), "max")


@pytest.mark.parametrize("method", POOLINGS)
def test_in_the_mask_a_token_without_organ_has_no_say(tokens: np.ndarray, method: str) -> None:
    organ = np.zeros((3, 2, 2, 2), dtype=np.float32)
    organ[1, 0] = 0.5
    changed = np.where(organ[:, None] > 0, tokens, 1e6).astype(np.float32)
    np.testing.assert_array_equal(pool_in_mask(changed, organ, None, method), pool_in_mask(tokens, organ, None, method))
    alone = tokens[1:2, :, :1]
    np.testing.assert_allclose(pool_in_mask(tokens, organ, None, method), pool_tokens(alone, None, method), rtol=1e-6)


def test_a_mask_that_fills_no_token_is_pooled_by_what_little_there_is(tokens: np.ndarray) -> None:
    organ = np.zeros((3, 2, 2, 2), dtype=np.float32)
    organ[0, 0, 0, 0], organ[2, 1, 1, 1] = 0.001, 0.003
    expected = 0.25 * tokens[0, :, 0, 0, 0] + 0.75 * tokens[2, :, 1, 1, 1]
    np.testing.assert_allclose(pool_in_mask(tokens, organ), expected, rtol=1e-5)


@pytest.mark.parametrize("method", POOLINGS)
def test_an_empty_mask_is_pooled_over_the_body(tokens: np.ndarray, method: str) -> None:
    occupied = np.random.default_rng(3).uniform(0, 1, (3, 2, 2, 2)).astype(np.float32)
    pooled = pool_in_mask(tokens, np.zeros_like(occupied), occupied, method)
    np.testing.assert_array_equal(pooled, pool_tokens(tokens, occupied, method))


def test_every_name_of_a_pooling_is_one_and_the_mean_is_what_is_taken_without(tokens: np.ndarray) -> None:
    for method, size in zip(POOLINGS, (5, 10, 5), strict=True):
        assert pool_tokens(tokens, method=method).shape == (size,)
    np.testing.assert_array_equal(pool_tokens(tokens), pool_tokens(tokens, method="mean"))
    with pytest.raises(ValueError, match="unknown pooling 'median'"):
        pool_tokens(tokens, method="median")


def test_deviations_in_single_precision_are_squared_in_double() -> None:
    deviations = np.float32([[1.1], [2.3], [0.7]])
    pooled = pool_moments(np.zeros((3, 1), np.float32), deviations, np.ones(3, np.float32))
    assert pooled[1] == pytest.approx(np.sqrt((deviations.astype(np.float64) ** 2).mean()), rel=1e-14)


@pytest.mark.parametrize("n", [0, 1, 23, 25])
def test_weights_that_are_not_one_a_token_are_refused(tokens: np.ndarray, n: int) -> None:
    """None at all would be taken for a case of nothing but air."""
    with pytest.raises(ValueError, match="24 tokens"):
        pool_tokens(tokens, np.ones(n, np.float32))
