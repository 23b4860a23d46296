"""What a user installs: the wheel alone, without the checkout, runs the whole main job."""

from __future__ import annotations

import csv
import email
import importlib.util
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from bare_python import bare_python

from BottleneckOODLib import __version__

SAMPLES = {"sample-usual", "sample-unusual"}
WHERE = """
import json, BottleneckOODLib
from BottleneckOODLib.catalogue import find_model, find_reference
from BottleneckOODLib.resources import resource_folder
print(json.dumps({
    "library": BottleneckOODLib.__file__,
    "model": str(find_model("demo")),
    "reference": str(find_reference("demo")),
    "samples": str(resource_folder() / "samples"),
}))
"""

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("hatchling") is None, reason="hatchling builds the wheel and is not installed"
)


def pip(*arguments: object) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def wheel(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    # Neither isolation nor an index: what is pinned builds it, and no network is asked.
    pip("wheel", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", folder, repository)
    [built] = folder.iterdir()
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("installed")
    pip("install", "--no-deps", "--no-index", "--no-compile", "--target", folder, wheel)
    return folder


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("elsewhere")


@pytest.fixture(scope="module")
def the_demo(installed: Path, elsewhere: Path) -> subprocess.CompletedProcess[str]:
    return bare_python(installed, elsewhere, "-m", "BottleneckOODLib.cli.main", "demo", "--output", "results")


def records(elsewhere: Path) -> dict[str, dict[str, dict[str, object]]]:
    return {
        path.parent.name: json.loads(path.read_text(encoding="utf-8"))
        for path in (elsewhere / "results").glob("*/assessment.json")
    }


def test_the_wheel_is_of_this_version_and_holds_no_rest(wheel: Path) -> None:
    assert wheel.name == f"bottleneck_ood-{__version__}-py3-none-any.whl"
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names} == {"BottleneckOODLib", f"bottleneck_ood-{__version__}.dist-info"}
    assert not [name for name in names if "__pycache__" in name or Path(name).name.startswith((".", "test_"))]


def test_the_wheel_holds_every_file_of_the_library_and_its_resources(wheel: Path, repository: Path) -> None:
    library, resources = repository / "BottleneckOOD" / "BottleneckOODLib", repository / "Resources"
    own = [path for path in library.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    needed = {f"BottleneckOODLib/{path.relative_to(library).as_posix()}" for path in own}
    for kind in ("models", "references", "samples"):
        needed |= {
            f"BottleneckOODLib/_resources/{path.relative_to(resources).as_posix()}"
            for path in (resources / kind).rglob("*")
            if path.is_file() and not path.name.startswith(".")
        }
    assert len(needed) > 50
    assert needed <= set(zipfile.ZipFile(wheel).namelist())


def test_the_wheel_names_its_command_its_licence_and_its_python(wheel: Path) -> None:
    archive, information = zipfile.ZipFile(wheel), f"bottleneck_ood-{__version__}.dist-info"
    entry_points = archive.read(f"{information}/entry_points.txt").decode()
    assert "bottleneck-ood = BottleneckOODLib.cli.main:main" in entry_points
    metadata = email.message_from_bytes(archive.read(f"{information}/METADATA"))
    assert metadata["License-Expression"] == "Apache-2.0"
    assert set(metadata["Requires-Python"].split(",")) == {">=3.10", "<3.14"}
    assert b"Apache License" in archive.read(f"{information}/licenses/LICENSE")


def test_model_reference_and_samples_lie_in_the_installed_package(installed: Path, elsewhere: Path) -> None:
    done = bare_python(installed, elsewhere, "-c", WHERE)
    assert done.returncode == 0, done.stderr
    package = installed.resolve() / "BottleneckOODLib"
    assert {name: Path(path).resolve() for name, path in json.loads(done.stdout).items()} == {
        "library": package / "__init__.py",
        "model": package / "_resources" / "models" / "demo",
        "reference": package / "_resources" / "references" / "demo",
        "samples": package / "_resources" / "samples",
    }


def test_the_checkout_cannot_be_reached(installed: Path, elsewhere: Path, repository: Path) -> None:
    done = bare_python(installed, elsewhere, "-c", "import sys; print(*sys.path, sep='\\n')")
    reachable = [Path(line).resolve() for line in done.stdout.splitlines() if line]
    assert installed.resolve() in reachable
    assert not {repository, repository / "BottleneckOOD"} & set(reachable)


def test_the_demo_runs_elsewhere_and_ends_well(the_demo: subprocess.CompletedProcess[str]) -> None:
    assert the_demo.returncode == 0, the_demo.stderr
    assert "Traceback" not in the_demo.stderr
    assert all(f"{sample}: Judging" in the_demo.stderr.splitlines() for sample in SAMPLES)
    assert the_demo.stdout.splitlines()[-1].endswith("Not for clinical use.")


def test_the_demo_assesses_both_samples_with_the_installed_model(
    the_demo: subprocess.CompletedProcess[str], installed: Path, elsewhere: Path
) -> None:
    assert the_demo.returncode == 0
    told = records(elsewhere)
    assert set(told) == SAMPLES
    resources = installed / "BottleneckOODLib" / "_resources"
    model = json.loads((resources / "models" / "demo" / "model.json").read_text(encoding="utf-8"))
    with (resources / "references" / "demo" / "cases.csv").open(newline="", encoding="utf-8") as stream:
        n_cases = len(list(csv.DictReader(stream)))
    for record in told.values():
        assert record["model"]["fingerprint"] == model["fingerprint"]
        assert record["reference"]["n_cases"] == n_cases


def test_the_demo_s_lights_are_what_its_samples_are_named_for(
    the_demo: subprocess.CompletedProcess[str], elsewhere: Path
) -> None:
    assert the_demo.returncode == 0
    lights = {name: record["ood"]["light"] for name, record in records(elsewhere).items()}
    assert lights["sample-usual"] == "green"
    assert lights["sample-unusual"] in {"amber", "red"}


def test_the_demo_writes_every_file_of_a_case(the_demo: subprocess.CompletedProcess[str], elsewhere: Path) -> None:
    assert the_demo.returncode == 0
    for sample in SAMPLES:
        files = {path.name: path.stat().st_size for path in (elsewhere / "results" / sample).iterdir()}
        pictures = {"overview.png", "thumbnail.jpg"}
        assert set(files) == {"assessment.json", "segmentation.seg.nrrd", "unusual-regions.nrrd", *pictures}
        assert min(files.values()) > 100


def test_nothing_is_written_beside_the_output(the_demo: subprocess.CompletedProcess[str], elsewhere: Path) -> None:
    assert the_demo.returncode == 0
    assert [path.name for path in elsewhere.iterdir()] == ["results"]


def test_the_installed_command_refuses_a_bad_input_in_one_sentence(installed: Path, elsewhere: Path) -> None:
    done = bare_python(
        installed, elsewhere, "-m", "BottleneckOODLib.cli.main", "assess", "gone.nii.gz", "--output", "refused"
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[-1].startswith("bottleneck-ood: The file gone.nii.gz does not exist")
    assert not (elsewhere / "refused").exists()
