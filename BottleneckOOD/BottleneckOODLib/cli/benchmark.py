"""``bottleneck-ood benchmark``: which damage to an image is seen, and by which detector."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from BottleneckOODLib.cli.parsing import add_command, refuse_both, whole_number
from BottleneckOODLib.errors import Cancelled, ReferenceSetError

_NOTES = """\
Every labelled scan of the data folder (NAME_labels.nii.gz beside NAME.nii.gz), and generated bodies that no reference
holds, are damaged in grades: noise, blur, low dose, thick slices, a wrong scale, a wrong orientation, cropping, metal,
less contrast. Each damaged image is segmented, its Dice is measured, and every detector tells its p-value. Scans
without labels, and of another kind than the model's, are taken as they are. What was measured is kept image by image:
a run that was stopped goes on with --resume.

The generated bodies alone choose the bottleneck's detector; --choose writes a copy of the reference that has it."""


def add_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb."""
    parser = add_command(
        verbs,
        "benchmark",
        "damage scans and see which detector notices",
        [
            "bottleneck-ood benchmark --data scans --output robustness --quick",
            "bottleneck-ood benchmark --data scans --output robustness --choose my-reference",
        ],
        notes=_NOTES,
    )
    parser.add_argument("--data", required=True, type=Path, metavar="DIR", help="folder of scans, some with labels")
    parser.add_argument("--output", required=True, type=Path, metavar="DIR", help="folder for tables and pictures")
    parser.add_argument("--model", default="demo", metavar="M", help="name or folder of the model (default: demo)")
    parser.add_argument("--reference", metavar="R", help="name or folder (default: the model's own)")
    parser.add_argument("--device", default="auto", metavar="DEVICE", help="auto, cpu, cuda, cuda:N or mps")
    parser.add_argument(
        "--organ",
        type=whole_number("--organ", least=1),
        default=5,
        metavar="N",
        help="value of the organ in label maps of several structures; TotalSegmentator's liver is 5 (default: 5)",
    )
    parser.add_argument(
        "--cases",
        type=Path,
        metavar="CSV|FOLDER",
        help="cases of the reference, to calibrate detectors that look at what it does not keep; "
        "where the reference was made of generated bodies, these are made again",
    )
    parser.add_argument(
        "--calibration",
        type=whole_number("--calibration", least=0),
        metavar="N",
        help="how many cases of the reference are measured again; 40 unless told, 24 with --quick",
    )
    parser.add_argument(
        "--bodies",
        type=whole_number("--bodies", least=0),
        metavar="N",
        help="how many generated bodies are damaged; 5 unless told, 3 with --quick",
    )
    parser.add_argument("--quick", action="store_true", help="the hardest grade of each damage and 3 bodies only")
    parser.add_argument("--choose", type=Path, metavar="R", help="also write a reference with the chosen detector")
    parser.add_argument("--resume", action="store_true", help="go on where the same benchmark was stopped")
    parser.add_argument("--overwrite", action="store_true", help="replace a benchmark, and what --choose writes")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the benchmark, and say where the report lies."""
    from BottleneckOODLib.atomic_folder import check_writable  # noqa: PLC0415 - keeps --help fast
    from BottleneckOODLib.cli.console import ConsoleProgress, stopping_on_interrupt  # noqa: PLC0415
    from BottleneckOODLib.logic import BottleneckOODLogic  # noqa: PLC0415
    from BottleneckOODLib.reference.rechoosing import with_detector  # noqa: PLC0415
    from BottleneckOODLib.robustness.base_cases import scans_of  # noqa: PLC0415
    from BottleneckOODLib.robustness.calibration_cases import calibration_cases  # noqa: PLC0415
    from BottleneckOODLib.robustness.report import PICTURES  # noqa: PLC0415
    from BottleneckOODLib.robustness.running import identity_of, plan_of, run_benchmark  # noqa: PLC0415
    from BottleneckOODLib.robustness.store import MeasurementStore  # noqa: PLC0415
    from BottleneckOODLib.robustness.writing import REPORT, write_results  # noqa: PLC0415

    refuse_both(arguments)
    check_writable(arguments.output)
    if arguments.choose is not None:
        check_writable(arguments.choose)
        if arguments.choose.exists() and not arguments.overwrite:
            message = f"The folder {arguments.choose} exists already and was kept; choose another, or add --overwrite."
            raise ReferenceSetError(message)
    scans = scans_of(arguments.data, arguments.organ)
    logic = BottleneckOODLogic(arguments.model, arguments.reference, arguments.device)
    plan = plan_of(quick=arguments.quick, n_bodies=arguments.bodies, n_calibration=arguments.calibration)
    source, cases = calibration_cases(logic.reference, arguments.cases, arguments.data)
    identity = identity_of(logic, scans, plan, source)
    store = MeasurementStore(arguments.output, identity, resume=arguments.resume, overwrite=arguments.overwrite)
    progress = ConsoleProgress("benchmark")
    with stopping_on_interrupt() as cancel:
        try:
            outcome = run_benchmark(logic, scans, cases, plan, store, progress=progress, cancel=cancel)
        except Cancelled:
            progress.done()
            print("bottleneck-ood: what was measured is kept; go on with --resume.", file=sys.stderr)
            raise
    progress.done()
    detector, choice = write_results(arguments.output, logic, outcome)
    for line in outcome.refused:
        print(f"note: {line}")
    print(f"The bottleneck's detector by the validation part: {choice['detector']} ({choice['reason']}).")
    if arguments.choose is not None:
        with_detector(logic.reference, detector, choice).save(arguments.choose, overwrite=arguments.overwrite)
        print(f"A reference with it lies in {arguments.choose}.")
    print(f"The report lies in {arguments.output / REPORT}, its picture in {PICTURES['test']} there.")
    return 0
