"""Scores from a network's outputs, held against plain re-statements of their formulas."""

from __future__ import annotations

import itertools
import math

import numpy as np
import numpy.typing as npt
import pytest
import scipy.ndimage
import scipy.special
from hypothesis import given, settings
from hypothesis import strategies as st

from BottleneckOODLib.ood import output_scores as module
from BottleneckOODLib.ood.output_scores import (
    BOUNDARY_VOXELS,
    PAPER_TEMPERATURES,
    TEMPERATURE_BOUNDS,
    disagreement,
    ensemble_scores,
    fit_temperature,
    output_scores,
    paper_output_scores,
    predicted_organ,
    regions_of,
)

FloatArray = npt.NDArray[np.float64]
SHAPE = (9, 12, 11)
KEYS = {f"{measure}_{region}" for measure in ("msp", "energy") for region in ("all", "organ", "boundary")}


def a_ball(radius: float = 3.5) -> npt.NDArray[np.bool_]:
    grid = np.stack(np.meshgrid(*(np.arange(n) - n / 2 for n in SHAPE), indexing="ij"))
    return np.asarray((grid**2).sum(axis=0) < radius**2)


def logits_of(n_classes: int, seed: int = 0, sureness: float = 3.0) -> FloatArray:
    """Logits of a ball (its class is the last one) with noise."""
    rng = np.random.default_rng(seed)
    sign = np.where(a_ball(), 1.0, -1.0)
    if n_classes == 1:
        return np.asarray((sureness * sign + rng.normal(size=SHAPE))[None])
    logits = rng.normal(size=(n_classes, *SHAPE))
    logits[0] -= sureness * sign
    logits[-1] += sureness * sign
    return logits


def members_of(n_members: int, n_classes: int, seed: int = 0) -> FloatArray:
    members = [logits_of(n_classes, seed + number, sureness=1.0) for number in range(n_members)]
    stacked = np.stack(members)
    if n_classes == 1:
        return np.asarray(scipy.special.expit(stacked))
    return np.asarray(scipy.special.softmax(stacked, axis=1))


