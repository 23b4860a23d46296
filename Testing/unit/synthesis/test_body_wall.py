from __future__ import annotations

import numpy as np

from BottleneckOODLib.synthesis.anatomy import Anatomy, draw_anatomy
from BottleneckOODLib.synthesis.body_wall import draw_wall
from BottleneckOODLib.synthesis.canvas import blank_canvas
from BottleneckOODLib.synthesis.tissues import OUTSIDE_BODY, Tissue


def test_a_wall_has_skin_fat_muscle_and_bone_from_the_outside_in() -> None:
    canvas = blank_canvas(np.random.default_rng(1), (8.0, 6.0, 6.0), (-200.0, 0.0))
    draw_wall(canvas)
    depths = [np.median(canvas.depth[canvas.labels == t]) for t in (Tissue.SKIN, Tissue.FAT, Tissue.MUSCLE)]
    assert depths == sorted(depths)
    assert (canvas.labels == Tissue.CORTICAL_BONE).any()
    assert (canvas.labels == Tissue.SPINAL_CANAL).any()


def test_the_cavity_lies_inside_the_body() -> None:
    canvas = blank_canvas(np.random.default_rng(2), (8.0, 6.0, 6.0), (-200.0, 0.0))
    draw_wall(canvas)
    assert canvas.depth[canvas.inner > 0].min() > 0


def test_the_table_lies_under_the_back_and_the_body_is_one_piece_of_tissue() -> None:
    seeds = [s for s in range(8) if (draw_anatomy(s, spacing_mm=(12.0, 8.0, 8.0)).labels == Tissue.TABLE).any()]
    assert len(seeds) >= 3, "most bodies lie on a table"
    body: Anatomy = draw_anatomy(seeds[0], spacing_mm=(12.0, 8.0, 8.0))
    table = np.argwhere(np.isin(body.labels, (Tissue.TABLE, Tissue.TABLE_SHELL)))
    flesh = np.argwhere(~np.isin(body.labels, OUTSIDE_BODY))
    assert table[:, 1].mean() > flesh[:, 1].max() - 8
