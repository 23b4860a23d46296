"""``bottleneck-ood export-dicom``: an assessed series as DICOM objects for an archive."""

from __future__ import annotations

import argparse
from pathlib import Path

from BottleneckOODLib.cli.assess import add_trust_option, label_reader, reader
from BottleneckOODLib.cli.parsing import add_command
from BottleneckOODLib.cli.terminal_text import say

_NOTES = """\
Three objects of the scan's own study: the mask (SEG), the report (SR) and the overview picture (secondary capture), all
marked as research use. They carry the patient's and the study's attributes of the source series, since an archive files
them by these: keep them where the scan may be kept. Exporting once more makes new objects in new series. Where a
reader edited the mask and saved it, the version that was saved last is written, marked as semi-automatic; report and
picture say so, and that the light is of the model's own."""


def add_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb."""
    parser = add_command(
        verbs,
        "export-dicom",
        "write the mask and the result of an assessed DICOM series as DICOM objects",
        [
            "bottleneck-ood export-dicom results/ct --source scans/ct --output for_the_archive",
            "bottleneck-ood export-dicom results/ct --source scans/ct --series 2 --output for_the_archive",
        ],
        notes=_NOTES,
    )
    parser.add_argument("case", type=Path, metavar="CASE", help="the case's folder, as assess or triage wrote it")
    parser.add_argument("--source", required=True, type=Path, metavar="FOLDER", help="the series that was assessed")
    parser.add_argument("--series", metavar="S", help="number or UID of the series in a folder with several")
    parser.add_argument("--output", required=True, type=Path, metavar="DIR", help="where the case gets a folder")
    parser.add_argument(
        "--model-mask", action="store_true", help="the model's own mask, also where a reader saved an edited one"
    )
    add_trust_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Write the objects of one case."""
    from BottleneckOODLib.assessment.assessment import Assessment  # noqa: PLC0415 - keeps --help fast
    from BottleneckOODLib.assessment.versions import latest_version  # noqa: PLC0415
    from BottleneckOODLib.atomic_folder import check_writable  # noqa: PLC0415
    from BottleneckOODLib.dicom_results.exporting import export_dicom  # noqa: PLC0415

    check_writable(arguments.output)
    read, read_labels = reader(trusted=arguments.trust_files), label_reader(trusted=arguments.trust_files)
    assessment = Assessment.load(arguments.case, read_labels)
    edited = None if arguments.model_mask else latest_version(arguments.case, assessment.created, read_labels)
    folder = export_dicom(
        assessment, arguments.source, arguments.output, series=arguments.series, read=read, edited=edited
    )
    say(told(folder))
    if edited is not None:
        version = edited[0]
        say(f"  mask:   version {version.number}, as {version.reader} saved it; the model's own with --model-mask")
    return 0


def told(folder: Path) -> str:
    """What is printed when the objects are there."""
    return f"  DICOM:  {folder} (mask, report, picture; research use; with the patient's data of the scan)"
