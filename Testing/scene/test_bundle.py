"""A bundle holds the whole case: read into another scene, it shows the same."""

from __future__ import annotations

import dataclasses
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import slicer
import vtk
from scene_state import assessments_in

from BottleneckOODLib.assessment.assessment import Assessment
from BottleneckOODLib.assessment.record import record_text
from BottleneckOODLib.errors import OutputError
from BottleneckOODLib.imaging.volume import LabelVolume, Volume
from BottleneckOODLib.imaging.writing import terminology_entry
from BottleneckOODLib.scene.bundle import write_scene
from BottleneckOODLib.scene.restore import cases_in
from BottleneckOODLib.scene.show import show
from BottleneckOODLib.scene.training_map import map_point_of
from BottleneckOODLib.scene.volume_node import volume_from_node

MakeAssessment = Callable[..., Assessment]
ReadBundle = Callable[[Path], Any]
LIGHTS = ("green", "amber", "red", "grey")


def first(scene: Any, class_name: str) -> Any:
    node = scene.GetFirstNodeByClass(class_name)
    assert node is not None, class_name
    return node


def count(scene: Any, class_name: str) -> int:
    return int(scene.GetNumberOfNodesByClass(class_name))


@pytest.mark.parametrize("light", LIGHTS)
def test_a_bundle_gives_the_same_light_and_sentence(
    make_assessment: MakeAssessment, read_bundle: ReadBundle, light: str, tmp_path: Path
) -> None:
    before = make_assessment(light)
    write_scene(before, tmp_path / "scene.mrb")
    restored = assessments_in(read_bundle(tmp_path / "scene.mrb"))
    assert restored == {"case-7": dataclasses.replace(before, segmentation=None)}
    assert (restored["case-7"].light, restored["case-7"].sentence) == (light, before.sentence)


def test_every_voxel_of_the_image_comes_back_in_its_place(
    an_assessment: Assessment, read_bundle: ReadBundle, tmp_path: Path
) -> None:
    write_scene(an_assessment, tmp_path / "scene.mrb")
    before = an_assessment.volume
    assert before is not None
    after = volume_from_node(first(read_bundle(tmp_path / "scene.mrb"), "vtkMRMLScalarVolumeNode"))
    assert after.name == an_assessment.case_id
    # Readers may turn an axis round, so voxels are looked up by their place in the patient.
    k, j, i = np.indices(before.voxels.shape).reshape(3, -1)
    places = before.geometry.ijk_to_lps(np.stack([i, j, k], axis=1).astype(float))
    found = after.geometry.lps_to_ijk(places)
    np.testing.assert_allclose(found, found.round(), atol=1e-3)
    x, y, z = found.round().astype(int).T
    np.testing.assert_array_equal(after.voxels[z, y, x], before.voxels[k, j, i])
    assert after.voxels.size == before.voxels.size


def test_the_mask_comes_back_in_its_place_with_name_and_terminology(
    an_assessment: Assessment, read_bundle: ReadBundle, tmp_path: Path
) -> None:
    write_scene(an_assessment, tmp_path / "scene.mrb")
    scene = read_bundle(tmp_path / "scene.mrb")
    node = first(scene, "vtkMRMLSegmentationNode")
    assert node.GetSegmentation().GetNumberOfSegments() == 1
    segment = node.GetSegmentation().GetSegment("liver")
    assert segment.GetName() == "liver"
    tag = vtk.reference("")
    assert segment.GetTag(segment.GetTerminologyEntryTagName(), tag)
    assert str(tag) == terminology_entry("liver")
    mask = an_assessment.segmentation
    assert mask is not None
    image = segment.GetRepresentation("Binary labelmap")
    inverse = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(inverse)
    inverse.Invert()
    marked = np.argwhere(mask.labels)[:, ::-1]
    # Readers may crop the grid to the mask, so voxels are looked up by their place in the patient.
    for lps in mask.geometry.ijk_to_lps(marked.astype(float)):
        index = inverse.MultiplyPoint((-lps[0], -lps[1], lps[2], 1.0))[:3]
        nearest = [round(value) for value in index]
        np.testing.assert_allclose(index, nearest, atol=1e-3)
        assert image.GetScalarComponentAsDouble(*nearest, 0) == 1
    total = vtk.vtkImageAccumulate()
    total.SetInputData(image)
    total.IgnoreZeroOn()
    total.Update()
    assert total.GetVoxelCount() == len(marked)
    reference = node.GetNodeReferenceID(node.GetReferenceImageGeometryReferenceRole())
    assert reference == first(scene, "vtkMRMLScalarVolumeNode").GetID()


