"""What the worker needs and is not there, found without importing any of it; and what installing it must not change."""

from __future__ import annotations

import csv
import importlib
import importlib.util
import re
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

from BottleneckOODLib.errors import DependencyError

REQUIREMENTS_FILE = Path(__file__).resolve().parents[2] / "Resources" / "requirements.txt"
# What Slicer brings along, and what that needs: an installation leaves each of these at its version.
BUNDLED = (
    "certifi", "cffi", "chardet", "charset-normalizer", "couchdb", "cryptography", "dicomweb-client", "GitPython",
    "highdicom", "idna", "itk", "numpy", "packaging", "Pillow", "pip", "pydicom", "PyGithub", "PyJWT", "PyNaCl",
    "python-dateutil", "requests", "scipy", "setuptools", "SimpleITK", "six", "urllib3", "vtk", "wheel", "wrapt",
)  # fmt: skip
_LINE = re.compile(r"(?P<name>[\w.-]+)>=(?P<floor>[\d.]+)\s+#\s*(?P<module>\w+),\s*(?P<mb>\d+)(?:,\s*(?P<purpose>.+))?")
_MOST_FILES_LOOKED_AT = 300
# From this version on the licences lie in folders that pip cannot make below Slicer's own on Windows, whose
# long paths are off by default: https://github.com/Slicer/light-the-torch/issues/176
_TOO_DEEP_FOR_WINDOWS = {"torch": "2.13"}
# torch for an NVIDIA card comes with CUDA's own libraries.
_TORCH_WITH_CUDA_MB = 2800
_MB_PER_MINUTE = 300
_MB_PER_GB = 1000

State = Literal["there", "missing", "too old", "damaged"]


@dataclass(frozen=True)
class Requirement:
    """A package that the worker imports.

    Attributes:
        name: Its name for pip.
        floor: The lowest version that will do.
        module: What is imported.
        download_mb: About how much is downloaded, with what it needs in turn.
        purpose: What it is for; empty when every case needs it.
    """

    name: str
    floor: str
    module: str
    download_mb: int
    purpose: str = ""

    @property
    def specification(self) -> str:
        """As pip reads it."""
        too_deep = _TOO_DEEP_FOR_WINDOWS.get(self.name) if sys.platform == "win32" else None
        return f"{self.name}>={self.floor}" + (f",<{too_deep}" if too_deep else "")


@dataclass(frozen=True)
class Plan:
    """What has to be installed.

    Attributes:
        packages: pip's specification of each; empty when nothing is missing.
        torch: The one of torch, installed first and apart, as its build depends on the card; empty when not missing.
        damaged: Names of those that are half installed and are put right first.
        needed: Whether a case cannot be assessed without them.
        download_size_text: About how much is downloaded.
        time_text: About how long that takes.
        question: What the user is asked; empty when nothing is missing.
    """

    packages: tuple[str, ...] = ()
    torch: str = ""
    damaged: tuple[str, ...] = ()
    needed: bool = False
    download_size_text: str = ""
    time_text: str = ""
    question: str = ""


def requirements(file: Path = REQUIREMENTS_FILE) -> tuple[Requirement, ...]:
    """What the requirements file asks for.

    Raises:
        DependencyError: It is missing or damaged.
    """
    found = []
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        message = f"The file {file.name} of the extension cannot be read; install the extension again."
        raise DependencyError(message) from None
    for line in lines:
        if not line.strip() or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line.strip())
        if match is None:
            message = f"The file {file.name} of the extension is damaged; install the extension again."
            raise DependencyError(message)
        found.append(
            Requirement(match["name"], match["floor"], match["module"], int(match["mb"]), match["purpose"] or "")
        )
    return tuple(found)


def state_of(requirement: Requirement) -> State:
    """Whether a package is there, without importing it; one that an installation left half done is damaged."""
    importlib.invalidate_caches()
    spec = importlib.util.find_spec(requirement.module)
    # A folder without an __init__.py is what is left of a package.
    importable = spec is not None and spec.origin is not None
    distribution = _distribution(requirement.name)
    if distribution is None:
        return "damaged" if spec is not None else "missing"
    files, version = _recorded(distribution), distribution.metadata["Version"]
    if not importable or not files or not version or not _all_there(files):
        return "damaged"
    return "there" if _numbers(version) >= _numbers(requirement.floor) else "too old"


