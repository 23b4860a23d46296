"""``bottleneck-ood assess``: one or several images."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from BottleneckOODLib.cli.parsing import add_command
from BottleneckOODLib.cli.terminal_text import complain, say
from BottleneckOODLib.errors import InputError, OutputError, UserError
from BottleneckOODLib.likely_meant import missing_path

if TYPE_CHECKING:
    from BottleneckOODLib.assessment.assessment import Assessment
    from BottleneckOODLib.imaging.reading_process import ReadVolume
    from BottleneckOODLib.imaging.volume import LabelVolume


def add_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb."""
    parser = add_command(
        verbs,
        "assess",
        "segment images and tell how unusual they are",
        [
            "bottleneck-ood assess ct.nii.gz --output results",
            "bottleneck-ood assess dicom_folder --series 2 --output results --scene",
            "bottleneck-ood assess a.nrrd b.nrrd --output results --json > results.jsonl",
            "bottleneck-ood assess dicom_folder --output results --dicom for_the_archive",
        ],
    )
    parser.add_argument("inputs", nargs="+", metavar="INPUT", help="NIfTI, NRRD or MetaImage file, or DICOM folder")
    parser.add_argument("--output", required=True, type=Path, metavar="DIR", help="where each case gets a folder")
    add_logic_options(parser)
    parser.add_argument("--series", metavar="S", help="number or UID of the series in a DICOM folder with several")
    parser.add_argument("--case-id", metavar="ID", help="name of the case, in the place of the file's (one INPUT only)")
    parser.add_argument("--modality", choices=("CT", "MR"), help="what the images are, where the files do not say")
    parser.add_argument(
        "--details", action="store_true", help="also print each step's seconds, and how far an nnU-Net's folds disagree"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document a case, and nothing else")
    parser.add_argument("--scene", action="store_true", help="also write a 3D Slicer scene (scene.mrb)")
    parser.add_argument(
        "--dicom",
        type=Path,
        metavar="DIR",
        help="also write mask, report and picture as DICOM objects with the patient's data there (DICOM folders only)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace results that exist already")
    add_trust_option(parser)
    parser.set_defaults(run=run)


def add_trust_option(parser: argparse.ArgumentParser) -> None:
    """Add the option that reads images without a process of their own."""
    parser.add_argument(
        "--trust-files",
        action="store_true",
        help="read the images in this process, not in one of their own with limits of time and memory",
    )


def reader(*, trusted: bool) -> ReadVolume:
    """How cases of a list are read: as ``reading``, by whichever process measures them."""
    if trusted:
        from BottleneckOODLib.imaging.reading import read_volume  # noqa: PLC0415 - keeps --help fast

        return read_volume
    from BottleneckOODLib.imaging.reading_process import read_apart  # noqa: PLC0415 - keeps --help fast

    return read_apart


def label_reader(*, trusted: bool) -> Callable[[Path], LabelVolume]:
    """How masks and label maps are read, as ``reader``."""
    if trusted:
        from BottleneckOODLib.imaging.writing import read_label_volume  # noqa: PLC0415 - keeps --help fast

        return read_label_volume
    from BottleneckOODLib.imaging.reading_process import read_labels_apart  # noqa: PLC0415 - keeps --help fast

    return read_labels_apart


@contextmanager
def reading(*, trusted: bool) -> Iterator[ReadVolume]:
    """How images are read: in a process of their own, unless the user trusts them."""
    if trusted:
        from BottleneckOODLib.imaging.reading import read_volume  # noqa: PLC0415 - keeps --help fast

        yield read_volume
        return
    from BottleneckOODLib.imaging.reading_process import ReadingProcess  # noqa: PLC0415 - keeps --help fast

    with ReadingProcess() as process:
        yield process.read


def add_logic_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that choose model, reference and device."""
    parser.add_argument("--model", default="demo", metavar="M", help="name or folder of the model (default: demo)")
    parser.add_argument("--reference", metavar="R", help="name or folder of the reference (default: the model's own)")
    parser.add_argument(
        "--device", default="auto", metavar="DEVICE", help="auto, cpu, cuda, cuda:N or mps (default: auto)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Assess every input; those that cannot be read are told one by one, and the others are done all the same."""
    from BottleneckOODLib.assessment.record import record_of  # noqa: PLC0415 - keeps --help fast
    from BottleneckOODLib.atomic_folder import check_writable  # noqa: PLC0415 - keeps --help fast
    from BottleneckOODLib.cli.console import ConsoleProgress, show_assessment, stopping_on_interrupt  # noqa: PLC0415
    from BottleneckOODLib.imaging.reading import case_id_of, safe_name  # noqa: PLC0415 - keeps --help fast
    from BottleneckOODLib.logic import BottleneckOODLogic  # noqa: PLC0415 - keeps --help fast

    if arguments.case_id is not None and len(arguments.inputs) > 1:
        message = "--case-id names one case, but several inputs were given; leave it out."
        raise InputError(message)
    if arguments.case_id is not None and safe_name(arguments.case_id) != arguments.case_id:
        message = (
            f"The case name {arguments.case_id!r} cannot be that of a folder; use {safe_name(arguments.case_id)!r}."
        )
        raise InputError(message)
    check_writable(arguments.output)
    names = [arguments.case_id or case_id_of(source) for source in arguments.inputs]
    check_names(names, arguments.output, overwrite=arguments.overwrite)
    if arguments.dicom is not None:
        _check_dicom(arguments.inputs, names, arguments.dicom, arguments.output)
    scene_writer = _scene_writer() if arguments.scene else None
    refused = 0
    with reading(trusted=arguments.trust_files) as read, stopping_on_interrupt() as cancel:
        logic = BottleneckOODLogic(arguments.model, arguments.reference, arguments.device, read=read)
        for source, name in zip(arguments.inputs, names, strict=True):
            if not os.path.lexists(source):
                # Told here, where names of other files do not come into any record.
                meant = missing_path(Path(source))
                complain(f"The file {source} does not exist; {meant}")
                refused += 1
                continue
            progress = ConsoleProgress(name, quiet=arguments.json)
            try:
                assessment = logic.assess(
                    source,
                    case_id=name,
                    series=arguments.series,
                    modality=arguments.modality,
                    progress=progress,
                    cancel=cancel,
                    keep_file_name=arguments.case_id is None,
                )
                folder = assessment.save(arguments.output, overwrite=arguments.overwrite, scene_writer=scene_writer)
            except InputError as error:
                progress.done()
                complain(error)
                refused += 1
                continue
            finally:
                progress.done()
            if arguments.json:
                print(json.dumps(record_of(assessment), allow_nan=False))
            else:
                show_assessment(assessment, str(folder), details=arguments.details)
            if arguments.dicom is not None and not _write_dicom(assessment, source, arguments, read):
                refused += 1
    return 2 if refused else 0


def check_names(names: list[str], output: Path, *, overwrite: bool) -> None:
    """Refuse two cases of one name, and folders that may not be replaced, before any work is done.

    Raises:
        InputError: Two inputs would share one folder.
        OutputError: A case's folder exists and ``overwrite`` is not set, or it holds more than an earlier result.
    """
    from BottleneckOODLib.assessment.assessment import CASE_FILES  # noqa: PLC0415 - keeps --help fast
    from BottleneckOODLib.atomic_folder import check_replaceable, taken_for_one  # noqa: PLC0415 - keeps --help fast

    # The second result would replace the first.
    if pair := taken_for_one(names):
        message = f"The case names {pair[0]} and {pair[1]} are one folder on some systems; assess one with --case-id."
        raise InputError(message)
    for name in names:
        if names.count(name) > 1:
            message = f"Several inputs have the case name {name}; assess them one by one with --case-id."
            raise InputError(message)
        if (output / name).exists() and not overwrite:
            message = (
                f"The folder {output / name} exists already and was kept, and nothing was done; choose another "
                "--output, or add --overwrite."
            )
            raise OutputError(message)
        check_replaceable(output / name, overwrite=overwrite, known=CASE_FILES)


def _check_dicom(sources: list[str], names: list[str], output: Path, results: Path) -> None:
    """Refuse what could not be written as DICOM objects, before any work is done."""
    from BottleneckOODLib.atomic_folder import check_replaceable, check_writable  # noqa: PLC0415 - keeps --help fast
    from BottleneckOODLib.dicom_results.exporting import check_series_folder  # noqa: PLC0415 - keeps --help fast

    if output.resolve() == results.resolve():
        message = f"--output and --dicom are both {output}, where a case would have one folder for two; name two."
        raise InputError(message)
    check_writable(output)
    for source, name in zip(sources, names, strict=True):
        check_series_folder(Path(source))
        check_replaceable(output / name, overwrite=False, known=())


def _write_dicom(assessment: Assessment, source: str, arguments: argparse.Namespace, read: ReadVolume) -> bool:
    """Write the objects of a case whose assessment is saved already; False where it has none, which is told."""
    from BottleneckOODLib.cli.export_dicom import told  # noqa: PLC0415 - keeps --help fast
    from BottleneckOODLib.dicom_results.exporting import export_dicom  # noqa: PLC0415 - keeps --help fast

    try:
        folder = export_dicom(assessment, source, arguments.dicom, series=arguments.series, read=read)
    except InputError as error:
        complain(error)
        return False
    if not arguments.json:
        say(told(folder))
    return True


def _scene_writer() -> Callable[[Assessment, Path], None]:
    try:
        from BottleneckOODLib.scene.bundle import write_scene  # noqa: PLC0415 - imports slicer
    except ImportError as error:
        message = (
            f"Writing a scene needs slicer-core, which cannot be imported ({error}); "
            "install it into the same environment with: python -m pip install slicer-core"
        )
        raise UserError(message) from None
    return write_scene
