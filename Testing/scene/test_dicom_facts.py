"""What the headers tell of an acquisition, from the scene alone or with a database, and never who it was."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import slicer
from pydicom.datadict import tag_for_keyword

from BottleneckOODLib.errors import InputError
from BottleneckOODLib.imaging.acquisition import FACTS, IDENTIFIERS
from BottleneckOODLib.scene.dicom_facts import (
    _TAG_OF,
    acquisition_of,
    modality_of,
    refusal_of_modality,
    stated_modality,
)
from BottleneckOODLib.scene.grids import image_data
from BottleneckOODLib.scene.volume_node import refusal_of, volume_from_node

HEADERS = {
    "0008,0060": "CT",
    "0008,0070": "MAKER",
    "0008,1090": "Scanner 3",
    "0018,0015": "ABDOMEN",
    "0018,0050": "2.5",
    "0018,0060": "120",
    "0018,1210": "B30f",
    "0018,5100": "HFS",
    "0018,0010": "Agent 350",
    "0018,1030": "Liver protocol",
    "0008,103e": "Abdomen portal venous for Jane Roe",
    "0010,0010": "Roe^Jane",
    "0010,0020": "12345",
    "0008,0080": "Some Hospital",
}
INSTANCE = "1.2.840.1.7"


@pytest.fixture
def a_series(a_scene: Any) -> Any:
    """A volume as it stands in the scene after loading a series."""
    node = a_scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "5: Abdomen")
    node.SetAttribute("DICOM.instanceUIDs", f"{INSTANCE} 1.2.840.1.8 1.2.840.1.9")
    return node


def database(**changes: str) -> Callable[[str, str], str]:
    headers = {**HEADERS, **{tag.replace("t", "").replace("_", ","): value for tag, value in changes.items()}}

    def tag_of(instance: str, tag: str) -> str:
        assert instance == INSTANCE
        return headers.get(tag, "")

    return tag_of


def say_in_the_hierarchy(scene: Any, node: Any, modality: str) -> None:
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    item = hierarchy.GetItemByDataNode(node) or hierarchy.CreateItem(hierarchy.GetSceneItemID(), node)
    hierarchy.SetItemAttribute(item, "DICOM.Modality", modality)


@pytest.mark.parametrize(
    ("said", "wanted"), [("CT", "CT"), ("MR", "MR"), ("PT", "unknown"), ("US", "unknown"), ("", "unknown")]
)
def test_the_scene_alone_tells_the_modality(a_scene: Any, a_series: Any, said: str, wanted: str) -> None:
    say_in_the_hierarchy(a_scene, a_series, said)
    assert modality_of(a_series) == wanted
    assert stated_modality(a_series) == said


@pytest.mark.parametrize(("said", "wanted"), [("CT", "CT"), ("MR", "MR"), ("NM", "unknown"), ("", "unknown")])
def test_else_the_database_tells_it(a_series: Any, said: str, wanted: str) -> None:
    assert modality_of(a_series) == "unknown"
    assert modality_of(a_series, database(t0008_0060=said)) == wanted
    assert stated_modality(a_series, database(t0008_0060=said)) == said


def test_a_volume_of_a_file_is_of_unknown_modality_and_has_no_facts(a_scene: Any) -> None:
    node = a_scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "from a file")

    def never(*_: str) -> str:
        pytest.fail("a volume without instances has nothing to look up")

    assert modality_of(node, never) == "unknown"
    assert acquisition_of(node, never) == {}
    assert acquisition_of(node, None) == {}


def test_a_volume_outside_of_any_scene_is_of_unknown_modality() -> None:
    assert modality_of(slicer.vtkMRMLScalarVolumeNode()) == "unknown"


def test_asking_makes_no_node_in_a_scene_without_a_hierarchy() -> None:
    scene = slicer.vtkMRMLScene()
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "x")
    before = scene.GetNumberOfNodes()
    assert modality_of(node) == "unknown"
    assert scene.GetNumberOfNodes() == before


def test_the_facts_are_those_of_a_file_s_headers_and_the_contrast_phase(a_series: Any) -> None:
    assert acquisition_of(a_series, database()) == {
        "manufacturer": "MAKER",
        "scanner_model": "Scanner 3",
        "kernel": "B30f",
        "patient_position": "HFS",
        "body_part": "ABDOMEN",
        "slice_thickness_mm": 2.5,
        "kvp": 120.0,
        "contrast_agent": "yes",
        "contrast_phase": "portal",
    }


def test_the_bounds_of_the_facts_are_those_of_a_file(a_series: Any) -> None:
    assert set(_TAG_OF) == {*FACTS, *IDENTIFIERS}
    for keyword, tag in _TAG_OF.items():
        number = tag_for_keyword(keyword)
        assert number is not None
        assert tag == f"{number >> 16:04x},{number & 0xFFFF:04x}"
    typed = {
        "t0008_0070": "scan of JANE", "t0008_1090": "4711081", "t0018_1210": "12.4.1963", "t0018_5100": "ROE",
        "t0018_0015": "LEBER", "t0018_0050": "19630412", "t0018_0060": "1e9",
    }  # fmt: skip
    facts = acquisition_of(a_series, database(**typed))
    assert facts == {"contrast_agent": "yes", "contrast_phase": "portal"}


def test_nothing_of_the_facts_tells_who_it_was(a_series: Any) -> None:
    told = repr(acquisition_of(a_series, database())).lower()
    assert not any(word in told for word in ("roe", "jane", "12345", "hospital", INSTANCE))


@pytest.mark.parametrize(
    ("description", "phase"),
    [
        ("ABD portal venous 3.0", "portal"),
        ("Abdomen_arteriell_1.5", "arterial"),
        ("LEBER ART", "arterial"),
        ("spätvenös", None),
        ("delayed 5 min", "late"),
        ("Abdomen nativ", "none"),
        ("without contrast", "none"),
        ("CT abdomen non-contrast", "none"),
        ("arterial and portal", None),
        ("party of article", None),
        ("", None),
    ],
)
def test_a_phase_is_taken_only_when_it_is_said_alone(a_series: Any, description: str, phase: str | None) -> None:
    facts = acquisition_of(a_series, database(**{"t0008_103e": description, "t0018_1030": ""}))
    assert facts.get("contrast_phase") == phase


@pytest.mark.parametrize("text", ["", "thin", "1e400", "nan", "-1"])
def test_a_number_that_is_none_is_left_out(a_series: Any, text: str) -> None:
    assert "slice_thickness_mm" not in acquisition_of(a_series, database(t0018_0050=text))


def test_a_ct_without_a_named_agent_says_so(a_series: Any) -> None:
    assert acquisition_of(a_series, database(t0018_0010=""))["contrast_agent"] == "not stated"
    assert "contrast_agent" not in acquisition_of(a_series, database(t0008_0060="MR"))


@pytest.mark.parametrize("said", ["PT", "NM", "US", "RTDOSE", "XA"])
@pytest.mark.parametrize("by", ["the scene", "the headers"])
def test_what_the_headers_say_is_no_ct_or_mr_is_refused_and_not_asked_about(
    a_scene: Any, a_series: Any, said: str, by: str
) -> None:
    a_series.SetAndObserveImageData(image_data(np.zeros((6, 5, 4), np.int16)))
    tag_of: Callable[[str, str], str] | None = database(t0008_0060=said)
    if by == "the scene":
        say_in_the_hierarchy(a_scene, a_series, said)
        with pytest.raises(InputError, match=f"is {said}; choose a CT or MR"):
            volume_from_node(a_series, "CT")
        tag_of = None
    sentence = f"The headers say that 5: Abdomen is {said}; choose a CT or MR volume."
    assert refusal_of(a_series, tag_of) == refusal_of_modality(a_series, tag_of) == sentence


@pytest.mark.parametrize("said", ["CT", "MR", "MRI", "OT", ""])
def test_what_is_ct_or_mr_or_not_told_is_not_refused(a_scene: Any, a_series: Any, said: str) -> None:
    a_series.SetAndObserveImageData(image_data(np.zeros((6, 5, 4), np.int16)))
    assert refusal_of(a_series, database(t0008_0060=said)) is None
    say_in_the_hierarchy(a_scene, a_series, said)
    assert refusal_of(a_series) is None
    assert volume_from_node(a_series).voxels.shape == (6, 5, 4)
