"""What the model needs, installed when it is first used: one question, progress that can be stopped, one sentence.

pip runs in a process of its own and is polled (``panel/installation.py``), and not by ``slicer.util.pip_install``: that
holds the window still in Slicer 5.10, and keeps to itself what pip says, in which stands why it failed. Neither by
``PyTorchUtilsLogic.installTorch``, which ends by importing torch into Slicer. Where the PyTorch extension is installed,
torch is fetched as that extension does it, with light-the-torch, which chooses the build for the card.
"""

from __future__ import annotations

import importlib.util
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import slicer
import slicer.util

from BottleneckOODLib.errors import UserError
from BottleneckOODLib.panel.dependencies import Plan, installation_plan
from BottleneckOODLib.panel.installation import Installation, Installer, Outcome, PipProcess
from BottleneckOODLib.translation import _
from BottleneckOODLib.worker.python_command import slicer_python

_TITLE = "BottleneckOOD"
_PAUSE_S = 0.02
_LONGEST_LINE = 90


class Readiness:
    """Asked before a job starts.

    Args:
        find: Tells what is missing.
        installer: Makes what runs pip.
    """

    def __init__(
        self,
        find: Callable[[], Plan] = installation_plan,
        installer: Callable[[], Installer] = lambda: PipProcess(slicer_python()),
    ) -> None:
        self._find = find
        self._installer = installer
        self._nothing_missing = False
        self._declined = False
        self._looking: Future[Plan] | None = None
        self._installing = False

    def look_ahead(self) -> None:
        """Look for what is missing in another thread, so that the first job does not wait for it."""
        if not self._nothing_missing and self._looking is None:
            threads = ThreadPoolExecutor(1)
            self._looking = threads.submit(self._find)
            threads.shutdown(wait=False)

    def __call__(self) -> bool:
        """Whether the model can run: everything it needs is there, or was installed now."""
        if self._nothing_missing:
            return True
        if self._installing:
            # The dialog of the first one blocks nothing: whoever presses again waits for it.
            return False
        looking, self._looking = self._looking, None
        try:
            plan = self._find() if looking is None else looking.result()
        except UserError as error:
            slicer.util.errorDisplay(str(error), windowTitle=_TITLE)
            return False
        if not plan.packages:
            self._nothing_missing = True
            return True
        if not self._wanted(plan):
            return not plan.needed
        self._installing = True
        try:
            outcome = self._carried_out(plan)
        finally:
            self._installing = False
        self._nothing_missing = outcome.complete
        if not outcome.complete:
            slicer.util.errorDisplay(outcome.sentence, windowTitle=_TITLE, detailedText=outcome.log)
        elif outcome.restart:
            slicer.util.infoDisplay(outcome.sentence, windowTitle=_TITLE)
        return outcome.complete or not plan.needed

    def _wanted(self, plan: Plan) -> bool:
        """Whether the user wants it now."""
        # What only some jobs need is asked for once; a self-test changes no installation.
        if slicer.app.testingEnabled() or (self._declined and not plan.needed) or self._another_runs():
            return False
        wanted = bool(slicer.util.confirmOkCancelDisplay(plan.question, windowTitle=_TITLE))
        self._declined = self._declined or not wanted
        return wanted

    def _carried_out(self, plan: Plan) -> Outcome:
        try:
            module = "pip" if importlib.util.find_spec("PyTorchUtils") is None else "light_the_torch"
            installation = Installation(plan, self._installer(), torch_module=module, look_again=self._find)
            heading = _("Installing what the model needs; this can be stopped and started again.")
            dialog = slicer.util.createProgressDialog(maximum=0, labelText=heading, windowTitle=_TITLE)
            try:
                return _watched(installation, dialog, heading)
            finally:
                dialog.close()
        except UserError as error:
            return Outcome(False, str(error))

    @staticmethod
    def _another_runs() -> bool:
        """Whether another extension is installing; only newer Slicers can tell."""
        runs = getattr(sys.modules.get("slicer.packaging"), "isPipInstallInProgress", None)
        if runs is None or not runs():
            return False
        slicer.util.infoDisplay(_("Another installation is running; wait for it, then try again."), windowTitle=_TITLE)
        return True


def _watched(installation: Installation, dialog: Any, heading: str) -> Outcome:
    while True:
        lines, outcome = installation.poll()
        if outcome is not None:
            return outcome
        if lines:
            dialog.labelText = f"{heading}\n{lines[-1][:_LONGEST_LINE]}"
        if dialog.wasCanceled:
            return installation.stop()
        slicer.app.processEvents()
        time.sleep(_PAUSE_S)


_readiness = Readiness()


def installed() -> bool:
    """Whether the model can run; asks and installs where something is missing."""
    return _readiness()


def look_ahead() -> None:
    """Begin to look for what is missing; the window goes on."""
    _readiness.look_ahead()