def test_the_map_comes_back(an_assessment: Assessment, read_bundle: ReadBundle, tmp_path: Path) -> None:
    write_scene(an_assessment, tmp_path / "scene.mrb")
    scene = read_bundle(tmp_path / "scene.mrb")
    classes = ("vtkMRMLTableNode", "vtkMRMLPlotSeriesNode", "vtkMRMLPlotChartNode", "vtkMRMLTextNode")
    assert [count(scene, name) for name in classes] == [4, 4, 1, 1]
    chart = first(scene, "vtkMRMLPlotChartNode")
    assert chart.GetTitle() == "Unusual: case-7"
    series = [chart.GetNthPlotSeriesNode(number) for number in range(chart.GetNumberOfPlotSeriesNodes())]
    assert len(series) == 4
    x = [one.GetTableNode().GetTable().GetColumnByName("x") for one in series]
    read = [
        [float(column.GetVariantValue(row).ToDouble()) for row in range(column.GetNumberOfValues())] for column in x
    ]
    assert read == [[0.0], [-1.5], [2.0], [0.5, 0.5]]


def test_the_result_comes_back_with_its_volume_and_a_click_on_the_map_with_its_case(
    make_assessment: MakeAssessment, read_bundle: ReadBundle, tmp_path: Path
) -> None:
    assessment = make_assessment()
    write_scene(assessment, tmp_path / "scene.mrb")
    scene = read_bundle(tmp_path / "scene.mrb")
    found = cases_in(scene)["case-7"]
    assert found.volume_node is first(scene, "vtkMRMLScalarVolumeNode")
    assert found.segmentation_node is first(scene, "vtkMRMLSegmentationNode")
    chart = first(scene, "vtkMRMLPlotChartNode")
    clicked = [map_point_of(scene, chart.GetNthPlotSeriesNodeID(number), 0) for number in range(4)]
    # By outcome: 0.90 or more, below 0.80, unknown, and last the case itself.
    assert clicked == [assessment.map_points[0], assessment.map_points[2], assessment.map_points[1], None]


def test_shown_again_in_the_read_scene_it_replaces(
    make_assessment: MakeAssessment, read_bundle: ReadBundle, tmp_path: Path
) -> None:
    write_scene(make_assessment("green"), tmp_path / "scene.mrb")
    scene = read_bundle(tmp_path / "scene.mrb")
    before = scene.GetNumberOfNodes()
    show(make_assessment("red"), scene, first(scene, "vtkMRMLScalarVolumeNode"))
    assert scene.GetNumberOfNodes() == before
    assert assessments_in(scene)["case-7"].light == "red"


def test_a_case_without_image_mask_and_map_is_written(
    make_assessment: MakeAssessment, read_bundle: ReadBundle, tmp_path: Path
) -> None:
    before = make_assessment("grey", volume=None, segmentation=None, map_points=())
    write_scene(before, tmp_path / "scene.mrb")
    scene = read_bundle(tmp_path / "scene.mrb")
    assert assessments_in(scene) == {"case-7": before}
    assert count(scene, "vtkMRMLVolumeNode") == count(scene, "vtkMRMLSegmentationNode") == 0


def test_an_empty_mask_is_written(make_assessment: MakeAssessment, read_bundle: ReadBundle, tmp_path: Path) -> None:
    mask = make_assessment().segmentation
    assert mask is not None
    empty = LabelVolume(np.zeros_like(mask.labels), mask.geometry, mask.names)
    write_scene(make_assessment("red", segmentation=empty), tmp_path / "scene.mrb")
    scene = read_bundle(tmp_path / "scene.mrb")
    assert assessments_in(scene)["case-7"].light == "red"
    assert first(scene, "vtkMRMLSegmentationNode").GetSegmentation().GetNumberOfSegments() == 1