@pytest.fixture(params=[1 << 20, 1], ids=["at once", "slice by slice"])
def voxels_at_once(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_VOXELS_AT_ONCE", request.param)


@pytest.mark.usefixtures("voxels_at_once")
@pytest.mark.parametrize("temperature", [0.5, 1.0, 7.0])
@pytest.mark.parametrize("n_classes", [2, 4])
def test_softmax_and_energy_are_those_of_the_formulas(n_classes: int, temperature: float) -> None:
    logits = logits_of(n_classes)
    found = output_scores(logits, temperature=temperature)
    uncertain = 1 - scipy.special.softmax(logits / temperature, axis=0).max(axis=0)
    energy = -temperature * np.log(np.exp(logits / temperature).sum(axis=0))
    organ = logits.argmax(axis=0) > 0
    shell = scipy.ndimage.distance_transform_cdt(organ, "taxicab") + scipy.ndimage.distance_transform_cdt(
        ~organ, "taxicab"
    ) <= BOUNDARY_VOXELS
    assert set(found) == KEYS
    for name, region in {"all": np.ones(SHAPE, bool), "organ": organ, "boundary": shell}.items():
        assert found[f"msp_{name}"] == pytest.approx(uncertain[region].mean(), rel=1e-12)
        assert found[f"energy_{name}"] == pytest.approx(energy[region].mean(), rel=1e-12)


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_one_channel_is_a_sigmoid(temperature: float) -> None:
    x = logits_of(1)
    found = output_scores(x, temperature=temperature)
    p = scipy.special.expit(x[0] / temperature)
    assert found["msp_all"] == pytest.approx((1 - np.maximum(p, 1 - p)).mean(), rel=1e-12)
    assert found == pytest.approx(output_scores(np.concatenate([-x / 2, x / 2]), temperature=temperature))


@pytest.mark.usefixtures("voxels_at_once")
@pytest.mark.parametrize("temperature", PAPER_TEMPERATURES)
def test_the_published_form_takes_x_and_minus_x(temperature: float) -> None:
    """As the published script does it, with SciPy's softmax and the hyperbolic cosine instead of its code."""
    x = logits_of(1, seed=4)[0]
    found = paper_output_scores(x[None], temperature=temperature)
    largest = scipy.special.softmax(np.stack([x, -x]) / temperature, axis=0).max(axis=0)
    assert found["msp_all"] == pytest.approx(1 - largest.mean(), rel=1e-9)
    energy = -temperature * np.log(2 * np.cosh(x / temperature))
    assert found["energy_all"] == pytest.approx(energy.mean(), rel=1e-12)
    assert set(found) == {"msp_all", "energy_all"}


def test_the_published_softmax_at_twice_the_temperature_is_ours() -> None:
    x = logits_of(1)
    assert paper_output_scores(x, temperature=2.0)["msp_all"] == pytest.approx(output_scores(x)["msp_all"])


def test_several_classes_are_the_same_in_both_forms() -> None:
    logits = logits_of(3)
    ours, published = output_scores(logits, temperature=2.0), paper_output_scores(logits, temperature=2.0)
    assert published == {name: ours[name] for name in ("msp_all", "energy_all")}


@pytest.mark.parametrize("n_classes", [1, 2, 3])
def test_a_network_that_is_less_sure_scores_higher_everywhere(n_classes: int) -> None:
    sure, unsure = (output_scores(logits_of(n_classes, sureness=s), a_ball()) for s in (6.0, 1.0))
    assert all(unsure[name] > sure[name] for name in KEYS)


def test_the_boundary_is_less_sure_than_the_organ_when_the_logits_are_smooth() -> None:
    block = np.pad(np.full((14, 14, 14), 9.0), 6, constant_values=-9.0)
    smooth = scipy.ndimage.gaussian_filter(block, 2.0)[None]
    found = output_scores(smooth)
    assert found["msp_boundary"] > found["msp_organ"]
    assert found["energy_boundary"] > found["energy_organ"]


def test_more_background_changes_the_mean_over_all_and_not_that_over_the_organ() -> None:
    """Why the published mean over all voxels tells mostly how much background there is."""
    x = logits_of(1)
    wide = np.pad(x, ((0, 0), (9, 9), (9, 9), (9, 9)), constant_values=-20.0)
    found, wider = output_scores(x, a_ball()), output_scores(wide, np.pad(a_ball(), 9))
    assert wider["msp_all"] < found["msp_all"] / 4
    assert wider["msp_organ"] == pytest.approx(found["msp_organ"], rel=1e-12)


@pytest.mark.parametrize("n_classes", [1, 3])
def test_an_empty_organ_is_as_unusual_as_the_most_unusual_voxel(n_classes: int) -> None:
    logits = logits_of(n_classes)
    logits[0] = -5.0 - np.abs(logits[0]) if n_classes == 1 else 20.0 + logits[0]
    assert not predicted_organ(logits).any()
    found = output_scores(logits)
    for measure in ("msp", "energy"):
        assert found[f"{measure}_organ"] == found[f"{measure}_boundary"]
        assert found[f"{measure}_organ"] > found[f"{measure}_all"]
        each = [output_scores(logits[:, z : z + 1, y : y + 1, x : x + 1]) for z, y, x in np.ndindex(SHAPE)]
        assert found[f"{measure}_organ"] == pytest.approx(max(one[f"{measure}_all"] for one in each), rel=1e-9)


def test_an_organ_that_fills_the_image_has_no_boundary_and_takes_its_own_value() -> None:
    found = output_scores(np.full((1, *SHAPE), 3.0))
    assert found["msp_boundary"] == found["msp_organ"] == pytest.approx(1 - scipy.special.expit(3.0))


def test_the_edge_of_the_image_is_no_surface() -> None:
    organ = np.zeros(SHAPE, bool)
    organ[:, :, :6] = True
    shell = regions_of(organ)["boundary"]
    assert shell is not None
    assert shell[:, :, 4:8].all()
    assert not shell[:, :, :4].any()
    assert not shell[:, :, 8:].any()


def test_logits_beyond_what_an_exponential_can_hold_stay_finite() -> None:
    logits = np.concatenate([logits_of(1) * 1e4, -logits_of(1) * 1e4])
    found = output_scores(logits, temperature=0.5)
    assert all(math.isfinite(value) for value in found.values())
    assert 0 <= found["msp_all"] < 1e-3


def test_single_precision_is_summed_in_double() -> None:
    logits = logits_of(2).astype(np.float32)
    kept = logits.copy()
    assert output_scores(logits) == output_scores(logits.astype(np.float64))
    np.testing.assert_array_equal(logits, kept)


def test_a_voxel_that_is_undecided_is_no_organ() -> None:
    for n_classes in (1, 2, 4):
        assert not predicted_organ(np.zeros((n_classes, *SHAPE))).any()
    # Of probabilities it is a half: such members mark nothing and agree, and one that is surer marks what they do not.
    undecided = np.full((2, 1, *SHAPE), 0.5)
    surer = np.stack([undecided[0], undecided[1] + 0.1])
    assert ensemble_scores(undecided)["disagreement"] == 0
    assert ensemble_scores(surer)["disagreement"] == 1


def test_an_organ_of_zeros_and_ones_is_a_mask() -> None:
    logits = logits_of(2)
    assert output_scores(logits, a_ball().astype(np.uint8)) == output_scores(logits, a_ball())


@pytest.mark.parametrize("at_once", [1, 264, 300, 1 << 20])
def test_as_many_slices_are_computed_at_once_as_the_limit_holds(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    thick: list[int] = []
    one_slice = SHAPE[1] * SHAPE[2]

    def watched(classes: FloatArray, temperature: float) -> dict[str, FloatArray]:
        thick.append(classes.shape[1])
        return computed(classes, temperature)

    computed = module._softmax_and_energy
    monkeypatch.setattr(module, "_VOXELS_AT_ONCE", at_once)
    monkeypatch.setattr(module, "_softmax_and_energy", watched)
    output_scores(logits_of(2), a_ball())
    fit = min(SHAPE[0], max(1, at_once // one_slice))
    assert thick == [min(fit, SHAPE[0] - first) for first in range(0, SHAPE[0], fit)]


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), n_classes=st.integers(1, 4), log_t=st.floats(-1, 3))
def test_uncertainty_has_bounds_and_temperature_raises_it(seed: int, n_classes: int, log_t: float) -> None:
    logits, temperature = logits_of(n_classes, seed, sureness=1.0), math.exp(log_t)
    found, hotter = (output_scores(logits, temperature=t) for t in (temperature, 1.5 * temperature))
    for region in ("all", "organ", "boundary"):
        assert 0 <= found[f"msp_{region}"] <= 1 - 1 / max(2, n_classes)
        assert hotter[f"msp_{region}"] >= found[f"msp_{region}"]
        assert hotter[f"energy_{region}"] <= found[f"energy_{region}"]


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), axis=st.integers(0, 2))
def test_turning_the_image_round_changes_no_score(seed: int, axis: int) -> None:
    logits = logits_of(2, seed)
    assert output_scores(np.flip(logits, axis + 1)) == pytest.approx(output_scores(logits), rel=1e-12)


