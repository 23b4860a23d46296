"""The real worker, which rests in the middle of its job: whoever looks late does not find the job done."""

from __future__ import annotations

import sys
from pathlib import Path

from BottleneckOODLib.worker.python_command import PythonCommand, plain_python

_PROGRAM = """
import sys, time
from pathlib import Path
sys.argv = [sys.argv[0], sys.argv[-1]]
from BottleneckOODLib.worker import jobs, serve
do = jobs.Jobs.do
def resting(self, job, tell, cancel):
    def told(progress):
        tell(progress)
        rests = progress.step == {step!r} if {step!r} else progress.fraction > {fraction}
        while rests and not Path({go_on!r}).exists():
            time.sleep(0.01)
    return do(self, job, told, cancel)
jobs.Jobs.do = resting
serve.main()
"""


def resting_worker(folder: Path, go_on: Path, *, step: str = "", fraction: float = 0.0) -> PythonCommand:
    """What starts it.

    Args:
        folder: Where its program is written.
        go_on: It rests until there is such a file.
        step: It rests once it has told this step.
        fraction: Without a step, once it has told more than this fraction.
    """
    program = folder / "resting_worker.py"
    program.write_text(_PROGRAM.format(step=step, fraction=fraction, go_on=str(go_on)), encoding="utf-8")
    return PythonCommand((sys.executable, str(program)), plain_python().environment)