def test_the_bundle_is_one_zip_file_and_nothing_lies_beside_it(an_assessment: Assessment, tmp_path: Path) -> None:
    write_scene(an_assessment, tmp_path / "scene.mrb")
    assert [path.name for path in tmp_path.iterdir()] == ["scene.mrb"]
    with zipfile.ZipFile(tmp_path / "scene.mrb") as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        texts = b"".join(archive.read(name) for name in names if name.endswith((".mrml", ".json", ".txt")))
    assert any(name.endswith(".mrml") for name in names)
    assert str(tmp_path).encode() not in texts


def test_writing_with_the_assessment_puts_it_into_the_case_s_folder(
    an_assessment: Assessment, read_bundle: ReadBundle, tmp_path: Path
) -> None:
    folder = an_assessment.save(tmp_path, scene_writer=write_scene)
    files = ["assessment.json", "overview.png", "scene.mrb", "segmentation.seg.nrrd", "thumbnail.jpg"]
    assert sorted(path.name for path in folder.iterdir()) == files
    scene = read_bundle(folder / "scene.mrb")
    assert first(scene, "vtkMRMLTextNode").GetText() == record_text(an_assessment)
    assert assessments_in(scene)["case-7"] == dataclasses.replace(Assessment.load(folder), segmentation=None)


def test_where_nothing_can_be_written_one_sentence_says_so(an_assessment: Assessment, tmp_path: Path) -> None:
    (tmp_path / "a file").write_text("mine")
    with pytest.raises(OutputError, match=r"scene\.mrb cannot be written.*\.$"):
        write_scene(an_assessment, tmp_path / "a file" / "scene.mrb")
    assert (tmp_path / "a file").read_text() == "mine"


def test_writing_leaves_the_user_s_scene_alone(an_assessment: Assessment, a_scene: Any, tmp_path: Path) -> None:
    show(an_assessment, a_scene)
    nodes, application_scene = a_scene.GetNumberOfNodes(), getattr(slicer, "mrmlScene", None)
    write_scene(an_assessment, tmp_path / "scene.mrb")
    assert a_scene.GetNumberOfNodes() == nodes
    assert getattr(slicer, "mrmlScene", None) is application_scene


SIGNS = ["patient 7", "Zoë", "患者", "a'b", "a;b|c:d", "50%20", "a<b>c", "-", "R&D", "100% R&D"]


@pytest.mark.parametrize("name", SIGNS)
def test_a_case_with_signs_in_its_name_is_read_again(
    make_assessment: MakeAssessment, read_bundle: ReadBundle, name: str, tmp_path: Path
) -> None:
    write_scene(make_assessment(case_id=name), tmp_path / "scene.mrb")
    restored = assessments_in(read_bundle(tmp_path / "scene.mrb"))
    assert {case: assessment.case_id for case, assessment in restored.items()} == {name: name}


@pytest.mark.parametrize("name", SIGNS)
def test_an_image_with_signs_in_its_name_is_read_again(
    an_assessment: Assessment, read_bundle: ReadBundle, name: str, tmp_path: Path
) -> None:
    assert an_assessment.volume is not None
    volume = Volume(an_assessment.volume.voxels, an_assessment.volume.geometry, "CT", name)
    write_scene(dataclasses.replace(an_assessment, volume=volume), tmp_path / "scene.mrb")
    assert assessments_in(read_bundle(tmp_path / "scene.mrb"))["case-7"].light == an_assessment.light


def test_texts_with_signs_come_back(make_assessment: MakeAssessment, read_bundle: ReadBundle, tmp_path: Path) -> None:
    warnings = ("a & b < c > d \" ' ]]> \\ %20 é 患\n",)
    write_scene(make_assessment(warnings=warnings), tmp_path / "scene.mrb")
    assert assessments_in(read_bundle(tmp_path / "scene.mrb"))["case-7"].warnings == warnings


def test_a_relative_path_will_do(
    an_assessment: Assessment, read_bundle: ReadBundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    an_assessment.save("out", scene_writer=write_scene)
    assert set(assessments_in(read_bundle(tmp_path / "out" / "case-7" / "scene.mrb"))) == {"case-7"}