@pytest.mark.usefixtures("voxels_at_once")
@pytest.mark.parametrize("n_classes", [1, 3])
def test_an_ensemble_is_scored_by_its_mean_and_by_its_spread(n_classes: int) -> None:
    members = members_of(5, n_classes)
    found = ensemble_scores(members)
    classes = np.concatenate([1 - members, members], axis=1) if n_classes == 1 else members
    mean = classes.mean(axis=0)
    organ = mean.argmax(axis=0) > 0
    assert found["entropy_all"] == pytest.approx(-(mean * np.log(mean)).sum(axis=0).mean(), rel=1e-12)
    assert found["msp_organ"] == pytest.approx(1 - mean.max(axis=0)[organ].mean(), rel=1e-12)
    assert found["variance_organ"] == pytest.approx(classes.var(axis=0).mean(axis=0)[organ].mean(), rel=1e-12)
    assert found["std_all"] == pytest.approx(np.mean(np.std(members, axis=0)), rel=1e-12)
    masks = [member.argmax(axis=0) > 0 for member in classes]
    assert found["disagreement"] == pytest.approx(disagreement(masks))
    measures, regions = ("entropy", "msp", "variance"), ("all", "organ", "boundary")
    assert set(found) == {"std_all", "disagreement", *(f"{a}_{b}" for a, b in itertools.product(measures, regions))}


