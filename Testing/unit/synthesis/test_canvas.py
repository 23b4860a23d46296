from __future__ import annotations

import numpy as np

from BottleneckOODLib.synthesis.canvas import Canvas, blank_canvas
from BottleneckOODLib.synthesis.tissues import Tissue


def _canvas() -> Canvas:
    canvas = blank_canvas(np.random.default_rng(0), (8.0, 8.0, 8.0), (-100.0, 100.0))
    canvas.inner = np.full(canvas.x.shape, 50, np.float32)
    return canvas


def test_a_blank_canvas_is_all_outside() -> None:
    canvas = _canvas()
    assert not canvas.labels.any()
    assert canvas.x.shape == canvas.labels.shape == (25, 48, 68)


def test_coordinates_grow_to_the_left_the_back_and_the_head() -> None:
    canvas = _canvas()
    assert canvas.x[:, :, -1].min() > canvas.x[:, :, 0].max()
    assert canvas.y[:, -1].min() > canvas.y[:, 0].max()
    assert canvas.z[-1].min() > canvas.z[0].max()


def test_a_ball_is_painted_where_it_belongs_and_nowhere_else() -> None:
    canvas = _canvas()
    canvas.ball((-60, 20, 10), (30, 30, 30), Tissue.SPLEEN)
    painted = canvas.labels == Tissue.SPLEEN
    expected = (canvas.x + 60) ** 2 + (canvas.y - 20) ** 2 + (canvas.z - 10) ** 2 < 900
    np.testing.assert_array_equal(painted, expected)
    assert painted.any()


def test_a_ball_paints_over_the_named_tissues_only() -> None:
    canvas = _canvas()
    canvas.labels[:, :, :34] = Tissue.LIVER
    canvas.ball((0, 0, 0), (40, 40, 40), Tissue.VEIN, over=(Tissue.LIVER,))
    assert (canvas.labels == Tissue.VEIN).any()
    assert not (canvas.labels[:, :, 34:] == Tissue.VEIN).any()


def test_a_ball_stays_inside_the_cavity_when_asked() -> None:
    canvas = _canvas()
    canvas.inner[:] = -1
    canvas.ball((0, 0, 0), (40, 40, 40), Tissue.KIDNEY, inside_cavity=True)
    assert not canvas.labels.any()


def test_a_ball_out_of_view_is_no_error() -> None:
    canvas = _canvas()
    canvas.ball((0, 0, 5000), (10, 10, 10), Tissue.KIDNEY)
    assert not canvas.labels.any()
