"""How unsure a network's outputs are: softmax, energy and ensembles, over all voxels, the organ, and its boundary.

Arrays in, numbers out; higher is more unusual everywhere. A mean over *all* voxels is what is published, but most
voxels lie far from the organ, so it tells mostly how much background the image has; organ and boundary do not.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import scipy

from BottleneckOODLib.ood.metrics import dice

FloatArray = npt.NDArray[np.float64]
AnyFloats = npt.NDArray[np.floating]
BoolArray = npt.NDArray[np.bool_]
Regions = Mapping[str, BoolArray | None]

# Between the eroded and the dilated organ: two voxels on either side of its surface.
BOUNDARY_VOXELS = 2
# What the published code tries when no temperature is given.
PAPER_TEMPERATURES = (1.0, 2.0, 3.0, 4.0, 5.0, 10.0, 100.0, 1000.0)
TEMPERATURE_BOUNDS = (0.05, 100.0)
OUTPUT_CONFIDENCE = "output_confidence"
"""Name of the feature space of ``output_confidence``."""
OUTPUT_CONFIDENCE_NAMES = ("unsure_log_odds",)
_LEAST_UNSURE = 1e-6
_VOXELS_AT_ONCE = 1 << 20


def output_scores(logits: AnyFloats, organ: BoolArray | None = None, *, temperature: float = 1.0) -> dict[str, float]:
    """Uncertainty and free energy of one case's logits.

    Softmax: 1 - mean of max softmax(logits / T). Energy: mean of -T log sum exp(logits / T). Slices are taken a few
    at a time, so that memory is bounded by the case.

    Args:
        logits: Shape (n_classes, Z, Y, X), class 0 the background; with one class, what a sigmoid takes, which is the
            pair [-x/2, x/2] of a softmax. Not modified.
        organ: Shape (Z, Y, X); None takes what is predicted, which is every voxel whose largest class is not 0.
        temperature: T, above 0.

    Returns:
        ``msp_all, msp_organ, msp_boundary, energy_all, energy_organ, energy_boundary``; all finite for finite logits.
        Where the organ is empty, ``_organ`` and ``_boundary`` are those of the case's most unusual voxel, so that no
        empty mask looks sure; an organ without a boundary, which fills the image, takes its own value.

    Source:
        Hendrycks and Gimpel, ICLR 2017 (softmax); Guo et al., ICML 2017 (temperature); Liu et al., NeurIPS 2020
        (energy). Aggregation over parts: Zenk et al., Medical Image Analysis 2025.
    """
    regions = regions_of(predicted_organ(logits) if organ is None else organ)

    def measured(slices: slice) -> dict[str, FloatArray]:
        return _softmax_and_energy(_pair(logits[:, slices], scale=0.5), temperature)

    return _aggregated(measured, regions, logits.shape[1:])


def paper_output_scores(logits: AnyFloats, *, temperature: float = 1.0) -> dict[str, float]:
    """The same as published: means over all voxels, with one class taken as the pair [x, -x] of a softmax.

    So the softmax is that of a sigmoid of 2x, and the energy -T log(2 cosh(x / T)). The published search takes each of
    ``PAPER_TEMPERATURES`` and reports what is best on the test cases.

    Args:
        logits: Shape (n_classes, Z, Y, X); several classes are taken as they are, which the published code cannot.
        temperature: T, above 0.

    Returns:
        ``msp_all`` and ``energy_all``.

    Source:
        Woodland et al., MELBA 2024:020, published code.
    """

    def measured(slices: slice) -> dict[str, FloatArray]:
        return _softmax_and_energy(_pair(logits[:, slices], scale=1.0), temperature)

    return _aggregated(measured, {"all": None}, logits.shape[1:])


def output_confidence(logits: AnyFloats, organ: BoolArray, classes: Sequence[int] = (1,)) -> FloatArray | None:
    """How unsure the network is of the organ that it marked, as features of a case.

    One number: the log odds of the mean of 1 - the organ's softmax over what was marked. With one class for the organ
    that mean is ``msp_organ`` of ``output_scores``. It is a few percent and varies by factors, so that its log odds are
    nearly normal. Only the organ's own voxels are looked at, a few slices at a time.

    Args:
        logits: Shape (n_classes, Z, Y, X), two classes or more, class 0 the background. Not modified.
        organ: Shape (Z, Y, X), what the network marked: voxels whose largest class is one of ``classes``.
        classes: The organ's. Where it is made of several, hesitating between those is no doubt about the mask.

    Returns:
        Shape (1,), see ``OUTPUT_CONFIDENCE_NAMES``; higher is less sure. None where the organ is empty.
    """
    box = next(iter(scipy.ndimage.find_objects(organ.astype(np.uint8))), None)
    if box is None:
        return None
    where = (slice(None), *box)
    part, inside = logits[where], organ[box]
    total, seen = 0.0, 0
    for slices in _slabs(inside.shape):
        found = np.asarray(part[:, slices][:, inside[slices]], dtype=np.float64)
        own = scipy.special.logsumexp(found[list(classes)], axis=0)
        unsure = _unsure(own, scipy.special.logsumexp(found, axis=0))
        total, seen = total + float(unsure.sum()), seen + unsure.size
    # A network without any doubt would have infinite odds.
    share = np.clip(total / seen, _LEAST_UNSURE, 1 - _LEAST_UNSURE)
    return np.array([scipy.special.logit(share)])


def ensemble_scores(probabilities: AnyFloats, organ: BoolArray | None = None) -> dict[str, float]:
    """Uncertainty of several outputs of one case: members of an ensemble, passes with dropout, or flips.

    Args:
        probabilities: Shape (n_members, n_classes, Z, Y, X), from 0 to 1; with one class, the foreground's.
        organ: Shape (Z, Y, X); None takes what the mean predicts.

    Returns:
        ``entropy_*`` in nats and ``msp_*`` of the members' mean, ``variance_*`` over members (mean over classes), each
        over ``all``, ``organ`` and ``boundary`` as in ``output_scores``; ``disagreement`` of the members' organs;
        ``std_all``, the published score: mean over voxels of the members' standard deviation.

    Source:
        Lakshminarayanan et al., NeurIPS 2017; Gal and Ghahramani, ICML 2016; Woodland et al., MELBA 2024:020 (``std``).
    """
    members = np.asarray(probabilities)
    masks = [_organ_of(member, half=0.5) for member in members]
    if organ is None:
        organ = _organ_of(members.mean(axis=0, dtype=np.float64), half=0.5)

    def measured(slices: slice) -> dict[str, FloatArray]:
        classes = np.asarray(members[:, :, slices], dtype=np.float64)
        if classes.shape[1] == 1:
            classes = np.concatenate([1 - classes, classes], axis=1)
        mean = classes.mean(axis=0)
        return {
            "entropy": np.asarray(scipy.special.entr(mean).sum(axis=0)),
            "msp": 1 - mean.max(axis=0),
            "variance": classes.var(axis=0).mean(axis=0),
            "std": classes.std(axis=0).mean(axis=0),
        }

    found = _aggregated(measured, regions_of(organ), members.shape[2:])
    kept = {name: value for name, value in found.items() if not name.startswith("std") or name == "std_all"}
    return {**kept, "disagreement": disagreement(masks)}


def disagreement(masks: Sequence[BoolArray]) -> float:
    """1 - mean Dice over all pairs of masks of one shape, 0 to 1; two empty masks agree, and so does one mask alone.

    Source:
        Roy et al., NeuroImage 2019; the strongest baseline of Zenk et al., Medical Image Analysis 2025.

    >>> disagreement([np.array([True, True, False]), np.array([True, False, False])])
    0.33333333333333337
    """
    pairs = [dice(a, b) for a, b in itertools.combinations(masks, 2)]
    return 1 - float(np.mean(pairs)) if pairs else 0.0


def fit_temperature(logits: AnyFloats, labels: npt.NDArray[np.integer]) -> float:
    """The temperature at which the labels are likeliest; for calibration, so never from the cases that are tested.

    Args:
        logits: Shape (n_classes, ...), as in ``output_scores``.
        labels: True class of each voxel, the shape without the classes.

    Returns:
        T within ``TEMPERATURE_BOUNDS``; so low that nothing is unsure when no voxel is wrong.

    Source:
        Guo et al., On calibration of modern neural networks, ICML 2017: negative log-likelihood, one parameter.
    """
    classes = _pair(logits, scale=0.5)
    flat, true = classes.reshape(len(classes), -1), np.asarray(labels).reshape(1, -1)
    own = np.take_along_axis(flat, true, axis=0)[0]

    def negative_log_likelihood(log_temperature: float) -> float:
        t = math.exp(log_temperature)
        return float(np.mean(scipy.special.logsumexp(flat / t, axis=0) - own / t))

    low, high = (math.log(bound) for bound in TEMPERATURE_BOUNDS)
    found = scipy.optimize.minimize_scalar(negative_log_likelihood, bounds=(low, high), method="bounded")
    return float(np.exp(found.x))


def predicted_organ(logits: AnyFloats) -> BoolArray:
    """Where the largest class is not the background: logits (n_classes, Z, Y, X) to a mask (Z, Y, X)."""
    return _organ_of(np.asarray(logits), half=0.0)


def regions_of(organ: BoolArray) -> dict[str, BoolArray | None]:
    """All voxels (None), the organ, and a shell about its surface; the image's edge is no surface.

    Args:
        organ: Shape (Z, Y, X).
    """
    cross = scipy.ndimage.generate_binary_structure(organ.ndim, 1)
    wide = scipy.ndimage.binary_dilation(organ, cross, iterations=BOUNDARY_VOXELS)
    core = scipy.ndimage.binary_erosion(organ, cross, iterations=BOUNDARY_VOXELS, border_value=1)
    return {"all": None, "organ": np.asarray(organ, dtype=bool), "boundary": np.asarray(wide & ~core)}


def _organ_of(classes: AnyFloats, half: float) -> BoolArray:
    if len(classes) == 1:
        return np.asarray(classes[0] > half)
    return np.asarray(classes[1:].max(axis=0) > classes[0])


def _pair(logits: AnyFloats, scale: float) -> FloatArray:
    """Logits of every class in double precision; one class becomes a pair of opposite sign."""
    classes = np.asarray(logits, dtype=np.float64)
    return np.concatenate([-scale * classes, scale * classes]) if len(classes) == 1 else classes


def _softmax_and_energy(classes: FloatArray, temperature: float) -> dict[str, FloatArray]:
    scaled = classes / temperature
    total = scipy.special.logsumexp(scaled, axis=0)
    return {"msp": _unsure(scaled.max(axis=0), total), "energy": -temperature * total}


def _unsure(own: FloatArray, total: FloatArray) -> FloatArray:
    """1 - softmax without a softmax: 1 - exp(own - logsumexp); expm1 keeps the digits of what is nearly sure."""
    return -np.expm1(own - total)


def _slabs(shape: tuple[int, ...]) -> Iterator[slice]:
    """Slices a few at a time, so that what is computed of a case is never held at once."""
    step = max(1, _VOXELS_AT_ONCE // max(1, int(np.prod(shape[1:]))))
    return (slice(first, first + step) for first in range(0, shape[0], step))


def _aggregated(
    measured: Callable[[slice], Mapping[str, FloatArray]], regions: Regions, shape: tuple[int, ...]
) -> dict[str, float]:
    """Mean of each voxel-wise measure over each region, slices by slices."""
    sums: dict[tuple[str, str], float] = {}
    largest: dict[str, float] = {}
    counts = {name: int(np.prod(shape) if mask is None else np.count_nonzero(mask)) for name, mask in regions.items()}
    for slices in _slabs(shape):
        for measure, values in measured(slices).items():
            largest[measure] = max(largest.get(measure, -math.inf), float(values.max()))
            for name, mask in regions.items():
                part = values if mask is None else values[mask[slices]]
                sums[measure, name] = sums.get((measure, name), 0.0) + float(part.sum())
    means: dict[str, float] = {}
    for measure, most in largest.items():
        for name in regions:
            key = f"{measure}_{name}"
            if counts[name]:
                means[key] = sums[measure, name] / counts[name]
            else:
                means[key] = means[f"{measure}_organ"] if name == "boundary" else most
    return means
