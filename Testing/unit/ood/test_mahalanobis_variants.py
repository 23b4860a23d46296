from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from BottleneckOODLib.ood.mahalanobis import ShrunkMahalanobis, score_among
from BottleneckOODLib.ood.mahalanobis_variants import PaperMahalanobis, PseudoInverseMahalanobis, RelativeMahalanobis
from BottleneckOODLib.ood.metrics import auroc


def correlated(n: int, d: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)) @ np.random.default_rng(9).normal(size=(d, d)) + 2


@pytest.mark.parametrize("shape", [(40, 6), (20, 20), (12, 90)], ids=str)
def test_the_pseudo_inverse_is_numpy_s(shape: tuple[int, int]) -> None:
    train, new = correlated(*shape), correlated(5, shape[1], seed=1)
    inverse = np.linalg.pinv(np.cov(train.T), rcond=1e-10, hermitian=True)
    theirs = [np.sqrt((x - train.mean(axis=0)) @ inverse @ (x - train.mean(axis=0))) for x in new]
    np.testing.assert_allclose(PseudoInverseMahalanobis().fit(train).ood_score(new), theirs, rtol=1e-6)


@pytest.mark.parametrize("shape", [(40, 6), (400, 30), (40, 1)], ids=str)
def test_the_published_arithmetic_is_the_plain_distance_while_the_covariance_has_an_inverse(
    shape: tuple[int, int],
) -> None:
    train, new = correlated(*shape), correlated(5, shape[1], seed=1)
    inverse = np.linalg.inv(np.atleast_2d(np.cov(train.T)))
    theirs = [np.sqrt(abs((x - train.mean(axis=0)) @ inverse @ (x - train.mean(axis=0)))) for x in new]
    np.testing.assert_allclose(PaperMahalanobis().fit(train).ood_score(new), theirs, rtol=1e-9)


def test_a_singular_covariance_makes_the_published_distance_noise_and_the_shrunk_one_not() -> None:
    """337 cases of 768 features: squared distances come out negative, and the order of the features decides."""
    rng = np.random.default_rng(4)
    latent = rng.normal(size=(32, 768))
    train = rng.normal(size=(337, 32)) @ latent + rng.normal(size=(337, 768))
    failed = np.arange(120) >= 60
    new = (rng.normal(size=(120, 32)) + 0.6 * failed[:, None]) @ latent + rng.normal(size=(120, 768))
    new[failed] += 0.5 * rng.normal(size=768)
    order = rng.permutation(768)
    separated, agreement = {}, {}
    for detector in (PaperMahalanobis, ShrunkMahalanobis):
        scores = detector().fit(train).ood_score(new)
        permuted = detector().fit(train[:, order]).ood_score(new[:, order])
        separated[detector] = auroc(scores, failed)
        agreement[detector] = scipy.stats.spearmanr(scores, permuted).statistic
    negative = []
    for _ in range(5):
        # How many are negative is noise too: of one order few may be, of five hardly.
        order = rng.permutation(768)
        paper = PaperMahalanobis().fit(train[:, order])
        offsets = new[:, order] - paper.mean_
        negative.append(np.mean(np.einsum("ij,ij->i", offsets @ paper.inverse_, offsets) < 0))
    assert max(negative) > 0.02
    assert agreement[PaperMahalanobis] < 0.5
    assert agreement[ShrunkMahalanobis] > 0.9999
    assert separated[ShrunkMahalanobis] > separated[PaperMahalanobis] + 0.2


def test_the_nearest_class_counts_relative_to_all_cases() -> None:
    rng = np.random.default_rng(0)
    classes = ("a",) * 40 + ("b",) * 40
    train = rng.normal(size=(80, 3)) + np.where(np.array(classes) == "a", -6, 6)[:, None]
    fit = RelativeMahalanobis(classes).fit(train)
    inside_a, inside_b, between = fit.ood_score(np.array([[-6.0] * 3, [6.0] * 3, [0.0] * 3]))
    # Between the classes lies the mean of all, which a single distance would call the most usual place.
    assert max(inside_a, inside_b) < fit.leave_one_out_scores().max() < between
    assert ShrunkMahalanobis().fit(train).ood_score(np.zeros(3)) < 0.2
    with pytest.raises(ValueError, match="two classes"):
        RelativeMahalanobis(("a", "a"))
    with pytest.raises(ValueError, match="79 cases"):
        RelativeMahalanobis(classes).fit(train[1:])


@pytest.mark.parametrize("shape", [(60, 5), (20, 19), (20, 21), (15, 80), (25, 300)], ids=str)
def test_shrunk_leave_one_out_from_one_decomposition_equals_each_refit(shape: tuple[int, int]) -> None:
    train = correlated(*shape)
    refitted = [score_among(np.delete(train, row, axis=0), train[row]) for row in range(len(train))]
    np.testing.assert_allclose(ShrunkMahalanobis().fit(train).leave_one_out_scores(), refitted, rtol=1e-7)


def test_leaving_out_a_case_far_from_all_others_keeps_its_digits() -> None:
    train = np.vstack([np.random.default_rng(0).normal(size=(20, 6)) * 1e-4, np.full((1, 6), 1e4)])
    refitted = score_among(train[:-1], train[-1])
    assert ShrunkMahalanobis().fit(train).leave_one_out_scores()[-1] == pytest.approx(refitted, rel=1e-6)