def test_equal_members_do_not_disagree_and_their_softmax_is_that_of_one() -> None:
    logits = logits_of(3)
    one = scipy.special.softmax(logits, axis=0)
    found = ensemble_scores(np.stack([one] * 4))
    assert found["disagreement"] == 0
    assert found["variance_all"] == pytest.approx(0, abs=1e-20)
    assert found["msp_boundary"] == pytest.approx(output_scores(logits)["msp_boundary"], rel=1e-9)


def test_the_order_of_members_does_not_matter() -> None:
    members = members_of(4, 2)
    assert ensemble_scores(members[::-1]) == pytest.approx(ensemble_scores(members), rel=1e-12)


def test_members_in_half_precision_are_averaged_in_double() -> None:
    members = members_of(3, 1).astype(np.float16)
    # Two say a half and one hardly more: the mean is more than a half, by less than half precision can hold.
    members[:, 0, :4] = np.float16(0.5)
    members[0, 0, :4] = np.nextafter(np.float16(0.5), np.float16(1))
    assert members.mean(axis=0)[0, 0, 0, 0] == 0.5
    assert ensemble_scores(members) == ensemble_scores(members.astype(np.float64))


def test_members_that_see_nothing_are_as_unusual_as_their_worst_voxel() -> None:
    members = members_of(3, 1) * 0.3
    found = ensemble_scores(members)
    assert found["disagreement"] == 0
    assert found["entropy_organ"] == found["entropy_boundary"] > found["entropy_all"]


def test_certain_members_have_no_entropy_and_no_nan() -> None:
    found = ensemble_scores(np.stack([a_ball()[None].astype(float)] * 2))
    assert found["entropy_all"] == found["variance_all"] == found["disagreement"] == 0


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(2, 5))
def test_disagreement_is_one_less_the_mean_dice_of_pairs(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    masks = [rng.random((3, 4, 5)) < rng.random() for _ in range(n)]
    sets = [{tuple(place) for place in np.argwhere(mask)} for mask in masks]
    each = [2 * len(a & b) / (len(a) + len(b)) if a or b else 1.0 for a, b in itertools.combinations(sets, 2)]
    assert disagreement(masks) == pytest.approx(1 - sum(each) / len(each))
    assert 0 <= disagreement(masks) <= 1


def test_masks_that_share_nothing_disagree_wholly_and_empty_ones_not_at_all() -> None:
    organ = a_ball()
    empty = np.zeros(SHAPE, bool)
    assert disagreement([organ, ~organ]) == 1
    assert disagreement([empty, empty]) == 0
    assert disagreement([organ, empty]) == 1
    assert disagreement([organ]) == 0


@pytest.mark.parametrize("true_temperature", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("n_classes", [1, 3])
def test_the_temperature_that_made_the_labels_is_found(n_classes: int, true_temperature: float) -> None:
    rng = np.random.default_rng(1)
    logits = rng.normal(scale=2.0, size=(n_classes, 40_000))
    classes = np.concatenate([-logits / 2, logits / 2]) if n_classes == 1 else logits
    chances = scipy.special.softmax(classes / true_temperature, axis=0)
    labels = (rng.random(40_000)[None] > chances.cumsum(axis=0)[:-1]).sum(axis=0)
    assert fit_temperature(logits, labels) == pytest.approx(true_temperature, rel=0.1)


def test_the_fitted_temperature_is_no_worse_than_any_other() -> None:
    rng = np.random.default_rng(2)
    logits = rng.normal(scale=4.0, size=(2, 30, 20, 10))
    labels = rng.integers(0, 2, (30, 20, 10))
    labels[logits[1] > logits[0] + 1] = 1

    def loss(t: float) -> float:
        chances = scipy.special.softmax(logits / t, axis=0)
        return float(-np.log(np.take_along_axis(chances, labels[None], axis=0)).mean())

    best = loss(fit_temperature(logits, labels))
    assert all(best <= loss(t) + 1e-9 for t in np.geomspace(*TEMPERATURE_BOUNDS, 50))


def test_where_no_voxel_is_wrong_the_temperature_leaves_nothing_unsure() -> None:
    logits = logits_of(2, sureness=8.0)
    fitted = fit_temperature(logits, logits.argmax(axis=0))
    assert TEMPERATURE_BOUNDS[0] <= fitted < 1
    assert output_scores(logits, temperature=fitted)["msp_all"] < 1e-6
