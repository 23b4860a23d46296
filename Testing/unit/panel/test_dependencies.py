from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path

import pytest

from BottleneckOODLib.errors import DependencyError, OutputError
from BottleneckOODLib.panel.dependencies import (
    Plan,
    Requirement,
    constraints,
    installation_plan,
    requirements,
    state_of,
    what_changed,
)
from BottleneckOODLib.panel.installation import Ended, Installation, Outcome, offline_help


class ScriptedPip:
    """Says what the test tells it to."""

    def __init__(self, *answers: tuple[list[str], int]) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, list[str]]] = []
        self.held: list[str] = []
        self.stopped = False
        self._coming: list[str | Ended] = []

    def start(self, module: str, arguments: Sequence[str]) -> None:
        self.asked.append((module, list(arguments)))
        self.held.append(Path(arguments[arguments.index("--constraint") + 1]).read_text(encoding="utf-8"))
        lines, code = self.answers.pop(0)
        self._coming = [*lines, Ended(code)]

    def poll(self) -> list[str | Ended]:
        coming, self._coming = self._coming, []
        return coming

    def stop(self) -> None:
        self.stopped = True


A_PLAN = Plan(("torch>=2.6", "monai>=1.5.2"), "torch>=2.6", needed=True, download_size_text="about 202 MB")
THERE = {"numpy": "1.26.4", "simpleitk": "2.4.0"}


def carried_out(pip: ScriptedPip, **changes: object) -> Outcome:
    fields: dict[str, object] = {"look_again": Plan, "versions": lambda: THERE, **changes}
    installation = Installation(A_PLAN, pip, **fields)  # type: ignore[arg-type]
    for _ in range(10):
        _, outcome = installation.poll()
        if outcome is not None:
            return outcome
    raise AssertionError("it never ended")


def test_the_file_asks_for_what_the_project_asks_for(repository: Path) -> None:
    project = (repository / "pyproject.toml").read_text(encoding="utf-8")
    block = re.search(r"^dependencies = \[$(.*?)^\]$", project, re.MULTILINE | re.DOTALL)
    assert block is not None
    of_the_project = {re.split(r"[<>=]", line)[0]: line for line in re.findall(r'"([^"]+)"', block.group(1))}
    asked = requirements()
    assert {r.module for r in asked if not r.purpose} == {"torch", "monai", "einops", "safetensors"}
    assert all(of_the_project[r.name] == f"{r.name}>={r.floor}" for r in asked)
    # The others are Slicer's own, or draw pictures, evaluate and complete commands, which the panel does not.
    brought = {"numpy", "scipy", "SimpleITK", "pydicom", "highdicom"}
    assert set(of_the_project) - {r.name for r in asked} == brought | {"matplotlib", "plotly", "scikit-learn", "shtab"}


def test_everything_is_there_in_this_environment_and_asks_nothing() -> None:
    assert {state_of(requirement) for requirement in requirements()} == {"there"}
    assert installation_plan() == Plan()


def test_a_lost_file_is_noticed_also_where_python_lists_only_what_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ood_whole").mkdir()
    (tmp_path / "ood_whole-2.0.dist-info").mkdir()
    for name in ("ood_whole/__init__.py", "ood_whole/more.py"):
        (tmp_path / name).write_text("")
    (tmp_path / "ood_whole-2.0.dist-info" / "METADATA").write_text("Name: ood-whole\nVersion: 2.0\n")
    (tmp_path / "ood_whole-2.0.dist-info" / "RECORD").write_text("ood_whole/__init__.py,,\nood_whole/more.py,,\n")
    monkeypatch.syspath_prepend(tmp_path)
    files = metadata.Distribution.files.fget
    left = property(lambda self: [file for file in files(self) or () if Path(str(file.locate())).exists()])
    monkeypatch.setattr(metadata.Distribution, "files", left)  # as Python 3.12 has it
    wanted = Requirement("ood-whole", "1.0", "ood_whole", 1, "")
    assert state_of(wanted) == "there"
    (tmp_path / "ood_whole" / "more.py").unlink()
    assert state_of(wanted) == "damaged"


def test_looking_imports_nothing_heavy(in_a_fresh_interpreter: Callable[[str], set[str]]) -> None:
    loaded = in_a_fresh_interpreter("BottleneckOODLib.panel.dependencies as d; d.installation_plan()")
    assert not {"torch", "monai", "einops", "safetensors", "umap", "faiss", "numpy"} & loaded


