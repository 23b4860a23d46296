"""The light in the upper right corner of a slice view: shape, word and percentile on a dark plate.

Slicer's own annotations leave that corner free: names stand lower left, the orientation marker lower right.
"""

from __future__ import annotations

import textwrap
import weakref
from typing import Any

import numpy as np
import vtk

from BottleneckOODLib.assessment.wording import STATE_SHAPES, corner_lines
from BottleneckOODLib.imaging.volume import FloatArray
from BottleneckOODLib.scene.training_map import LIGHT_RGB

_PLATE_RGB, _PLATE_OPACITY = (0.04, 0.06, 0.09), 0.78
_INK_RGB = (0.97, 0.98, 1.0)
_QUIET_RGB = (0.82, 0.85, 0.9)
_PART_OF_VIEW = 0.042
_SMALLEST_PT, _LARGEST_PT = 8, 20
_SMALL_TEXT = 0.72
_MARGIN, _GAP = 0.5, 0.45
_WIDEST_PART = 0.92
_NARROW = 14
_POINTS_PER_INCH = 72.0
_CIRCLE_CORNERS, _OCTAGON_CORNERS = 48, 8
# Plate, then shape, then text, whatever is added to the view later.
_PLATE_LAYER, _SHAPE_LAYER, _TEXT_LAYER = 10, 11, 12


def shape_outline(shape: str) -> FloatArray:
    """Corners of a shape, counter-clockwise, within -1 and 1, shape (n, 2).

    >>> shape_outline("triangle").shape
    (3, 2)
    """
    if shape == "square":
        return np.array([[-0.9, -0.9], [0.9, -0.9], [0.9, 0.9], [-0.9, 0.9]])
    if shape == "triangle":
        return np.array([[-1.0, -0.85], [1.0, -0.85], [0.0, 0.95]])
    corners = _OCTAGON_CORNERS if shape == "octagon" else _CIRCLE_CORNERS
    angles = 2 * np.pi * (np.arange(corners) + 0.5) / corners
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def shape_mark(shape: str) -> tuple[FloatArray, ...]:
    """Convex polygons within a shape: the square's dash, and a mark in the octagon, which as small as this is nearly a
    circle."""
    if shape == "square":
        return (_box(0.0, 0.0, 0.5, 0.12),)
    if shape == "octagon":
        return (_box(0.0, 0.17, 0.13, 0.42), _box(0.0, -0.52, 0.13, 0.13))
    return ()


class CornerLight:
    """Draws a case's light into a corner of one view.

    Its props are in the renderer only between ``show`` and ``clear``. It follows the view's size.

    Args:
        renderer: The view's ``vtkRenderer``. Whoever shows or clears renders the view afterwards.
    """

    def __init__(self, renderer: Any) -> None:
        self._renderer = renderer
        self._observer: int | None = None
        self._laid_out_for: tuple[Any, ...] = ()
        self._shown: tuple[str, float | None] | None = None
        self._plate = _flat_actor(_PLATE_RGB, _PLATE_LAYER)
        self._plate.GetProperty().SetOpacity(_PLATE_OPACITY)
        self._shape = _flat_actor(_INK_RGB, _SHAPE_LAYER)
        self._rim = _flat_actor(_INK_RGB, _SHAPE_LAYER)
        self._mark = _flat_actor(_INK_RGB, _SHAPE_LAYER)
        self._word = _text_actor(_INK_RGB, bold=True)
        self._caveat = _text_actor(_QUIET_RGB, bold=False)

    @property
    def shown(self) -> tuple[str, float | None] | None:
        """Light and percentile that are shown, or None."""
        return self._shown

    def show(self, light: str, percentile: float | None) -> None:
        """Show a light, instead of the one that is shown.

        Args:
            light: One of the four states.
            percentile: Share of the training cases that are less unusual, in percent; None when grey.
        """
        if self._shown == (light, percentile):
            return
        self._shown, self._laid_out_for = (light, percentile), ()
        self._shape.GetProperty().SetColor(*LIGHT_RGB[light])
        if self._observer is None:
            for actor in self._actors():
                self._renderer.AddViewProp(actor)
            itself = weakref.ref(self)

            def before_rendering(*_: Any) -> None:
                light = itself()
                if light is not None:
                    light._lay_out()

            self._observer = self._renderer.AddObserver(vtk.vtkCommand.StartEvent, before_rendering)
        self._lay_out()

    def clear(self) -> None:
        """Take the light away; nothing of it stays in the view."""
        if self._observer is None:
            return
        self._renderer.RemoveObserver(self._observer)
        for actor in self._actors():
            self._renderer.RemoveViewProp(actor)
        self._observer, self._shown = None, None

    def _actors(self) -> tuple[Any, ...]:
        return self._plate, self._rim, self._shape, self._mark, self._word, self._caveat

    def _lay_out(self) -> None:
        """Place everything for the view's size, unless that is as it was; in pixels from the lower left."""
        window = self._renderer.GetRenderWindow()
        width, height = self._renderer.GetSize()
        dpi = float(window.GetDPI()) if window is not None else _POINTS_PER_INCH
        if self._shown is None or min(width, height) < 1 or self._laid_out_for == (width, height, dpi):
            return
        self._laid_out_for = (width, height, dpi)
        light, percentile = self._shown
        # A font's points are pixels at 72 per inch; high-resolution screens have more.
        points = _PART_OF_VIEW * min(width, height) * _POINTS_PER_INCH / dpi
        size = round(min(max(points, _SMALLEST_PT), _LARGEST_PT))
        arrangements = _arrangements(*corner_lines(light, percentile))
        box = self._set_text(size, *arrangements[0])
        while _width_of(box) > _WIDEST_PART * width and size > _SMALLEST_PT:
            size -= 1
            box = self._set_text(size, *arrangements[0])
        for first, second in arrangements[1:]:
            if _width_of(box) <= _WIDEST_PART * width:
                break
            box = self._set_text(size, first, second)
        self._place(box, light, width, height)

    def _set_text(self, size: int, first: str, second: str) -> tuple[float, float, float, float, float]:
        """Set the lines; gives the width and height of either in pixels, and the unit of all distances."""
        self._word.SetInput(first)
        self._word.GetTextProperty().SetFontSize(size)
        self._caveat.SetInput(second)
        self._caveat.GetTextProperty().SetFontSize(max(round(size * _SMALL_TEXT), 6))
        sizes: list[float] = []
        for actor in (self._word, self._caveat):
            extent = [0.0, 0.0]
            actor.GetSize(self._renderer, extent)
            sizes += extent
        unit = sizes[1] / (1 + first.count("\n"))
        return sizes[0], sizes[1], sizes[2], sizes[3], unit

    def _place(self, box: tuple[float, float, float, float, float], light: str, width: int, height: int) -> None:
        _, word_height, _, caveat_height, unit = box
        pad = _GAP * unit
        text_height = word_height + 0.5 * pad + caveat_height
        radius = _radius_of(box)
        plate_height = 2 * max(0.8 * unit, 0.5 * text_height) + 2 * pad
        right, top = width - _MARGIN * unit, height - _MARGIN * unit
        left = right - _width_of(box)
        bottom = top - plate_height
        middle = (top + bottom) / 2
        centre = np.array([left + pad + radius, middle])
        plate = np.array([[left, bottom], [right, bottom], [right, top], [left, top]])
        outline = shape_outline(STATE_SHAPES[light])
        _fill(self._plate, plate)
        _fill(self._rim, centre + outline * radius)
        _fill(self._shape, centre + outline * (radius - max(1.5, 0.1 * unit)))
        _fill(self._mark, *(centre + part * radius for part in shape_mark(STATE_SHAPES[light])))
        text_left = left + 2 * pad + 2 * radius
        text_bottom = middle - text_height / 2
        self._caveat.SetPosition(text_left, text_bottom)
        self._word.SetPosition(text_left, text_bottom + caveat_height + 0.5 * pad)


