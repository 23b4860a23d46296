"""``bottleneck-ood demo``: the whole main job on the embedded samples."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from BottleneckOODLib.cli.parsing import add_command


def add_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb."""
    parser = add_command(
        verbs,
        "demo",
        "run the whole main job on the embedded samples",
        ["bottleneck-ood demo", "bottleneck-ood demo --output somewhere --device cpu"],
    )
    parser.add_argument(
        "--output", type=Path, default=Path("demo-output"), metavar="DIR", help="where to write (default: demo-output)"
    )
    parser.add_argument("--device", default="auto", metavar="DEVICE", help="auto, cpu, cuda, cuda:N or mps")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Assess both samples, one usual and one unusual, replacing the results of an earlier demo."""
    from BottleneckOODLib.assessment.wording import DEMONSTRATION  # noqa: PLC0415 - keeps --help fast
    from BottleneckOODLib.atomic_folder import check_writable  # noqa: PLC0415
    from BottleneckOODLib.cli.console import ConsoleProgress, in_gb, show_assessment, stopping_on_interrupt  # noqa: PLC0415
    from BottleneckOODLib.imaging.reading import case_id_of  # noqa: PLC0415
    from BottleneckOODLib.logic import BottleneckOODLogic  # noqa: PLC0415
    from BottleneckOODLib.model.peak_memory import process_peak_bytes  # noqa: PLC0415
    from BottleneckOODLib.resources import resource_folder  # noqa: PLC0415

    started = time.monotonic()
    check_writable(arguments.output)
    logic = BottleneckOODLogic("demo", None, arguments.device)
    with stopping_on_interrupt() as cancel:
        for sample in sorted((resource_folder() / "samples").glob("*.nii.gz"), reverse=True):
            progress = ConsoleProgress(case_id_of(sample))
            try:
                assessment = logic.assess(sample, progress=progress, cancel=cancel)
                folder = assessment.save(arguments.output, overwrite=True)
            finally:
                progress.done()
            show_assessment(assessment, f"see {folder / 'overview.png'}")
    print(f"{time.monotonic() - started:.1f} s in all, peak memory {in_gb(process_peak_bytes())}")
    print(DEMONSTRATION)
    return 0
