"""``bottleneck-ood``: the verbs, and the one place where errors become sentences and exit codes."""

from __future__ import annotations

import argparse
import io
import logging
import os
import sys
import traceback
from collections.abc import Sequence

from BottleneckOODLib.cli import (
    assess,
    benchmark,
    completion,
    demo,
    embed,
    evaluate,
    export_dicom,
    model,
    reference,
    review,
    triage,
)
from BottleneckOODLib.cli.parsing import SentenceParser
from BottleneckOODLib.cli.terminal_text import complain
from BottleneckOODLib.errors import Cancelled, ProgramFault, UserError, fault_sentence
from BottleneckOODLib.version import __version__

DONE, FAILED, WRONG_INPUT, STOPPED = 0, 1, 2, 130
_LONGEST_SHOWN = 100
VERBS = (demo, assess, export_dicom, model, reference, embed, evaluate, benchmark, triage, review, completion)

_DESCRIPTION = """\
Segments the liver and tells how unusual the case is among the training cases, by the distance of the network's
bottleneck features. Not for clinical use."""
_EPILOG = """\
examples:
  bottleneck-ood demo
  bottleneck-ood assess ct.nii.gz --output results
  bottleneck-ood assess scans/*.nrrd dicom_folder --output results --scene --json

exit codes: 0 done, whatever the light; 2 the input was wrong; 130 stopped; 1 a fault of the program"""


def build_parser() -> argparse.ArgumentParser:
    """The parser of every verb."""
    parser = SentenceParser(
        prog="bottleneck-ood",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"bottleneck-ood {__version__}")
    parser.add_argument("--debug", action="store_true", help="show the traceback of a fault of the program")
    verbs = parser.add_subparsers(title="verbs", dest="verb", metavar="VERB", required=True)
    for verb in VERBS:
        verb.add_parser(verbs)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        0 when done, whatever the light; 2 when the user's input was wrong; 130 when stopped; 1 for a fault of ours.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A console that lacks a letter of a file's name shows its code instead.
            stream.reconfigure(errors="backslashreplace")
    parsed = argparse.Namespace(debug=False)
    try:
        build_parser().parse_args(arguments, parsed)
        if parsed.debug:
            logging.basicConfig()
        code = int(parsed.run(parsed))
        sys.stdout.flush()
        return code
    except UserError as error:
        complain(error)
        return WRONG_INPUT
    except (Cancelled, KeyboardInterrupt):
        print("bottleneck-ood: stopped; nothing half-done was saved.", file=sys.stderr)
        return STOPPED
    except BrokenPipeError:
        # Who read the output has seen enough.
        _print_no_more()
        return DONE
    except Exception as error:
        if parsed.debug:
            traceback.print_exc()
        return _told(error)


def _told(error: Exception) -> int:
    """Say what nobody foresaw; gives the exit code."""
    if isinstance(error, OSError):
        # What the system refuses is no fault of the program: a name that is too long, a full disk below the output.
        named = f"The file {_shortened(error.filename)}" if error.filename else "A file, or what is printed,"
        complain(f"{named} cannot be used ({error.strerror or error}); check the path, its permissions and free space.")
        _print_no_more()
        return WRONG_INPUT
    if isinstance(error, ProgramFault):
        complain(error)
    elif isinstance(error, MemoryError):
        complain(fault_sentence(error))
    else:
        complain(f"a fault of the program ({type(error).__name__}); run again with --debug and report it.")
    return FAILED


def _print_no_more() -> None:
    """Python's own flush at the end must not complain of an output that takes nothing more."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _shortened(name: object) -> str:
    text = os.fsdecode(name) if isinstance(name, str | bytes) else str(name)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."


if __name__ == "__main__":
    sys.exit(main())