def installation_plan(
    *,
    purposes: Sequence[str] | None = None,
    file: Path = REQUIREMENTS_FILE,
    state: Callable[[Requirement], State] = state_of,
    nvidia_card: bool | None = None,
) -> Plan:
    """What has to be installed, and the one question for it.

    Args:
        purposes: Which optional packages are wanted too, by their purpose; None takes all of them.
        file: The requirements file.
        state: Tells the state of a package.
        nvidia_card: Whether torch is fetched for an NVIDIA card; None looks for its driver's tool.
    """
    wanted = [r for r in requirements(file) if not r.purpose or purposes is None or r.purpose in purposes]
    states = {requirement: state(requirement) for requirement in wanted}
    lacking = [requirement for requirement in wanted if states[requirement] != "there"]
    if not lacking:
        return Plan()
    with_card = shutil.which("nvidia-smi") is not None if nvidia_card is None else nvidia_card
    size_mb = sum(_TORCH_WITH_CUDA_MB if r.module == "torch" and with_card else r.download_mb for r in lacking)
    size, time = _size_text(size_mb), _time_text(size_mb)
    damaged = tuple(r.name for r in lacking if states[r] == "damaged")
    repair = " Some of them are there but damaged, and are put right." if damaged else ""
    names = ", ".join(r.name if not r.purpose else f"{r.name} (for {r.purpose})" for r in lacking)
    return Plan(
        packages=tuple(r.specification for r in lacking),
        torch=next((r.specification for r in lacking if r.module == "torch"), ""),
        damaged=damaged,
        needed=any(not r.purpose for r in lacking),
        download_size_text=size,
        time_text=time,
        question=(
            f"The model needs Python packages that are not installed in Slicer yet: {names}.{repair} "
            f"Install them now? Downloads {size} and takes {time}; what Slicer brings along stays as it is."
        ),
    )


def lacking_for(purpose: str, state: Callable[[Requirement], State] = state_of) -> str:
    """Names of what an optional purpose lacks, joined for a sentence; empty where it lacks nothing."""
    lacking = [r.specification for r in requirements() if r.purpose == purpose and state(r) in ("missing", "damaged")]
    return " and ".join(lacking)


def installed_versions() -> dict[str, str]:
    """Version of every package that is installed, by its name as pip compares it."""
    importlib.invalidate_caches()
    return {
        _canonical(name): str(distribution.metadata["Version"])
        for distribution in metadata.distributions()
        if (name := distribution.metadata["Name"])
    }


def constraints(installed: Mapping[str, str], bundled: Sequence[str] = BUNDLED) -> str:
    """A constraints file that keeps each bundled package at the version that is installed.

    >>> constraints({"numpy": "1.26.4", "torch": "2.8.0"}, ("numpy", "vtk"))
    'numpy==1.26.4\\n'
    """
    known = {_canonical(name) for name in bundled}
    return "".join(f"{name}=={version}\n" for name, version in sorted(installed.items()) if name in known)


def what_changed(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[str, ...]:
    """Every package that was there and is not as it was; a new one changes nothing.

    >>> what_changed({"a": "1", "b": "2"}, {"a": "1", "b": "3", "c": "1"})
    ('b 2 became 3',)
    """
    return tuple(
        f"{name} {version} became {after[name]}" if name in after else f"{name} {version} was removed"
        for name, version in sorted(before.items())
        if after.get(name) != version
    )


def remove_remains(names: Sequence[str]) -> None:
    """Let pip install damaged packages anew: it takes one for installed as long as its record lies there.

    Raises:
        DependencyError: The record cannot be removed.
    """
    for name in names:
        distribution = _distribution(name)
        folder = None if distribution is None else getattr(distribution, "_path", None)
        if folder is None or Path(folder).suffix != ".dist-info":
            continue
        try:
            shutil.rmtree(Path(folder))
        except OSError:
            message = f"The damaged package {name} cannot be removed; close Slicer, start it again, and try once more."
            raise DependencyError(message) from None


def _distribution(name: str) -> metadata.Distribution | None:
    try:
        return metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return None


def _recorded(distribution: metadata.Distribution) -> list[Path]:
    """The files that a package was installed with; ``Distribution.files`` leaves out what is lost since Python 3.12."""
    record = distribution.read_text("RECORD")
    if record is None:
        return [Path(str(file.locate())) for file in distribution.files or ()]
    return [Path(str(distribution.locate_file(line[0]))) for line in csv.reader(record.splitlines()) if line]


def _all_there(files: Sequence[Path]) -> bool:
    """Whether files of a package exist: all of a small one's, every so many of a large one's."""
    of_code = [file for file in files if file.suffix in (".py", ".so", ".pyd", ".dll")]
    step = max(1, len(of_code) // _MOST_FILES_LOOKED_AT)
    return all(file.exists() for file in of_code[::step])


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _numbers(version: str) -> tuple[int, ...]:
    """The release of a version, for comparing; a pre-release counts as its release."""
    match = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(int(part) for part in match.group().split(".")) if match else ()


def _size_text(mb: int) -> str:
    return f"about {mb} MB" if mb < _MB_PER_GB else f"about {mb / _MB_PER_GB:.1f} GB"


def _time_text(mb: int) -> str:
    minutes = max(1, round(mb / _MB_PER_MINUTE))
    return "about a minute" if minutes == 1 else f"about {minutes} minutes"
