"""The local tokens of a pass: gathered when a reference is built, judged when a case is assessed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from BottleneckOODLib.assessment.regions import RegionMap
from BottleneckOODLib.ood.token_bank import MAX_TOKENS, TokenBank, TokenSampler, at_most
from BottleneckOODLib.ood.token_map import stitched

if TYPE_CHECKING:
    from BottleneckOODLib.model.adapter import ModelGrid
    from BottleneckOODLib.model.segmenter import LocalView, SegmenterOutput

Float32Array = npt.NDArray[np.float32]
Patch = tuple[int, int, int]

LOCAL_TOKENS = 1
"""Goes up when local tokens are defined anew: banks that were gathered before are then not searched."""
_PER_WINDOW = 64
_PER_CASE = 250
_MOST_KEPT = 16_000_000


class RegionJudge:
    """Judges the local tokens of one case.

    They are kept and searched for all at once, which is faster; where they are too many, window by window.

    Args:
        bank: The training cases' tokens.
        tensor: The network's input, shape (Z, Y, X). Not modified.
        grid: Its grid.
        patch: Voxels of a window along z, y, x.
        n_windows: How many windows the pass takes.
    """

    def __init__(self, bank: TokenBank, tensor: Float32Array, grid: ModelGrid, patch: Patch, n_windows: int) -> None:
        from BottleneckOODLib.model.local_view import BodyShares, cells_of  # noqa: PLC0415 - no torch before its use

        self._bank, self._grid, self._patch = bank, grid, patch
        self._shares = BodyShares(tensor, patch)
        self.keeps_tokens = n_windows * math.prod(cells_of(patch)) * bank.tokens.shape[1] <= _MOST_KEPT

    def view(self, tokens: Float32Array, starts: list[list[int]]) -> Float32Array:
        """The tokens, or their relative distances, and last the body shares, shape (n_windows, C + 1, z, y, x)."""
        shares = self._shares.of(starts)
        kept = tokens if self.keeps_tokens else self._bank.relative_map(tokens, shares)[:, None]
        return np.concatenate([kept, shares[:, None]], axis=1)

    def region_map(self, output: SegmenterOutput) -> RegionMap | None:
        """What all windows of the pass say, as one map; None where the pass kept nothing or no number."""
        from BottleneckOODLib.model.local_view import CELL_VOXELS  # noqa: PLC0415 - no torch before its use

        if output.local is None or not np.isfinite(output.local).all():
            return None
        kept, shares = output.local[:, :-1], output.local[:, -1]
        values = self._bank.relative_map(kept, shares) if self.keeps_tokens else kept[:, 0]
        i, j, k = self._grid.size_ijk
        starts = output.bottleneck.window_starts - self._shares.padding
        # A token that was not judged has no say.
        weights = np.where(values > 0, shares, 0)
        cells = stitched(values, weights, starts, self._patch, (k, j, i), CELL_VOXELS)
        return RegionMap(cells, self._grid.in_cells(CELL_VOXELS))


class TokenGatherer:
    """Keeps a random share of one case's local tokens, at most so many, for a bank.

    Args:
        seed: Of the choice. One made from the case alone gives the same tokens wherever the case stands in a list.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def view_of(self, tensor: Float32Array, patch: Patch) -> LocalView:
        """The local view for the case, which keeps a random share of its tokens."""
        from BottleneckOODLib.model.local_view import BodyShares  # noqa: PLC0415 - no torch before its use

        shares, sampler = BodyShares(tensor, patch), TokenSampler(_PER_WINDOW, seed=self._seed)
        return lambda tokens, starts: sampler.sample(tokens, shares.of(starts))

    def kept(self, tokens: Float32Array | None) -> Float32Array | None:
        """Of what the view kept, what goes into the bank."""
        return None if tokens is None else at_most(tokens, _PER_CASE, seed=self._seed)


def bank_of(cases: Sequence[Float32Array | None]) -> TokenBank | None:
    """The bank of all cases' tokens; None where there are not tokens of two cases."""
    holding = [case for case in cases if case is not None and len(case)]
    if len(holding) < 2:  # noqa: PLR2004 - one and another
        return None
    most = max(1, MAX_TOKENS // len(holding))
    taken = [at_most(case, most, seed=number) for number, case in enumerate(holding)]
    index = np.repeat(np.arange(len(taken), dtype=np.int32), [len(case) for case in taken])
    tokens = np.concatenate(taken)
    return TokenBank.fitted(tokens, index) if np.isfinite(tokens).all() else None


def extended_bank(bank: TokenBank | None, cases: Sequence[Float32Array | None]) -> TokenBank | None:
    """The bank with the tokens of more cases; None where there was none."""
    if bank is None:
        return None
    own = [np.asarray(bank.tokens[bank.case_index == case], dtype=np.float32) for case in np.unique(bank.case_index)]
    return bank_of([*own, *cases])
