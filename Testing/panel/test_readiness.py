"""The one question before the first job, in the Qt host; pip says what the test tells it to."""

from __future__ import annotations

import sys
import threading
import types
from collections.abc import Sequence
from typing import Any

import pytest
import slicer
from qt_harness.host import Host

from BottleneckOODLib.errors import DependencyError
from BottleneckOODLib.panel.dependencies import Plan
from BottleneckOODLib.panel.installation import Ended

MISSING = Plan(("torch>=2.6", "monai>=1.5.2"), "torch>=2.6", needed=True, question="Install torch and monai now?")
OPTIONAL = Plan(("faiss-cpu>=1.9",), needed=False, question="Install faiss-cpu now?")


class ScriptedPip:
    """Each command ends at once; or never, until it is stopped."""

    def __init__(self, *codes: int, line: str = "Collecting torch") -> None:
        self.codes, self.line = list(codes), line
        self.asked: list[str] = []
        self.stopped = False
        self._coming: list[str | Ended] = []

    def start(self, module: str, arguments: Sequence[str]) -> None:
        self.asked.append(module)
        self._coming = [self.line, *([Ended(self.codes.pop(0))] if self.codes else [])]

    def poll(self) -> list[str | Ended]:
        coming, self._coming = self._coming, []
        return coming

    def stop(self) -> None:
        self.stopped = True


def readiness(plans: list[Plan], pip: ScriptedPip) -> Any:
    """Finds these plans one after the other; the last one again and again."""
    from BottleneckOODLib.widgets.installation import Readiness

    return Readiness(lambda: plans.pop(0) if len(plans) > 1 else plans[0], lambda: pip)


def test_nothing_is_asked_where_nothing_is_missing(the_application: Host) -> None:
    pip = ScriptedPip()
    ready = readiness([Plan()], pip)
    assert ready()
    assert ready()
    assert the_application.asked == []
    assert pip.asked == []


def test_one_question_then_everything_is_installed_and_never_asked_again(the_application: Host) -> None:
    pip = ScriptedPip(0, 0)
    ready = readiness([MISSING, Plan()], pip)
    the_application.answers.append("Ok")
    assert ready()
    assert [asked.text for asked in the_application.asked] == [MISSING.question]
    assert pip.asked == ["pip", "pip"]
    assert ready()
    assert len(the_application.asked) == 1


def test_who_declines_what_is_needed_starts_no_job_and_is_asked_again(the_application: Host) -> None:
    pip = ScriptedPip()
    ready = readiness([MISSING], pip)
    the_application.answers.extend(["Cancel", "Cancel"])
    assert not ready()
    assert not ready()
    assert pip.asked == []
    assert len(the_application.asked) == 2


def test_who_declines_what_is_optional_goes_on_and_is_left_alone(the_application: Host) -> None:
    ready = readiness([OPTIONAL], ScriptedPip())
    the_application.answers.append("Cancel")
    assert ready()
    assert ready()
    assert len(the_application.asked) == 1


def test_a_failure_is_one_sentence_with_the_log_folded_away(the_application: Host) -> None:
    ready = readiness([MISSING], ScriptedPip(1, line="[Errno -2] Name or service not known"))
    the_application.answers.extend(["Ok", "Ok"])
    assert not ready()
    told = the_application.asked[-1]
    assert "could not be downloaded" in told.text
    assert "\n" not in told.text.strip()
    assert "Name or service not known" in told.details
    assert "--no-index" in told.details


