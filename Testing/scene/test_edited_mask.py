"""What is edited in the scene is read back to the voxel, whatever the editor did with how it is kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy

from BottleneckOODLib.assessment.assessment import Assessment
from BottleneckOODLib.imaging.volume import Geometry, LabelVolume
from BottleneckOODLib.scene.edited_mask import edits_in, labels_in
from BottleneckOODLib.scene.mask import show_mask, show_surface

OBLIQUE = Geometry((9, 8, 7), (0.7, 0.8, 2.5), (-31.0, 12.5, 400.0), (0.8, -0.6, 0.0, 0.6, 0.8, 0.0, 0.0, 0.0, 1.0))
LABELMAP = slicer.vtkSegmentationConverter.GetSegmentationBinaryLabelmapRepresentationName()


@pytest.fixture
def a_mask() -> LabelVolume:
    labels = (np.random.default_rng(4).random(OBLIQUE.shape) < 0.4).astype(np.uint8)
    return LabelVolume(labels, OBLIQUE, {1: "liver"})


@pytest.fixture
def shown(a_scene: Any, a_mask: LabelVolume, make_assessment: Callable[..., Assessment]) -> Any:
    return show_mask(replace(make_assessment("red"), segmentation=a_mask), a_scene)


def image_of(node: Any) -> Any:
    return node.GetSegmentation().GetNthSegment(0).GetRepresentation(LABELMAP)


def test_what_was_not_touched_is_not_edited(shown: Any, a_mask: LabelVolume) -> None:
    assert labels_in(shown, a_mask) == a_mask
    assert edits_in(shown, a_mask) is None


def test_a_surface_is_no_edit(a_scene: Any, shown: Any, a_mask: LabelVolume, make_assessment: Any) -> None:
    assert show_surface(a_scene, make_assessment("red").case_id, True)
    assert edits_in(shown, a_mask) is None


@pytest.mark.parametrize("seed", range(8))
def test_an_edited_voxel_is_found_where_it_is(shown: Any, a_mask: LabelVolume, seed: int) -> None:
    drawn = vtk_to_numpy(image_of(shown).GetPointData().GetScalars())
    k, j, i = place = tuple(int(n) for n in np.random.default_rng(seed).integers(0, OBLIQUE.shape))
    flat = np.ravel_multi_index((k, j, i), OBLIQUE.shape)
    drawn[flat] = 1 - drawn[flat]
    found = edits_in(shown, a_mask)
    assert found is not None
    assert [tuple(p) for p in np.argwhere(found.labels != a_mask.labels).tolist()] == [place]
    assert found.geometry == OBLIQUE
    drawn[flat] = 1 - drawn[flat]
    assert edits_in(shown, a_mask) is None


def test_what_an_editor_crops_or_pads_is_the_same_mask(shown: Any, a_mask: LabelVolume) -> None:
    small = np.zeros(OBLIQUE.shape, np.uint8)
    small[2:5, 3:6, 1:4] = 1
    whole = vtk_to_numpy(image_of(shown).GetPointData().GetScalars())
    whole[:] = small.ravel()
    for extent in ((1, 3, 3, 5, 2, 4), (-2, 11, -1, 9, 0, 8)):
        clip = vtk.vtkImageConstantPad()
        clip.SetInputData(image_of(shown))
        clip.SetOutputWholeExtent(*extent)
        clip.Update()
        matrix, image = vtk.vtkMatrix4x4(), image_of(shown)
        image.GetImageToWorldMatrix(matrix)
        image.ShallowCopy(clip.GetOutput())
        image.SetImageToWorldMatrix(matrix)
        assert image.GetExtent() == extent
        assert np.array_equal(labels_in(shown, a_mask).labels, small)


def test_segments_that_share_an_image_keep_apart(shown: Any, a_mask: LabelVolume) -> None:
    part = (np.random.default_rng(9).random(OBLIQUE.shape) < 0.3) & (a_mask.labels == 0)
    other = slicer.vtkSegment()
    other.SetName("vessel & vein")
    image = slicer.vtkOrientedImageData()
    image.DeepCopy(image_of(shown))
    vtk_to_numpy(image.GetPointData().GetScalars())[:] = part.ravel()
    other.AddRepresentation(LABELMAP, image)
    shown.GetSegmentation().AddSegment(other)
    shown.GetSegmentation().CollapseBinaryLabelmaps(True)
    assert shown.GetSegmentation().GetNumberOfLayers() == 1
    found = edits_in(shown, a_mask)
    assert found is not None
    assert dict(found.names) == {1: "liver", 2: "vessel & vein"}
    assert np.array_equal(found.labels, np.where(part, 2, a_mask.labels))


@pytest.mark.parametrize("how", ["emptied", "removed", "renamed"])
def test_a_mask_that_is_gone_or_called_otherwise_is_edited(shown: Any, a_mask: LabelVolume, how: str) -> None:
    segmentation = shown.GetSegmentation()
    if how == "emptied":
        vtk_to_numpy(image_of(shown).GetPointData().GetScalars())[:] = 0
    elif how == "removed":
        segmentation.RemoveAllSegments()
    else:
        segmentation.GetNthSegment(0).SetName("spleen")
    found = edits_in(shown, a_mask)
    assert found is not None
    assert not (found.labels == 1).any()
    assert found.labels.any() == (how == "renamed")
