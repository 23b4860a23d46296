from __future__ import annotations

import sys

import numpy as np
import numpy.typing as npt
import pytest

from BottleneckOODLib.ood.token_bank import (
    LEAST_SHARE,
    TokenBank,
    TokenSampler,
    at_most,
    nearest_squared,
)

N_CASES, A_CASE, FEATURES = 12, 40, 6
Float32Array = npt.NDArray[np.float32]


def tokens_of_cases(seed: int = 0) -> tuple[Float32Array, npt.NDArray[np.int32]]:
    """Features of very different scales, as channels of a network have them."""
    rng = np.random.default_rng(seed)
    scales = np.array([0.01, 0.1, 1.0, 5.0, 20.0, 1.0])
    tokens = rng.normal(size=(N_CASES * A_CASE, FEATURES)) * scales + [0, 0, 3, -40, 100, 0]
    return tokens.astype(np.float32), np.repeat(np.arange(N_CASES, dtype=np.int32), A_CASE)


@pytest.fixture
def a_bank() -> TokenBank:
    return TokenBank.fitted(*tokens_of_cases())


def test_distances_to_other_cases_are_those_of_a_loop(a_bank: TokenBank) -> None:
    tokens, cases = a_bank.tokens.astype(np.float64), a_bank.case_index
    covariance = np.cov(tokens, rowvar=False)
    inverse = np.linalg.inv(covariance)
    found = a_bank.distances_to_other_cases()
    for row in (0, 77, 300, 479):
        apart = tokens[cases != cases[row]] - tokens[row]
        # The nearest in whitened features is the nearest in the tokens' own Mahalanobis distance.
        assert found[row] == pytest.approx(np.sqrt(((apart @ inverse) * apart).sum(axis=1).min()), rel=1e-3)


def test_one_is_the_95_percent_quantile_of_the_training_tokens_themselves(a_bank: TokenBank) -> None:
    relative = a_bank.distances_to_other_cases() / a_bank.spread
    assert (relative > 1).mean() == pytest.approx(0.05, abs=0.005)


def test_tokens_of_a_new_case_of_the_same_kind_are_beyond_one_about_as_often(a_bank: TokenBank) -> None:
    relative = a_bank.relative_distances(tokens_of_cases(seed=5)[0])
    assert (relative > 1).mean() == pytest.approx(0.05, abs=0.03)


def test_a_training_token_is_at_no_distance_and_a_far_one_farther_than_all(a_bank: TokenBank) -> None:
    own = a_bank.tokens[:5].astype(np.float32)
    far = own + np.float32(50) * a_bank.tokens.astype(np.float64).std(axis=0).astype(np.float32)
    assert a_bank.relative_distances(own).max() < 0.01
    assert a_bank.relative_distances(far).min() > 5


def test_the_scale_of_a_feature_does_not_matter() -> None:
    tokens, cases = tokens_of_cases()
    new = tokens_of_cases(seed=3)[0]
    scales = np.array([8, 0.5, 1, 16, 0.25, 2], np.float32)
    one, other = TokenBank.fitted(tokens, cases), TokenBank.fitted(tokens * scales, cases)
    scaled = other.relative_distances(new * scales)
    np.testing.assert_allclose(one.relative_distances(new), scaled, rtol=2e-2, atol=1e-2)


def test_the_order_of_the_tokens_does_not_matter(a_bank: TokenBank) -> None:
    tokens, cases = tokens_of_cases()
    order = np.random.default_rng(1).permutation(len(tokens))
    shuffled = TokenBank.fitted(tokens[order], cases[order])
    new = tokens_of_cases(seed=3)[0]
    np.testing.assert_allclose(shuffled.relative_distances(new), a_bank.relative_distances(new), rtol=1e-3)


def test_without_faiss_the_distances_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    new = tokens_of_cases(seed=3)[0]
    pytest.importorskip("faiss")
    with_faiss = TokenBank.fitted(*tokens_of_cases())
    assert sys.platform == "darwin" or with_faiss._index is not None
    monkeypatch.setitem(sys.modules, "faiss", None)
    without = TokenBank.fitted(*tokens_of_cases())
    assert without._index is None
    by_products = without.relative_distances(new)
    np.testing.assert_allclose(with_faiss.relative_distances(new), by_products, rtol=1e-3, atol=1e-4)


def test_where_two_openmp_runtimes_would_clash_faiss_is_not_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.delitem(sys.modules, "faiss", raising=False)
    bank = TokenBank.fitted(*tokens_of_cases())
    bank.relative_distances(tokens_of_cases(seed=3)[0])
    assert "faiss" not in sys.modules


