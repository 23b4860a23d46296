"""A real pip in throw-away environments, with a handful of tiny wheels and no network."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import subprocess
import venv
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

DRIVER = """
import json, sys, time
from pathlib import Path
from BottleneckOODLib.panel.dependencies import installation_plan, installed_versions
from BottleneckOODLib.panel.installation import Installation, PipProcess
from BottleneckOODLib.worker.python_command import plain_python
file = Path(sys.argv[1])
look = lambda: installation_plan(file=file, nvidia_card=False)
before, plan, told, outcome = installed_versions(), look(), [], None
if plan.packages:
    installation = Installation(plan, PipProcess(plain_python()), look_again=look, bundled=("Ood_Numbers", "pip"))
    while outcome is None:
        lines, outcome = installation.poll()
        told += lines
        time.sleep(0.01)
print(json.dumps({
    "before": before, "after": installed_versions(), "packages": plan.packages, "damaged": plan.damaged,
    "outcome": outcome and vars(outcome), "lines": told,
}))
"""
REQUIREMENTS = "torch>=2.6  # torch, 200\nood-net>=2.0  # ood_net, 1\nood-maps>=1.0  # ood_maps, 1, maps\n"


def a_wheel(folder: Path, name: str, version: str, *needs: str) -> None:
    """A package of one module with a second file, built by hand."""
    module = name.replace("-", "_")
    information = f"{module}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    files = {
        f"{module}/__init__.py": f'__version__ = "{version}"\n',
        f"{module}/more.py": "",
        f"{information}/METADATA": metadata + "".join(f"Requires-Dist: {need}\n" for need in needs),
        f"{information}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = ""
    for path, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        record += f"{path},sha256={digest},{len(text.encode())}\n"
    files[f"{information}/RECORD"] = record + f"{information}/RECORD,,\n"
    with zipfile.ZipFile(folder / f"{module}-{version}-py3-none-any.whl", "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)


class AnEnvironment:
    """A Python with pip, one bundled package, and a folder of wheels for all that it can ever install."""

    def __init__(self, folder: Path, wheels: Path, library: Path) -> None:
        self.folder, self.wheels = folder, wheels
        self.python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        self.packages = next(folder.rglob("site-packages"))
        own = ("PIP_", "PYTHON", "VIRTUAL_ENV")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(own)}
        # pip parts a list of folders at blanks, but not an address.
        only_here = {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": wheels.as_uri()}
        self.variables = {**kept, **only_here, "PYTHONPATH": str(library)}
        self.requirements = folder / "requirements.txt"
        self.requirements.write_text(REQUIREMENTS)

    def pip(self, *arguments: str) -> None:
        command = [self.python, "-m", "pip", *arguments]
        subprocess.run(command, env=self.variables, check=True, stdout=subprocess.DEVNULL)

    def run(self) -> dict[str, Any]:
        """One start of the module: look, and install what is missing."""
        command = [self.python, "-c", DRIVER, self.requirements]
        told = subprocess.run(command, env=self.variables, check=True, stdout=subprocess.PIPE, text=True)
        return dict(json.loads(told.stdout.splitlines()[-1]))


@pytest.fixture(scope="module")
def a_bare_environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("environment") / "venv"
    venv.create(folder, with_pip=True, symlinks=os.name != "nt")
    wheels = tmp_path_factory.mktemp("bundled")
    a_wheel(wheels, "ood-numbers", "1.0")
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    command = [python, "-m", "pip", "install", "--no-index", "--find-links", wheels, "ood-numbers"]
    subprocess.run(command, check=True, capture_output=True)
    return folder


@pytest.fixture
def an_environment(a_bare_environment: Path, tmp_path: Path, repository: Path) -> AnEnvironment:
    wheels = tmp_path / "wheels mit Umläuten"
    wheels.mkdir()
    a_wheel(wheels, "ood-numbers", "1.0")
    a_wheel(wheels, "ood-numbers", "2.0")
    a_wheel(wheels, "torch", "2.9", "ood-numbers")
    a_wheel(wheels, "ood-net", "1.0")
    a_wheel(wheels, "ood-net", "2.5", "ood-numbers>=1.0", "torch")
    a_wheel(wheels, "ood-maps", "1.1")
    folder = tmp_path / "venv"
    shutil.copytree(a_bare_environment, folder, symlinks=True)
    return AnEnvironment(folder, wheels, repository / "BottleneckOOD")


def bundled_in(versions: dict[str, str]) -> dict[str, str]:
    return {name: versions[name] for name in ("ood-numbers", "pip")}


def test_everything_is_installed_and_nothing_bundled_changes(an_environment: AnEnvironment) -> None:
    first = an_environment.run()
    assert first["packages"] == ["torch>=2.6", "ood-net>=2.0", "ood-maps>=1.0"]
    assert first["outcome"]["complete"], first["outcome"]
    assert first["outcome"]["sentence"] == "Everything that the model needs is installed."
    assert bundled_in(first["after"]) == bundled_in(first["before"])
    assert first["outcome"]["changed"] == []
    assert {name: first["after"][name] for name in ("torch", "ood-net", "ood-maps")} == {
        "torch": "2.9",
        "ood-net": "2.5",
        "ood-maps": "1.1",
    }
    assert any("Successfully installed" in line for line in first["lines"])
    second = an_environment.run()
    assert second["packages"] == []
    assert second["outcome"] is None


def test_a_missing_wheel_is_the_no_network_sentence_with_a_way_out(an_environment: AnEnvironment) -> None:
    (an_environment.wheels / "ood_net-2.5-py3-none-any.whl").unlink()
    failed = an_environment.run()
    assert not failed["outcome"]["complete"]
    assert "could not be downloaded" in failed["outcome"]["sentence"]
    offline = '--no-index --find-links packages --constraint bundled.txt "torch>=2.6" "ood-net>=2.0"'
    assert offline in failed["outcome"]["log"]
    assert bundled_in(failed["after"]) == bundled_in(failed["before"])
    a_wheel(an_environment.wheels, "ood-net", "2.5")
    second = an_environment.run()
    assert second["packages"] == ["ood-net>=2.0", "ood-maps>=1.0"]
    assert second["outcome"]["complete"]


def test_what_does_not_go_with_the_bundled_is_refused_and_nothing_changes(an_environment: AnEnvironment) -> None:
    a_wheel(an_environment.wheels, "torch", "2.9", "ood-numbers>=2.0")
    failed = an_environment.run()
    assert not failed["outcome"]["complete"]
    assert "do not go with what Slicer brings along" in failed["outcome"]["sentence"]
    assert failed["after"] == failed["before"]


def test_an_old_version_is_replaced(an_environment: AnEnvironment) -> None:
    an_environment.pip("install", "ood-net==1.0")
    run = an_environment.run()
    assert run["before"]["ood-net"] == "1.0"
    assert run["outcome"]["complete"]
    assert run["after"]["ood-net"] == "2.5"
    assert run["damaged"] == []


def lose_the_module(packages: Path) -> None:
    shutil.rmtree(packages / "ood_net")


def lose_a_file(packages: Path) -> None:
    (packages / "ood_net" / "more.py").unlink()


def lose_the_start_file(packages: Path) -> None:
    (packages / "ood_net" / "__init__.py").unlink()


def lose_the_record(packages: Path) -> None:
    (packages / "ood_net-2.5.dist-info" / "RECORD").unlink()


def lose_the_information(packages: Path) -> None:
    shutil.rmtree(packages / "ood_net-2.5.dist-info")


def lose_the_metadata(packages: Path) -> None:
    (packages / "ood_net-2.5.dist-info" / "METADATA").write_text("")


@pytest.mark.parametrize(
    "lose",
    [
        lose_the_module, lose_a_file, lose_the_start_file, lose_the_record, lose_the_information, lose_the_metadata,
    ],
)  # fmt: skip
def test_a_half_finished_installation_is_repaired_at_the_second_start(
    an_environment: AnEnvironment, lose: Callable[[Path], None]
) -> None:
    an_environment.pip("install", "torch", "ood-net", "ood-maps")
    lose(an_environment.packages)
    second = an_environment.run()
    assert second["packages"] == ["ood-net>=2.0"]
    assert second["damaged"] == ["ood-net"]
    assert second["outcome"]["complete"], second["outcome"]
    assert bundled_in(second["after"]) == bundled_in(second["before"])
    uses = "import ood_net.more; assert ood_net.__version__ == '2.5'"
    subprocess.run([an_environment.python, "-c", uses], check=True)
    assert an_environment.run()["packages"] == []