def test_the_installation_can_be_stopped(the_application: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    pip = ScriptedPip()
    shown: list[str] = []

    class Dialog:
        labelText = ""
        closed = False

        @property
        def wasCanceled(self) -> bool:
            shown.append(self.labelText)
            return len(shown) > 2

        def close(self) -> None:
            type(self).closed = True

    monkeypatch.setattr(slicer.util, "createProgressDialog", lambda **_: Dialog())
    the_application.answers.extend(["Ok", "Ok"])
    assert not readiness([MISSING], pip)()
    assert pip.stopped
    assert Dialog.closed
    assert "Collecting torch" in shown[-1]
    assert "can be started again" in the_application.asked[-1].text


def test_whoever_presses_again_while_it_installs_starts_no_second_installation(
    the_application: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    pip = ScriptedPip(0, 0)
    ready = readiness([MISSING, Plan()], pip)
    told, poll = [], pip.poll

    def poll_as_somebody_presses_again() -> list[Any]:
        told.append(ready())
        return poll()

    monkeypatch.setattr(pip, "poll", poll_as_somebody_presses_again)
    the_application.answers.append("Ok")
    assert ready()
    assert told
    assert not any(told)
    assert len(the_application.asked) == 1


def test_with_the_pytorch_extension_torch_s_build_is_chosen(
    the_application: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    extension = types.ModuleType("PyTorchUtils")
    extension.__spec__ = types.SimpleNamespace()  # type: ignore[assignment]
    monkeypatch.setitem(sys.modules, "PyTorchUtils", extension)
    pip = ScriptedPip(0, 0, 0)
    the_application.answers.append("Ok")
    assert readiness([MISSING, Plan()], pip)()
    assert pip.asked == ["pip", "light_the_torch", "pip"]


def test_another_installation_is_waited_for(the_application: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    packaging = types.ModuleType("slicer.packaging")
    packaging.isPipInstallInProgress = lambda: True  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "slicer.packaging", packaging)
    pip = ScriptedPip()
    the_application.answers.append("Ok")
    assert not readiness([MISSING], pip)()
    assert "Another installation is running" in the_application.asked[-1].text
    assert pip.asked == []


def test_a_self_test_installs_nothing(the_application: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(the_application.application, "_testing", True)
    pip = ScriptedPip()
    assert not readiness([MISSING], pip)()
    assert readiness([OPTIONAL], pip)()
    assert the_application.asked == []
    assert pip.asked == []


def test_what_is_missing_is_looked_for_before_it_is_asked_for(the_application: Host) -> None:
    looked: list[str] = []

    def find() -> Plan:
        looked.append(threading.current_thread().name)
        return Plan()

    from BottleneckOODLib.widgets.installation import Readiness

    ready = Readiness(find, ScriptedPip)
    ready.look_ahead()
    ready.look_ahead()
    assert ready()
    assert len(looked) == 1
    assert looked != [threading.current_thread().name]
    ready.look_ahead()
    assert ready()
    assert len(looked) == 1


def test_who_waited_for_another_installation_is_asked_afterwards(
    the_application: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody has declined anything."""
    running = [True]
    packaging = types.ModuleType("slicer.packaging")
    packaging.isPipInstallInProgress = lambda: running[0]  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "slicer.packaging", packaging)
    ready = readiness([OPTIONAL], ScriptedPip())
    the_application.answers.append("Ok")
    assert ready()
    running[0] = False
    the_application.answers.append("Cancel")
    assert ready()
    assert the_application.asked[-1].text == OPTIONAL.question


@pytest.mark.parametrize("when", ["looking", "starting the next", "looking again"])
def test_whatever_cannot_be_used_is_one_sentence(the_application: Host, when: str) -> None:
    from BottleneckOODLib.widgets.installation import Readiness

    pip = ScriptedPip(0, 0)
    looked, start = [], pip.start

    def find() -> Plan:
        looked.append(when)
        if when == "looking" or (when == "looking again" and len(looked) > 1):
            raise DependencyError("The file requirements.txt is damaged.")
        return MISSING

    def start_once(module: str, arguments: Sequence[str]) -> None:
        if when == "starting the next" and pip.asked:
            raise DependencyError("pip cannot be started.")
        start(module, arguments)

    pip.start = start_once  # type: ignore[method-assign]
    the_application.answers.extend(["Ok"] if when == "looking" else ["Ok", "Ok"])
    assert not Readiness(find, lambda: pip)()
    told = the_application.asked[-1].text
    assert told in ("The file requirements.txt is damaged.", "pip cannot be started.")
