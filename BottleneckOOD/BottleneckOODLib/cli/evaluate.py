"""``bottleneck-ood evaluate``: how well scores of saved embeddings find failed segmentations."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable
from pathlib import Path

from BottleneckOODLib.cli.parsing import add_command, positive_number, refuse_both, whole_number
from BottleneckOODLib.errors import Cancelled, EvaluationError

# As evaluation/settings.py has them, which would make --help slow; a test compares.
MODES = ("deployable", "paper")
REDUCERS = ("none", "avgpool", "pca", "tsne", "umap")
DETECTORS = ("knn", "knn_mean", "knn_cosine", "md", "md_pinv", "residual", "robust_z")
OUTPUTS = ("logits", "probabilities")
MEMBERS = ("ensemble", "mc_dropout", "flips")
_NOTES = """\
Embeddings are .npy or .pt files, one a case, of shape (windows, C, z, y, x), (C, z, y, x) or (d,); no code in them is
run. The table has the columns "filename" and "DICE_Score", and may have "HD" and "SD"; it has a line for each test
case, and may have lines for training cases. Names match without folder and extension, dots and all.

In deployable mode everything is fitted on the training cases, each test case is scored alone, and the configuration is
picked without the test cases. In paper mode the published definitions hold to the digit: maps are fitted on training
and test cases together, and threshold and configuration come from the test cases. Run both into one folder, and the
report sets them side by side.

Outputs are .npy or .pt files of shape (classes, Z, Y, X), class 0 the background, or (Z, Y, X) of the foreground: one
file a case, or one folder of several files a case, for ensembles and Monte-Carlo dropout. They are read one case at a
time. Further features are folders like those of embeddings, with one vector a case: an intensity histogram, the shape
of the mask, another stage."""


def add_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb."""
    parser = add_command(
        verbs,
        "evaluate",
        "evaluate scores on folders of saved embeddings",
        [
            "bottleneck-ood evaluate --train train --test test --performance dice.csv --output results",
            "bottleneck-ood evaluate --train train --test test --performance dice.csv --output results --mode paper",
            "bottleneck-ood evaluate --train train --test test --performance dice.csv --output quick "
            "--reducers none,avgpool,pca --threshold median",
            "bottleneck-ood evaluate --train train --test test --performance dice.csv --output results "
            "--train-outputs logits/train --test-outputs logits/test "
            "--features histogram=histograms/train,histograms/test",
        ],
        notes=_NOTES,
    )
    parser.add_argument("--train", required=True, type=Path, metavar="DIR", help="embeddings of the training cases")
    parser.add_argument("--test", required=True, type=Path, metavar="DIR", help="embeddings of the test cases")
    parser.add_argument("--performance", required=True, type=Path, metavar="CSV", help="Dice of each test case")
    parser.add_argument("--output", required=True, type=Path, metavar="DIR", help="folder for tables and report")
    parser.add_argument("--mode", choices=MODES, default=MODES[0], help="which protocol (default: deployable)")
    parser.add_argument(
        "--threshold",
        type=_threshold,
        default=0.95,
        metavar="DICE",
        help="a case with this Dice or less is out of distribution; a number, or median (default: 0.95)",
    )
    parser.add_argument(
        "--reducers",
        type=_several("--reducers", REDUCERS),
        metavar="NAMES",
        help=f"which reducers, by commas: {', '.join(REDUCERS)} (default: all of them)",
    )
    parser.add_argument(
        "--detectors",
        type=_several("--detectors", DETECTORS),
        metavar="NAMES",
        help=f"which detectors, by commas: {', '.join(DETECTORS)}; paper mode has knn and md (default: knn and md)",
    )
    parser.add_argument(
        "--k",
        type=positive_number("--k"),
        nargs="+",
        metavar="K",
        help="neighbours: counts, or shares of the training cases below 1 (default: powers of 2 up to 256)",
    )
    parser.add_argument(
        "--components",
        type=whole_number("--components", least=1),
        nargs="+",
        metavar="N",
        help="components of PCA and UMAP (default: powers of 2 up to 256)",
    )
    parser.add_argument(
        "--windows",
        choices=("none", "mean", "max"),
        default="none",
        help="how the sliding-window axis is pooled (default: none)",
    )
    parser.add_argument(
        "--bootstrap",
        type=whole_number("--bootstrap", least=1),
        default=1000,
        metavar="N",
        help="resamples of each interval (default: 1000)",
    )
    _add_further(parser)
    parser.add_argument("--resume", action="store_true", help="go on where the same evaluation was stopped")
    parser.add_argument("--overwrite", action="store_true", help="replace results of this mode")
    parser.set_defaults(run=run)


