"""Where a case is unusual, as a volume with a colour legend over the slice views."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import slicer
import vtk

from BottleneckOODLib.assessment.assessment import Assessment
from BottleneckOODLib.assessment.wording import REGIONS_LEGEND
from BottleneckOODLib.imaging.volume import FloatArray, Geometry, resampled
from BottleneckOODLib.scene.grids import ijk_to_ras_matrix, image_data, vtk_matrix
from BottleneckOODLib.scene.naming import text_of
from BottleneckOODLib.scene.nodes import (
    CASE_ATTRIBUTE,
    RECORD_ROLE,
    ROLE_ATTRIBUTE,
    VOLUME_REFERENCE,
    existing_node,
    node_for,
)
from BottleneckOODLib.scene.transformed_volume import place_on_volume

REGIONS_ROLE, COLOURS_ROLE = "regions", "region colours"
REGION_ROLES = (REGIONS_ROLE, COLOURS_ROLE)
FIRST_SHOWN, TOP_OF_SCALE = 1.0, 2.0
"""The overlay is transparent below the first, and its colour no longer changes above the second."""
USUAL_OPACITY = 0.5
_OPACITY_ATTRIBUTE = "BottleneckOOD.Opacity"
_PLACE_ATTRIBUTE = "BottleneckOOD.MostUnusual"
"""On the overlay: its voxel (i, j, k) in which the most unusual cell of the map has its centre."""
_BEFORE_REFERENCE, _BEFORE_ATTRIBUTE = "BottleneckOOD.ForegroundBefore", "BottleneckOOD.ForegroundOpacityBefore"
_LEGEND_CLASS = "vtkMRMLColorLegendDisplayNode"
_STEP_MM = 4.0
_N_COLOURS = 128


def show_overlay(assessment: Assessment, scene: Any, volume_node: Any = None) -> Any | None:
    """Make or update the overlay of a case; it is not put into any view, see ``set_overlay_visible``.

    The map is resampled linearly along the volume's own axes, over its whole extent, in steps of at least 4 mm: its own
    cells are several times as large, and a view interpolates between voxels. Like the mask, it follows its volume.

    Args:
        assessment: The case.
        scene: The ``vtkMRMLScene``.
        volume_node: The case's ``vtkMRMLScalarVolumeNode``; None leaves the overlay in the world.

    Returns:
        The ``vtkMRMLScalarVolumeNode`` of the overlay; None where the assessment has no map of regions.
    """
    regions, case = assessment.regions, assessment.case_id
    if regions is None:
        return None
    node = node_for(scene, "vtkMRMLScalarVolumeNode", case, REGIONS_ROLE, f"{case} unusual regions")
    # It is no image to be assessed, so no selector of volumes offers it.
    node.SetHideFromEditors(True)
    fine = _image_grid(assessment)
    if fine is None:
        grid, array, transform_id = regions.geometry, regions.values, None
        matrix = ijk_to_ras_matrix(grid)
    else:
        matrix, transform_id = ijk_to_ras_matrix(fine), None
        if volume_node is not None:
            matrix, transform_id = place_on_volume(fine, volume_node)
        factors = [max(1, int(_STEP_MM / spacing)) for spacing in fine.spacing_mm]
        grid = _thinned(fine, factors)
        array = resampled(regions.values, regions.geometry, grid)
        matrix = matrix @ _of_every(factors)
    node.SetAndObserveImageData(image_data(array))
    node.SetIJKToRASMatrix(vtk_matrix(matrix))
    node.SetAndObserveTransformNodeID(transform_id)
    node.SetAttribute(_PLACE_ATTRIBUTE, _index_of(regions.most_unusual_place, grid))
    if node.GetDisplayNode() is None:
        _colour(scene, node, case)
    return node


def existing_overlay(scene: Any, case: str) -> Any | None:
    """The overlay of a case as it stands in the scene, or None."""
    return existing_node(scene, "vtkMRMLScalarVolumeNode", case, REGIONS_ROLE)


def set_overlay_visible(scene: Any, case: str, on: bool) -> bool:
    """Put the overlay into the foreground of the slice views that show its volume, or take it out again.

    What stood in the foreground before, and how opaque it was, comes back. A view whose foreground the user changed in
    between stays as it is.

    Returns:
        Whether there is an overlay.
    """
    overlay = existing_overlay(scene, case)
    if overlay is None:
        return False
    for view in _views_of(scene, case) if on else _all_views(scene):
        is_over = view.GetForegroundVolumeID() == overlay.GetID()
        if on and not is_over:
            view.SetNodeReferenceID(_BEFORE_REFERENCE, view.GetForegroundVolumeID())
            view.SetAttribute(_BEFORE_ATTRIBUTE, repr(float(view.GetForegroundOpacity())))
            view.SetForegroundVolumeID(overlay.GetID())
            view.SetForegroundOpacity(_opacity_of(overlay))
        elif not on and is_over:
            _take_out(view)
    _show_legend(scene, overlay, on)
    return True


def take_strays_out(scene: Any) -> None:
    """Take each overlay out of the views that show another volume than its own by now; what stood there comes back."""
    for view in list(_all_views(scene)):
        overlay = scene.GetNodeByID(view.GetForegroundVolumeID() or "")
        if overlay is None or overlay.GetAttribute(ROLE_ATTRIBUTE) != REGIONS_ROLE:
            continue
        case = text_of(overlay.GetAttribute(CASE_ATTRIBUTE) or "")
        if view not in _views_of(scene, case):
            _take_out(view)
            _show_legend(scene, overlay, is_overlay_visible(scene, case))


def set_overlay_opacity(scene: Any, case: str, opacity: float) -> bool:
    """Make the overlay more or less opaque (0 to 1), where it is shown now and when it is shown next.

    Returns:
        Whether there is an overlay.
    """
    overlay = existing_overlay(scene, case)
    if overlay is None:
        return False
    overlay.SetAttribute(_OPACITY_ATTRIBUTE, repr(min(1.0, max(0.0, float(opacity)))))
    for view in _all_views(scene):
        if view.GetForegroundVolumeID() == overlay.GetID():
            view.SetForegroundOpacity(_opacity_of(overlay))
    return True


def is_overlay_visible(scene: Any, case: str) -> bool:
    """Whether a slice view has the overlay in its foreground."""
    overlay = existing_overlay(scene, case)
    return overlay is not None and any(view.GetForegroundVolumeID() == overlay.GetID() for view in _all_views(scene))


def most_unusual_place_shown(scene: Any, case: str) -> tuple[float, float, float] | None:
    """The most unusual place as the overlay lies in the scene now: also after a scene was opened or the volume moved.

    Returns:
        The centre of the voxel in which the most unusual cell has its centre, in the world (RAS, mm); None without an
        overlay, or where no cell lies in the body.
    """
    overlay = existing_overlay(scene, case)
    # Not the overlay's largest voxel: beyond the outermost cells' centres a value is continued to the image's edge, and
    # between centres it is smoothed, so that a lesser cell at the edge would win.
    place = None if overlay is None else overlay.GetAttribute(_PLACE_ATTRIBUTE)
    if overlay is None or not place:
        return None
    i, j, k = (float(number) for number in place.split())
    matrix = vtk.vtkMatrix4x4()
    overlay.GetIJKToRASMatrix(matrix)
    world = [0.0, 0.0, 0.0]
    overlay.TransformPointToWorld(matrix.MultiplyPoint((i, j, k, 1.0))[:3], world)
    right, anterior, superior = world
    return right, anterior, superior


def _colour(scene: Any, node: Any, case: str) -> None:
    colours = node_for(scene, "vtkMRMLColorTableNode", case, COLOURS_ROLE, f"{case} unusual regions, colours")
    # A table of our own: a built-in one is not read again from a saved scene.
    colours.SetTypeToUser()
    colours.SetNumberOfColors(_N_COLOURS)
    for index, (red, green, blue) in enumerate(_ramp()):
        colours.SetColor(index, red, green, blue, 1.0)
    colours.SetNamesFromColors()
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    display.SetAndObserveColorNodeID(colours.GetID())
    display.SetAutoWindowLevel(False)
    display.SetWindowLevelMinMax(0.0, TOP_OF_SCALE)
    display.SetAutoThreshold(False)
    display.SetThreshold(FIRST_SHOWN, float(np.finfo(np.float32).max))
    display.SetApplyThreshold(True)
    display.SetInterpolate(True)


def _show_legend(scene: Any, overlay: Any, on: bool) -> None:
    """The legend is made when it is first shown, and not saved: a scene opens also where its class is not known."""
    displays = (overlay.GetNthDisplayNode(index) for index in range(overlay.GetNumberOfDisplayNodes()))
    legend = next((node for node in displays if node is not None and node.IsA(_LEGEND_CLASS)), None)
    logic, legend_class = (getattr(slicer, name, None) for name in ("vtkSlicerColorLogic", _LEGEND_CLASS))
    # Colours are a loadable module, which an application may be started without.
    if legend is None and on and logic is not None and legend_class is not None:
        if not scene.GetClassNameByTag(legend_class().GetNodeTagName()):
            scene.RegisterNodeClass(legend_class())
        legend = logic.AddDefaultColorLegendDisplayNode(overlay)
    if legend is not None:
        legend.SetSaveWithScene(False)
        legend.SetTitleText(REGIONS_LEGEND)
        legend.SetLabelFormat("%.1f")
        legend.SetVisibility(on)


def _ramp() -> FloatArray:
    """From black over red and yellow to white, shape (n, 3): lighter is more, also for who confuses red and green."""
    share = np.linspace(0, 1, _N_COLOURS)
    return np.stack([np.clip(3 * share, 0, 1), np.clip(3 * share - 1, 0, 1), np.clip(3 * share - 2, 0, 1)], axis=1)


def _take_out(view: Any) -> None:
    view.SetForegroundVolumeID(view.GetNodeReferenceID(_BEFORE_REFERENCE))
    view.SetForegroundOpacity(float(view.GetAttribute(_BEFORE_ATTRIBUTE) or 0.0))
    view.SetNodeReferenceID(_BEFORE_REFERENCE, None)
    view.RemoveAttribute(_BEFORE_ATTRIBUTE)


def _all_views(scene: Any) -> Iterator[Any]:
    for index in range(scene.GetNumberOfNodesByClass("vtkMRMLSliceCompositeNode")):
        yield scene.GetNthNodeByClass(index, "vtkMRMLSliceCompositeNode")


def _views_of(scene: Any, case: str) -> Iterator[Any]:
    record = existing_node(scene, "vtkMRMLTextNode", case, RECORD_ROLE)
    volume_id = None if record is None else record.GetNodeReferenceID(VOLUME_REFERENCE)
    return (view for view in _all_views(scene) if volume_id and view.GetBackgroundVolumeID() == volume_id)


def _opacity_of(overlay: Any) -> float:
    return float(overlay.GetAttribute(_OPACITY_ATTRIBUTE) or USUAL_OPACITY)


def _image_grid(assessment: Assessment) -> Geometry | None:
    for image in (assessment.segmentation, assessment.volume):
        if image is not None:
            return image.geometry
    return None


def _index_of(place: tuple[float, float, float] | None, grid: Geometry) -> str | None:
    """The voxel of a grid in which a place (LPS, mm) lies, or the nearest to it."""
    if place is None:
        return None
    index = grid.lps_to_ijk(np.array([place]))[0].round()
    return " ".join(f"{int(number)}" for number in np.clip(index, 0, np.array(grid.size_ijk) - 1))


def _of_every(factors: list[int]) -> FloatArray:
    """Indices of a thinned grid to those of the grid it was thinned from, shape (4, 4)."""
    matrix = np.diag([*factors, 1.0])
    matrix[:3, 3] = [(factor - 1) / 2 for factor in factors]
    return matrix


def _thinned(fine: Geometry, factors: list[int]) -> Geometry:
    """Blocks of voxels along i, j, k as one voxel each, over the same extent."""
    i, j, k = (-(-n // factor) for n, factor in zip(fine.size_ijk, factors, strict=True))
    si, sj, sk = (spacing * factor for spacing, factor in zip(fine.spacing_mm, factors, strict=True))
    x, y, z = (float(value) for value in fine.ijk_to_lps(_of_every(factors)[None, :3, 3])[0])
    return Geometry((i, j, k), (si, sj, sk), (x, y, z), fine.direction)
