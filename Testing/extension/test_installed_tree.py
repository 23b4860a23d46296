"""What Slicer installed works by itself: without the checkout and without an installed package."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from bare_python import bare_python

WHERE = """
import json, sys, BottleneckOODLib
from BottleneckOODLib.catalogue import find_model, find_reference
from BottleneckOODLib.resources import resource_folder
print(json.dumps({
    "library": BottleneckOODLib.__file__,
    "model": str(find_model("demo")),
    "reference": str(find_reference("demo")),
    "samples": str(resource_folder() / "samples"),
    "path": sys.path,
}))
"""
ASSESS = """
import json
from BottleneckOODLib import BottleneckOODLogic
from BottleneckOODLib.resources import resource_folder
logic = BottleneckOODLogic(model="demo", device="cpu")
assessment = logic.assess(resource_folder() / "samples" / "sample-usual.nii.gz")
print(json.dumps({
    "light": assessment.light,
    "sentence": assessment.sentence,
    "case_id": assessment.case_id,
    "n_cases": assessment.reference.n_cases,
    "marked": int((assessment.segmentation.labels > 0).sum()),
}))
"""


def python_in(module_folder: Path, cwd: Path, code: str) -> dict[str, Any]:
    """What code says last, run with the installed folder."""
    done = bare_python(module_folder, cwd, "-c", code)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout.splitlines()[-1])
    assert isinstance(answer, dict)
    return answer


@pytest.fixture(params=["installed", "built"])
def either_tree(request: pytest.FixtureRequest, module_folder: Path, build_tree: Path) -> Path:
    return module_folder if request.param == "installed" else build_tree / "lib" / "Slicer-5.10" / "qt-scripted-modules"


def test_library_model_reference_and_samples_are_the_tree_s_own(either_tree: Path, tmp_path: Path) -> None:
    told = python_in(either_tree, tmp_path, WHERE)
    library = either_tree.resolve() / "BottleneckOODLib"
    assert {name: Path(told[name]).resolve() for name in ("library", "model", "reference", "samples")} == {
        "library": library / "__init__.py",
        "model": library / "_resources" / "models" / "demo",
        "reference": library / "_resources" / "references" / "demo",
        "samples": library / "_resources" / "samples",
    }


def test_what_lies_beside_the_library_s_scripts_is_there_too(either_tree: Path, repository: Path) -> None:
    library = repository / "BottleneckOOD" / "BottleneckOODLib"
    others = {path.relative_to(library) for kind in ("html", "css", "js") for path in library.rglob(f"*.{kind}")}
    assert len(others) > 3
    for name in others:
        assert (either_tree / "BottleneckOODLib" / name).read_bytes() == (library / name).read_bytes()


def test_the_checkout_cannot_be_reached(module_folder: Path, repository: Path, tmp_path: Path) -> None:
    reachable = {Path(entry).resolve() for entry in python_in(module_folder, tmp_path, WHERE)["path"] if entry}
    assert module_folder.resolve() in reachable
    assert not {repository, repository / "BottleneckOOD"} & reachable


def test_the_embedded_sample_is_assessed_and_the_tree_stays_as_it_was(module_folder: Path, tmp_path: Path) -> None:
    """Slicer may lie where its user cannot write."""

    def everything() -> dict[str, int]:
        return {str(path.relative_to(module_folder)): path.stat().st_mtime_ns for path in module_folder.rglob("*")}

    before = everything()
    told = python_in(module_folder, tmp_path, ASSESS)
    reference = module_folder / "BottleneckOODLib" / "_resources" / "references" / "demo" / "reference.json"
    assert told["light"] == "green"
    assert told["case_id"] == "sample-usual"
    assert told["n_cases"] == json.loads(reference.read_text(encoding="utf-8"))["n_cases"]
    assert told["marked"] > 1000
    assert everything() == before