def test_searching_in_blocks_is_searching_at_once() -> None:
    rng = np.random.default_rng(2)
    queries = rng.normal(size=(1300, 4)).astype(np.float32)
    bank = rng.normal(size=(90, 4)).astype(np.float32)
    direct = ((queries[:, None] - bank[None]) ** 2).sum(axis=2).min(axis=1)
    np.testing.assert_allclose(nearest_squared(queries, bank), direct, rtol=1e-4, atol=1e-6)
    assert nearest_squared(queries[:0], bank).shape == (0,)


@pytest.mark.parametrize("count", [1, 899, 901, 4095, 4097])
def test_however_many_are_asked_for_at_once_each_gets_its_own_distance(a_bank: TokenBank, count: int) -> None:
    new = np.resize(tokens_of_cases(seed=3)[0], (count, FEATURES))
    each = a_bank.relative_distances(tokens_of_cases(seed=3)[0])
    np.testing.assert_allclose(a_bank.relative_distances(new), np.resize(each, count), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("constant", [0.0, 7.5])
def test_a_feature_that_never_changes_makes_no_distance_infinite(constant: float) -> None:
    tokens, cases = tokens_of_cases()
    tokens[:, 2] = constant
    relative = TokenBank.fitted(tokens, cases).relative_distances(tokens[:9])
    assert np.isfinite(relative).all()
    assert relative.max() < 0.01


def test_values_beyond_half_precision_are_kept_finite() -> None:
    tokens, cases = tokens_of_cases()
    tokens[0, 0] = 1e9
    bank = TokenBank.fitted(tokens, cases)
    assert np.isfinite(bank.tokens).all()
    assert np.isfinite(bank.relative_distances(tokens)).all()


@pytest.mark.parametrize("hole", [np.nan, np.inf])
def test_tokens_that_are_no_numbers_are_refused(hole: float) -> None:
    tokens, cases = tokens_of_cases()
    tokens[3, 3] = hole
    with pytest.raises(ValueError, match="finite"):
        TokenBank.fitted(tokens, cases)


def test_one_case_alone_has_no_others_to_be_measured_against() -> None:
    tokens, cases = tokens_of_cases()
    with pytest.raises(ValueError, match="two cases"):
        TokenBank.fitted(tokens, np.zeros_like(cases))


def test_another_number_of_features_is_refused(a_bank: TokenBank) -> None:
    with pytest.raises(ValueError, match="6 features"):
        a_bank.relative_distances(np.zeros((3, FEATURES + 1), np.float32))


def test_air_is_not_judged_and_the_rest_stays_in_its_place(a_bank: TokenBank) -> None:
    tokens = tokens_of_cases(seed=4)[0][:54].reshape(2, 3, 3, 3, FEATURES)
    shares = np.random.default_rng(0).random((2, 3, 3, 3)).astype(np.float32)
    judged = a_bank.relative_map(np.moveaxis(tokens, -1, 1), shares)
    expected = a_bank.relative_distances(tokens.reshape(-1, FEATURES)).reshape(shares.shape)
    np.testing.assert_allclose(judged, np.where(shares >= LEAST_SHARE, expected, 0), rtol=1e-4)
    assert (a_bank.relative_map(np.moveaxis(tokens, -1, 1), shares * 0) == 0).all()


def test_a_sampler_takes_at_most_so_many_of_each_window_and_never_air() -> None:
    tokens = np.arange(3 * 2 * 64, dtype=np.float32).reshape(3, 2, 4, 4, 4)
    shares = np.zeros((3, 4, 4, 4), np.float32)
    shares[0], shares[1, 0] = 1, 1
    taken = TokenSampler(20, seed=1).sample(tokens, shares)
    assert taken.shape == (20 + 16, 2)
    inside = np.moveaxis(tokens, 1, -1)[shares > 0]
    assert {tuple(row) for row in taken} <= {tuple(row) for row in inside}
    assert len({tuple(row) for row in taken}) == len(taken)
    np.testing.assert_array_equal(taken, TokenSampler(20, seed=1).sample(tokens, shares))
    assert (taken != TokenSampler(20, seed=2).sample(tokens, shares)).any()


def test_a_case_without_a_body_gives_no_tokens() -> None:
    tokens = np.zeros((2, 5, 2, 2, 2), np.float32)
    assert TokenSampler(20, seed=1).sample(tokens, np.zeros((2, 2, 2, 2), np.float32)).shape == (0, 5)


def test_at_most_keeps_rows_whole_and_in_order() -> None:
    rows = np.arange(50, dtype=np.float32)[:, None].repeat(2, axis=1)
    kept = at_most(rows, 10, seed=0)
    assert kept.shape == (10, 2)
    assert (np.diff(kept[:, 0]) > 0).all()
    np.testing.assert_array_equal(at_most(rows, 50, seed=0), rows)