@pytest.mark.parametrize(
    ("system", "asked"), [("win32", "torch>=2.6,<2.13"), ("linux", "torch>=2.6"), ("darwin", "torch>=2.6")]
)
def test_windows_gets_no_torch_whose_paths_are_too_long_for_it(
    system: str, asked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("BottleneckOODLib.panel.dependencies.sys.platform", system)
    plan = installation_plan(state=lambda _: "missing", nvidia_card=False)
    assert plan.torch == asked
    assert asked in plan.packages
    # A newer one that is there already works.
    assert installation_plan(state=lambda _: "there") == Plan()


def test_the_question_says_what_how_large_and_how_long() -> None:
    plan = installation_plan(state=lambda _: "missing", nvidia_card=False)
    assert plan.torch.startswith("torch>=2.6")
    assert plan.packages[0] == plan.torch
    for words in ("torch", "umap-learn (for building references)", plan.download_size_text, plan.time_text, "now?"):
        assert words in plan.question
    assert "damaged" not in plan.question
    with_card = installation_plan(state=lambda _: "missing", nvidia_card=True)
    assert "GB" in with_card.download_size_text
    assert "minutes" in with_card.time_text


def test_optional_packages_are_needed_for_their_purpose_only() -> None:
    def only_umap(requirement: Requirement) -> str:
        return "missing" if requirement.name == "umap-learn" else "there"

    assert installation_plan(purposes=(), state=only_umap) == Plan()
    plan = installation_plan(purposes=("building references",), state=only_umap)
    assert plan.packages == ("umap-learn>=0.5.6",)
    assert not plan.needed
    assert plan.torch == ""


def test_a_damaged_package_is_named_and_said() -> None:
    plan = installation_plan(state=lambda r: "damaged" if r.name == "torch" else "there", nvidia_card=False)
    assert plan.damaged == ("torch",)
    assert "damaged, and are put right" in plan.question


@pytest.mark.parametrize("text", ["torch\n", "torch>=2.6 # torch\n", "torch==2.6  # torch, 1\n"])
def test_a_damaged_file_is_a_sentence(tmp_path: Path, text: str) -> None:
    file = tmp_path / "requirements.txt"
    file.write_text(text)
    with pytest.raises(DependencyError, match="is damaged"):
        requirements(file)
    with pytest.raises(DependencyError, match="cannot be read"):
        requirements(tmp_path / "nothing.txt")


def test_constraints_hold_what_slicer_brings_whatever_the_spelling() -> None:
    installed = {"numpy": "2.1", "pillow": "11.0", "gitpython": "3.1", "torch": "2.9", "charset-normalizer": "3.4"}
    held = constraints(installed).splitlines()
    assert held == ["charset-normalizer==3.4", "gitpython==3.1", "numpy==2.1", "pillow==11.0"]


def test_a_removed_package_is_a_change() -> None:
    assert what_changed({"numpy": "1", "vtk": "9"}, {"numpy": "2", "torch": "2"}) == (
        "numpy 1 became 2",
        "vtk 9 was removed",
    )


def test_torch_comes_first_and_everything_is_held(tmp_path: Path) -> None:
    pip = ScriptedPip((["Collecting torch"], 0), ([], 0))
    outcome = carried_out(pip)
    assert outcome.complete
    assert outcome.log == "Collecting torch"
    assert [(module, asked[1]) for module, asked in pip.asked] == [("pip", "torch>=2.6"), ("pip", "--requirement")]
    assert pip.held == ["numpy==1.26.4\nsimpleitk==2.4.0\n"] * 2
    assert not Path(pip.asked[0][1][-1]).exists()


def test_with_the_pytorch_extension_the_build_is_chosen_for_the_card() -> None:
    pip = ScriptedPip(([], 0), ([], 0), ([], 0))
    assert carried_out(pip, torch_module="light_the_torch").complete
    assert [module for module, _ in pip.asked] == ["pip", "light_the_torch", "pip"]
    assert pip.asked[0][1][1].startswith("light-the-torch")
    assert pip.asked[1][1][:2] == ["install", "torch>=2.6"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("WARNING: Retrying after connection broken by 'NewConnectionError('...: [Errno -3]')", "network"),
        ("ERROR: Could not find a version that satisfies the requirement torch>=2.6 (from versions: none)", "network"),
        ("pip._vendor.urllib3.exceptions.ReadTimeoutError: HTTPSConnectionPool: Read timed out.", "network"),
        ("ERROR: Could not install packages: [Errno 28] No space left on device", "disk is full; free about"),
        ("OSError: [WinError 112] There is not enough space on the disk", "disk is full"),
        ("SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED]", "certificate"),
        ("ERROR: Could not install packages: [Errno 13] Permission denied: '/opt/x'", "cannot be written"),
        ("ERROR: ResolutionImpossible: for help visit", "do not go with"),
        ("OSError: [WinError 206] The filename or extension is too long: 'C:/x'", "path because it is too long"),
        ("HINT: ... does not have Windows Long Path support enabled.", "path because it is too long"),
        ("Segmentation fault", "can be started again"),
    ],
)  # fmt: skip
def test_each_failure_is_one_sentence_and_stops_there(line: str, said: str) -> None:
    pip = ScriptedPip((["Collecting torch", line], 1))
    outcome = carried_out(pip)
    assert not outcome.complete
    assert said in outcome.sentence
    assert "\n" not in outcome.sentence
    assert line in outcome.log
    assert ("--no-index --find-links" in outcome.log) is ("without" in outcome.sentence)
    assert outcome.changed == ()