def _arrangements(first: str, second: str) -> list[tuple[str, str]]:
    """The two lines, and broken into ever narrower ones for ever narrower views."""
    broken = first.replace(" - ", "\n")
    narrow = "\n".join(line for part in broken.split("\n") for line in textwrap.wrap(part, _NARROW))
    return [(first, second), (broken, second), (narrow, "\n".join(textwrap.wrap(second, _NARROW + 7)))]


def _radius_of(box: tuple[float, float, float, float, float]) -> float:
    """Half the size of the shape: as tall as two lines of text, in pixels."""
    _, word_height, _, caveat_height, unit = box
    return min(max(0.5 * (word_height + 0.5 * _GAP * unit + caveat_height), 0.8 * unit), 1.1 * unit)


def _width_of(box: tuple[float, float, float, float, float]) -> float:
    """Width of the plate in pixels."""
    word_width, _, caveat_width, _, unit = box
    return 3 * _GAP * unit + 2 * _radius_of(box) + max(word_width, caveat_width)


def _flat_actor(colour: tuple[float, float, float], layer: int) -> Any:
    actor = vtk.vtkActor2D()
    mapper = vtk.vtkPolyDataMapper2D()
    mapper.SetInputData(vtk.vtkPolyData())
    actor.SetMapper(mapper)
    actor.GetProperty().SetColor(*colour)
    actor.SetLayerNumber(layer)
    actor.PickableOff()
    return actor


def _text_actor(colour: tuple[float, float, float], *, bold: bool) -> Any:
    actor = vtk.vtkTextActor()
    actor.SetTextScaleModeToNone()
    text = actor.GetTextProperty()
    text.SetFontFamilyToArial()
    text.SetBold(bold)
    text.SetColor(*colour)
    text.SetJustificationToLeft()
    text.SetVerticalJustificationToBottom()
    actor.SetLayerNumber(_TEXT_LAYER)
    actor.PickableOff()
    return actor


def _box(x: float, y: float, half_width: float, half_height: float) -> FloatArray:
    corners = np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
    return np.asarray(corners * [half_width, half_height] + [x, y])


def _fill(actor: Any, *polygons: FloatArray) -> None:
    """Fill convex polygons, corners (n, 2) in pixels of the view."""
    points, cells = vtk.vtkPoints(), vtk.vtkCellArray()
    for polygon in polygons:
        cells.InsertNextCell(len(polygon))
        for x, y in polygon:
            cells.InsertCellPoint(points.InsertNextPoint(float(x), float(y), 0.0))
    data = vtk.vtkPolyData()
    data.SetPoints(points)
    data.SetPolys(cells)
    actor.GetMapper().SetInputData(data)