def _add_further(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--test-outputs", type=Path, metavar="DIR", help="the network's outputs for the test cases")
    parser.add_argument(
        "--train-outputs",
        type=Path,
        metavar="DIR",
        help="the same for the training cases: gives their scores a threshold and chooses among them",
    )
    parser.add_argument(
        "--outputs-hold", choices=OUTPUTS, default=OUTPUTS[0], help="what the outputs are (default: logits)"
    )
    parser.add_argument(
        "--members",
        choices=MEMBERS,
        default=MEMBERS[0],
        help="what several outputs of one case are called in the results (default: ensemble)",
    )
    parser.add_argument(
        "--temperature",
        type=positive_number("--temperature"),
        nargs="+",
        metavar="T",
        help="temperatures of softmax and energy (default: the published search where something can choose, else 1)",
    )
    parser.add_argument(
        "--features",
        type=_feature_folders,
        action="append",
        metavar="NAME=TRAIN,TEST",
        help="further vectors of the same cases, from two folders; may be given several times",
    )
    parser.add_argument(
        "--classes",
        type=Path,
        metavar="CSV",
        help='class of each training case, columns "filename" and "class": adds relative Mahalanobis distance',
    )
    parser.add_argument(
        "--pyod",
        type=_pyod_names,
        metavar="NAMES",
        help="detectors of PyOD, by commas, such as ECOD,IForest (needs the package pyod)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Evaluate, and say where the report lies."""
    from BottleneckOODLib.atomic_folder import check_writable  # noqa: PLC0415 - keeps --help fast
    from BottleneckOODLib.cli.console import ConsoleProgress, stopping_on_interrupt  # noqa: PLC0415
    from BottleneckOODLib.evaluation.feature_sets import FeatureFolders  # noqa: PLC0415
    from BottleneckOODLib.evaluation.running import Inputs, evaluate  # noqa: PLC0415
    from BottleneckOODLib.evaluation.settings import PYOD, Settings  # noqa: PLC0415
    from BottleneckOODLib.evaluation.tables import REPORT, RESULTS  # noqa: PLC0415
    from BottleneckOODLib.model.tensor_reading import read_tensor  # noqa: PLC0415
    from BottleneckOODLib.ood.pyod_adapter import PyODDetector  # noqa: PLC0415

    refuse_both(arguments)
    check_writable(arguments.output)
    named = [one[0] for one in arguments.features or ()]
    if len(set(named)) < len(named):
        message = f"--features gives the name {max(named, key=named.count)} twice; give each set a name of its own."
        raise EvaluationError(message)
    # A name that PyOD does not know is told before anything is computed.
    from_pyod = tuple(f"{PYOD}{PyODDetector(name).model}" for name in arguments.pyod or ())
    settings = Settings(
        mode=arguments.mode,
        reducers=arguments.reducers or REDUCERS,
        detectors=(*(arguments.detectors or ("knn", "md")), *from_pyod),
        neighbours=tuple(arguments.k or ()),
        components=tuple(arguments.components or ()),
        windows=arguments.windows,
        threshold=arguments.threshold,
        n_bootstrap=arguments.bootstrap,
        outputs=arguments.outputs_hold,
        members=arguments.members,
        temperatures=tuple(dict.fromkeys(arguments.temperature or ())),
    )
    inputs = Inputs(
        arguments.train,
        arguments.test,
        arguments.performance,
        test_outputs=arguments.test_outputs,
        train_outputs=arguments.train_outputs,
        features=tuple(FeatureFolders(*one) for one in arguments.features or ()),
        classes=arguments.classes,
    )
    progress = ConsoleProgress(f"evaluate ({arguments.mode})")
    with stopping_on_interrupt() as cancel:
        try:
            notes = evaluate(
                inputs,
                arguments.output,
                settings,
                read_tensor,
                resume=arguments.resume,
                overwrite=arguments.overwrite,
                progress=progress,
                cancel=cancel,
            )
        except Cancelled:
            progress.done()
            print("bottleneck-ood: what was done is kept; go on with --resume.", file=sys.stderr)
            raise
    progress.done()
    for note in notes:
        print(f"note: {note}")
    print(f"The report of {arguments.mode} mode lies in {arguments.output / REPORT}, its figures in {RESULTS} there.")
    return 0


def _threshold(text: str) -> float | str:
    if text.strip().lower() == "median":
        return "median"
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        message = f"--threshold is {text}; give a Dice from 0 to 1, or median."
        raise EvaluationError(message)
    return value


def _several(option: str, known: tuple[str, ...]) -> Callable[[str], tuple[str, ...]]:
    def read(text: str) -> tuple[str, ...]:
        names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
        unknown = [name for name in names if name not in known]
        if unknown or not names:
            message = f"{option} is {text}; give some of {', '.join(known)}, by commas."
            raise EvaluationError(message)
        return names

    return read


def _feature_folders(text: str) -> tuple[str, Path, Path]:
    name, equals, folders = text.partition("=")
    train, comma, test = folders.partition(",")
    name = name.strip()
    if not (equals and comma and train.strip() and test.strip() and re.fullmatch(r"[\w.-]+", name)):
        message = (
            f"--features is {text}; give a name of letters, digits, dots or dashes and two folders, "
            "such as histogram=histograms/train,histograms/test."
        )
        raise EvaluationError(message)
    return name, Path(train.strip()), Path(test.strip())


def _pyod_names(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    if not names:
        message = f"--pyod is {text}; give names of PyOD's detectors, by commas, such as ECOD,IForest."
        raise EvaluationError(message)
    return names