def test_a_changed_package_asks_for_a_restart() -> None:
    seen = iter([THERE, {**THERE, "numpy": "2.0.0"}])
    outcome = carried_out(ScriptedPip(([], 0), ([], 0)), versions=lambda: next(seen))
    assert outcome.changed == ("numpy 1.26.4 became 2.0.0",)
    assert outcome.restart
    assert "Start Slicer again" in outcome.sentence


def test_what_is_still_missing_is_said() -> None:
    outcome = carried_out(ScriptedPip(([], 0), ([], 0)), look_again=lambda: Plan(packages=("monai>=1.5.2",)))
    assert not outcome.complete
    assert "monai>=1.5.2" in outcome.sentence


def test_stopping_ends_pip() -> None:
    pip = ScriptedPip((["Downloading"], 0), ([], 0))
    installation = Installation(A_PLAN, pip, look_again=Plan, versions=lambda: THERE)
    outcome = installation.stop()
    assert pip.stopped
    assert not outcome.complete
    assert "can be started again" in outcome.sentence


def test_a_temporary_folder_that_cannot_be_used_is_one_sentence_and_nothing_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    removed: list[Sequence[str]] = []
    monkeypatch.setattr("BottleneckOODLib.panel.installation.remove_remains", removed.append)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    pip = ScriptedPip()
    with pytest.raises(OutputError, match="temporary folder cannot be written"):
        Installation(A_PLAN, pip, look_again=Plan, versions=lambda: THERE)
    assert removed == []
    assert pip.asked == []


def test_a_temporary_folder_that_is_full_is_one_sentence_and_is_left_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_arguments: object, **_keywords: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OutputError, match="temporary folder cannot be written"):
        Installation(A_PLAN, ScriptedPip(), look_again=Plan, versions=lambda: THERE)
    assert list(tmp_path.iterdir()) == []


def test_a_list_of_requirements_that_is_damaged_afterwards_ends_it_with_that_sentence() -> None:
    def look_again() -> Plan:
        message = "The file requirements.txt is damaged."
        raise DependencyError(message)

    outcome = carried_out(ScriptedPip((["Collecting torch"], 0), ([], 0)), look_again=look_again)
    assert not outcome.complete
    assert outcome.sentence == "The file requirements.txt is damaged."
    assert "Collecting torch" in outcome.log


def commands_in(text: str) -> list[str]:
    """What is typed, up to the packages."""
    lines = [line.strip() for line in text.splitlines()]
    return [re.split(r' "?torch', line)[0] for line in lines if line.startswith("PythonSlicer -m")]


def test_the_help_without_a_network_and_the_manual_say_the_same(repository: Path) -> None:
    manual = (repository / "docs" / "extension.md").read_text(encoding="utf-8")
    help_text = offline_help(A_PLAN)
    assert commands_in(help_text) == commands_in(manual)
    assert len(commands_in(help_text)) == 3
    assert all("is taken out" in " ".join(text.split()) for text in (help_text, manual))
    # What is to come must not be held by the constraints at the version that is too old.
    assert all(package.partition(">")[0] in help_text.splitlines()[-2] for package in A_PLAN.packages)
