"""From the tokens of all windows to one vector a case."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from BottleneckOODLib.ood.calibration import NotFiniteError

FloatArray = npt.NDArray[np.float64]
FloatLike = npt.NDArray[np.floating]

POOLINGS = ("mean", "mean_std", "max")
LEAST_WEIGHT = 0.05
"""A token that sees less than this share of body is left out."""


def pool_tokens(
    tokens: npt.NDArray[np.float32],
    occupied: npt.NDArray[np.float32] | None = None,
    method: str = "mean",
    *,
    least: float = LEAST_WEIGHT,
) -> FloatArray:
    """Pool the bottleneck over windows and space.

    Args:
        tokens: Shape (n_windows, C, z, y, x). Not modified.
        occupied: Weight of each token, shape (n_windows, z, y, x); None weighs all alike. Tokens that see almost
            nothing but air are left out, unless all do.
        method: ``"mean"`` or ``"max"``, shape (C,), or ``"mean_std"``: mean and standard deviation, shape (2 C,).
        least: A token of no more than this weight is left out.

    Returns:
        The pooled vector, float64.

    Raises:
        ValueError: The method is unknown, or not every token has one weight.
        NotFiniteError: A weight is not finite.

    Source:
        Mean pooling: Woodland et al., MELBA 2024:020.
    """
    flat = np.moveaxis(tokens, 1, -1).reshape(-1, tokens.shape[1]).astype(np.float64)
    weights = np.ones(len(flat)) if occupied is None else occupied.reshape(-1).astype(np.float64)
    if weights.shape != flat.shape[:1]:
        message = f"{len(weights)} weights for {len(flat)} tokens"
        raise ValueError(message)
    if not np.isfinite(weights).all():
        message = "the weight of a token is not a finite number"
        raise NotFiniteError(message)
    seen = weights > least
    if seen.any():
        flat, weights = flat[seen], weights[seen]
    else:
        weights = np.ones(len(flat))
    weights = weights / weights.sum()
    if method == "max":
        return np.asarray(flat.max(axis=0))
    mean = weights @ flat
    if method == "mean":
        return np.asarray(mean)
    if method == "mean_std":
        return np.concatenate([mean, np.sqrt(weights @ (flat - mean) ** 2)])
    message = f"unknown pooling {method!r}; use one of {POOLINGS}"
    raise ValueError(message)


def pool_in_mask(
    tokens: npt.NDArray[np.float32],
    organ: npt.NDArray[np.float32],
    occupied: npt.NDArray[np.float32] | None = None,
    method: str = "mean",
) -> FloatArray:
    """Pool the bottleneck over what was predicted to be the organ.

    Args:
        tokens: Shape (n_windows, C, z, y, x). Not modified.
        organ: Share of each token's region that is predicted organ, shape (n_windows, z, y, x). A token of any share
            has a say: a small mask fills no token.
        occupied: As in ``pool_tokens``; what an empty mask, which has no inside, is pooled by instead.
        method: As in ``pool_tokens``.

    Returns:
        The pooled vector, float64, of the shape that ``pool_tokens`` gives.

    Raises:
        ValueError: The method is unknown.
    """
    if not organ.any():
        return pool_tokens(tokens, occupied, method)
    return pool_tokens(tokens, organ, method, least=0.0)


def pool_moments(mean: FloatLike, deviation: FloatLike, weight: FloatLike, method: str = "mean_std") -> FloatArray:
    """Pool windows of which mean and deviation are known, as if all their tokens stood in one row.

    Args:
        mean: Weighted mean of each window's tokens, shape (n_windows, C). Not modified.
        deviation: Their weighted population standard deviation, shape (n_windows, C). Not modified.
        weight: Sum of the weights in each window, shape (n_windows,); where all are 0 the windows count alike.
        method: ``"mean"``, shape (C,), or ``"mean_std"``, shape (2 C,).

    Returns:
        The pooled vector, float64; what ``pool_tokens`` gives for the same tokens and weights.

    Raises:
        ValueError: The method is neither of the two.
    """
    if method not in ("mean", "mean_std"):
        message = f"unknown pooling {method!r} of moments; use mean or mean_std"
        raise ValueError(message)
    shares = np.asarray(weight, dtype=np.float64)
    shares = shares / shares.sum() if shares.any() else np.full(len(shares), 1 / len(shares))
    means, deviations = np.asarray(mean, dtype=np.float64), np.asarray(deviation, dtype=np.float64)
    pooled = shares @ means
    if method == "mean":
        return np.asarray(pooled)
    return np.concatenate([pooled, np.sqrt(shares @ (deviations**2 + (means - pooled) ** 2))])
