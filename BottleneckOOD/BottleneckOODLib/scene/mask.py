"""The mask as a segmentation that lies on its volume: how it is drawn, and where its liver is."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import slicer
import vtk

from BottleneckOODLib.assessment.assessment import Assessment
from BottleneckOODLib.imaging.writing import segment_colour, terminology_entry
from BottleneckOODLib.scene.grids import array_from_image_data, ijk_to_ras_matrix, image_data, vtk_matrix
from BottleneckOODLib.scene.nodes import SEGMENTATION_ROLE, existing_node, node_for
from BottleneckOODLib.scene.transformed_volume import place_on_volume

_SMOOTHING = "0.5"


def show_mask(assessment: Assessment, scene: Any, volume_node: Any = None) -> Any | None:
    """Make or update the segmentation of a case; how the user has it drawn stays as it is.

    The mask follows its volume: where it lies on the volume's own voxels, it has the volume's geometry and its
    transform. Where the image had to be resampled to be assessed, the mask lies in the world, where it fits the volume
    as it was seen then.
    """
    labels = assessment.segmentation
    if labels is None:
        return None
    case = assessment.case_id
    node = node_for(scene, "vtkMRMLSegmentationNode", case, SEGMENTATION_ROLE, f"{case} segmentation")
    node.CreateDefaultDisplayNodes()
    matrix, transform_id = ijk_to_ras_matrix(labels.geometry), None
    if volume_node is not None:
        node.SetReferenceImageGeometryParameterFromVolumeNode(volume_node)
        matrix, transform_id = place_on_volume(labels.geometry, volume_node)
    node.SetAndObserveTransformNodeID(transform_id)
    segmentation = node.GetSegmentation()
    has_surface = segmentation.ContainsRepresentation(_surface())
    segmentation.RemoveAllSegments()
    for value, name in sorted(labels.names.items()):
        image = slicer.vtkOrientedImageData()
        image.ShallowCopy(image_data((labels.labels == value).view(np.uint8)))
        image.SetImageToWorldMatrix(vtk_matrix(matrix))
        segment = slicer.vtkSegment()
        segment.SetName(name)
        segment.SetColor(*segment_colour(name))
        segment.SetTag(segment.GetTerminologyEntryTagName(), terminology_entry(name))
        segment.AddRepresentation(_labelmap(), image)
        segmentation.AddSegment(segment, name)
    if has_surface:
        node.CreateClosedSurfaceRepresentation()
    return node


def set_drawn(scene: Any, case: str, *, visible: bool, outline: bool, fill: bool) -> bool:
    """Show the mask in all views or hide it, and draw its contour and fill it in the slice views, or not.

    Returns:
        Whether there is a mask.
    """
    display = _display(scene, case)
    if display is not None:
        display.SetVisibility(visible)
        display.SetVisibility2DOutline(outline)
        display.SetVisibility2DFill(fill)
    return display is not None


def show_surface(scene: Any, case: str, on: bool) -> bool:
    """Show the mask as a smooth closed surface in 3D, or no longer.

    Returns:
        Whether the surface stands there now; False also where there is no mask or an empty one.
    """
    node = existing_node(scene, "vtkMRMLSegmentationNode", case, SEGMENTATION_ROLE)
    display = _display(scene, case)
    if node is None or display is None:
        return False
    if not on:
        display.SetVisibility3D(False)
        node.RemoveClosedSurfaceRepresentation()
        return False
    name = slicer.vtkBinaryLabelmapToClosedSurfaceConversionRule.GetSmoothingFactorParameterName()
    node.GetSegmentation().SetConversionParameter(name, _SMOOTHING)
    made = bool(node.CreateClosedSurfaceRepresentation())
    display.SetVisibility3D(made)
    return made


def liver_centre_ras(segmentation_node: Any) -> tuple[float, float, float] | None:
    """A point inside the mask, in the world (RAS, mm): its first segment's voxel nearest to the middle of all of them.

    The middle itself can lie outside of a bent organ.

    Returns:
        The point; None for an empty mask.
    """
    segmentation = segmentation_node.GetSegmentation()
    if segmentation.GetNumberOfSegments() == 0:
        return None
    image = segmentation.GetNthSegment(0).GetRepresentation(_labelmap())
    if image is None or image.IsEmpty():
        return None
    marked = array_from_image_data(image) == segmentation.GetNthSegment(0).GetLabelValue()
    middle = _voxel_in_the_middle(marked)
    if middle is None:
        return None
    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    index = middle + np.array(image.GetExtent()[::2])
    nearest = matrix.MultiplyPoint((*(float(value) for value in index), 1.0))[:3]
    world = [0.0, 0.0, 0.0]
    segmentation_node.TransformPointToWorld(nearest, world)
    right, anterior, superior = world
    return right, anterior, superior


def jump_to(scene: Any, ras: tuple[float, float, float]) -> int:
    """Move every slice view to a point (RAS, mm), which then stands in its middle.

    Returns:
        How many slice views there are.
    """
    count = int(scene.GetNumberOfNodesByClass("vtkMRMLSliceNode"))
    for index in range(count):
        scene.GetNthNodeByClass(index, "vtkMRMLSliceNode").JumpSliceByCentering(*ras)
    return count


def _voxel_in_the_middle(marked: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64] | None:
    """Index (i, j, k) of the marked voxel nearest to the marked ones' centre, counted in voxels; None where none is."""
    lows, middle = [], []
    for axis in range(marked.ndim):
        others = tuple(other for other in range(marked.ndim) if other != axis)
        there = np.flatnonzero(marked.any(axis=others))
        if not len(there):
            return None
        # Cropped axis by axis: most of a scan is no liver.
        lows.append(int(there[0]))
        marked = marked[(slice(None),) * axis + (slice(there[0], there[-1] + 1),)]
    for axis in range(marked.ndim):
        others = tuple(other for other in range(marked.ndim) if other != axis)
        middle.append(np.average(np.arange(marked.shape[axis]), weights=np.count_nonzero(marked, axis=others)))
    nearest = np.round(middle).astype(np.int64)
    if not marked[tuple(nearest)]:
        places = np.argwhere(marked)
        nearest = places[((places - middle) ** 2).sum(axis=1).argmin()]
    return np.asarray(nearest + lows)[::-1]


def _display(scene: Any, case: str) -> Any | None:
    node = existing_node(scene, "vtkMRMLSegmentationNode", case, SEGMENTATION_ROLE)
    return None if node is None else node.GetDisplayNode()


def _labelmap() -> str:
    return str(slicer.vtkSegmentationConverter.GetSegmentationBinaryLabelmapRepresentationName())


def _surface() -> str:
    return str(slicer.vtkSegmentationConverter.GetSegmentationClosedSurfaceRepresentationName())
