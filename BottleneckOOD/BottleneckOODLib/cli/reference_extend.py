"""``bottleneck-ood reference extend``: cases that readers accepted become part of a new version of a reference."""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from BottleneckOODLib.cli.assess import add_trust_option, reader
from BottleneckOODLib.cli.parsing import add_command, whole_number
from BottleneckOODLib.cli.terminal_text import say
from BottleneckOODLib.errors import InputError, ReferenceSetError
from BottleneckOODLib.version import __version__

if TYPE_CHECKING:
    from BottleneckOODLib.assessment.checks import Check
    from BottleneckOODLib.assessment.version_guard import VersionGuard
    from BottleneckOODLib.gathering.case import CaseForReference, GatheredCase
    from BottleneckOODLib.imaging.series_folders import SeriesFolders
    from BottleneckOODLib.imaging.volume import Modality
    from BottleneckOODLib.logic import BottleneckOODLogic
    from BottleneckOODLib.reference.feature_space import FeatureSpace
    from BottleneckOODLib.reference.reference_folder import Reference
    from BottleneckOODLib.triage.reviewed import Reviewed
    from BottleneckOODLib.triage.store import Store

RATINGS = ("accept", "minor_edit")
_MODALITIES: tuple[Modality, ...] = ("CT", "MR")
_MOST_LINES = 20
_NOTES = """\
Without --write nothing is made: it is told what would change. The old reference is never touched; the new version is a
folder of its own, whose card says which version it was made from, how many cases were added, when, and by how many
readers. The Dice of the old cases stays; the added cases have none.

A case is added when enough readers gave it the rating and no reader another one, its mask is of the reference's model,
its image lies unchanged where the store saw it, and the reference does not hold the same image. The model runs on these
and on the other cases of the store, to see whose light changes; what was measured is kept in NEW.partial until the new
version is written.

It is refused (unless --accept-changes) when more than half of the added cases are unusual to the old version, when more
than 5 of 100 known failures that are flagged would be green (Dice at or below the reference's limit, or rated reject or
bad_image), or when the bottleneck's centre moves by more than half of the usual distance of a case from it."""


def add_extend(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the action."""
    extend = add_command(
        actions,
        "extend",
        "add cases that readers accepted, as a new version",
        [
            "bottleneck-ood reference extend demo --store triage.db --output demo-2",
            "bottleneck-ood reference extend demo --store triage.db --output demo-2 --readings 2 --write",
        ],
        notes=_NOTES,
    )
    extend.add_argument("reference", metavar="R", help="name or folder of the reference")
    extend.add_argument("--store", required=True, metavar="URL", help="a file (SQLite), or a PostgreSQL URL")
    extend.add_argument("--output", required=True, type=Path, metavar="NEW", help="folder of the new version")
    extend.add_argument("--write", action="store_true", help="make the new version, and not only tell what changes")
    extend.add_argument(
        "--rating",
        action="append",
        choices=RATINGS,
        metavar="KEY",
        help=f"which rating adds a case: {' or '.join(RATINGS)}; may be given twice; accept alone when it is not given",
    )
    extend.add_argument(
        "--readings",
        type=whole_number("--readings", least=1),
        default=1,
        metavar="N",
        help="how many readers have to agree (default: 1)",
    )
    extend.add_argument(
        "--compare",
        type=whole_number("--compare", least=0),
        metavar="N",
        help="look at N of the other cases, drawn by lot, and at all known failures (default: at every case)",
    )
    extend.add_argument(
        "--accept-changes", action="store_true", help="make it although it is refused; its card says so"
    )
    extend.add_argument("--name-readers", action="store_true", help="keep the readers' names in the new version")
    extend.add_argument("--name", metavar="NAME", help="name of the new version (default: the output folder's)")
    extend.add_argument("--model", metavar="M", help="name or folder of the model (default: the one that made R)")
    extend.add_argument(
        "--workers",
        type=whole_number("--workers", least=1),
        default=1,
        metavar="N",
        help="processes that each hold the model (default: 1)",
    )
    extend.add_argument("--device", default="auto", metavar="DEVICE", help="auto, cpu, cuda, cuda:N or mps")
    add_trust_option(extend)
    extend.set_defaults(run=run_extend)


@dataclass(frozen=True)
class _Cases:
    """What is measured.

    Attributes:
        reviewed: What the readers say.
        wanted: Cases to add.
        others: Other cases of the store.
        plain_facts: Checks that turn a case's light whatever the reference.
        folders: In which folder each image lies.
        sources: What each image is read from.
        left_out: Cases that cannot be added, a line each.
    """

    reviewed: Reviewed
    wanted: list[CaseForReference]
    others: list[CaseForReference]
    plain_facts: dict[str, list[Check]]
    folders: dict[str, str]
    sources: dict[str, Path | SeriesFolders]
    left_out: list[str]


def run_extend(arguments: argparse.Namespace) -> int:
    """Tell what would change, and make the new version where it is asked for."""
    from BottleneckOODLib.assessment.version_guard import version_guard  # noqa: PLC0415 - keeps --help fast
    from BottleneckOODLib.case_measuring import MEASUREMENTS  # noqa: PLC0415
    from BottleneckOODLib.catalogue import find_reference  # noqa: PLC0415
    from BottleneckOODLib.cli.triage import existing  # noqa: PLC0415
    from BottleneckOODLib.gathering.rows import remove_row_files  # noqa: PLC0415
    from BottleneckOODLib.logic import BottleneckOODLogic  # noqa: PLC0415
    from BottleneckOODLib.reference.extending import extended_spaces  # noqa: PLC0415
    from BottleneckOODLib.reference.outcomes import FAILURE_DICE, has_failed  # noqa: PLC0415
    from BottleneckOODLib.reference.reference_folder import Reference, read_thumbnails  # noqa: PLC0415
    from BottleneckOODLib.reference.version_change import version_change  # noqa: PLC0415
    from BottleneckOODLib.triage.store import Store  # noqa: PLC0415

    folder = find_reference(arguments.reference)
    reference = Reference.load(folder)
    _check_output(arguments.output)
    logic = BottleneckOODLogic(arguments.model or _model_of(reference), None, arguments.device)
    reference.check_made_by(logic.model.fingerprint, (MEASUREMENTS,))
    with Store(existing(arguments.store)) as store:
        cases = _cases_of(store, reference, arguments)
    if not cases.wanted:
        _tell("left out", cases.left_out)
        raise InputError(_none_wanted(cases, arguments))
    pictures = read_thumbnails(folder, len(reference.cases))
    added, others, unmeasured = _measured(logic, reference, cases, arguments, pictures=bool(pictures))
    if not added:
        _tell("left out", cases.left_out)
        message = "No case can be added: all that readers agreed on are left out."
        raise InputError(message)
    spaces = extended_spaces(reference, _stacked(added))
    change = version_change(
        reference,
        spaces,
        [(one.case.case_id, one.row.features) for one in added],
        [(one.case.case_id, one.row.features) for one in others],
    )
    known = FAILURE_DICE if reference.outcomes is None else reference.outcomes.failure_dice
    limit = reference.failure_dice or known
    guard = version_guard(
        change,
        plain_facts=cases.plain_facts,
        failed_own={case.case_id for case in reference.cases if case.dice is not None and has_failed(case.dice, limit)},
        failed_others=cases.reviewed.failed,
        folders=[cases.folders[one.case.case_id] for one in added],
    )
    _show(guard, cases, unmeasured)
    if _only_told(guard, arguments):
        return 0
    new = replace(
        _new_version(guard, reference, spaces, added, cases, arguments), thumbnails=_all_pictures(pictures, added)
    )
    saved = new.save(arguments.output)
    remove_row_files(_partial(arguments.output))
    print(f"The new version of {len(saved.cases)} cases lies in {arguments.output}; {folder} was not touched.")
    return 0


def _none_wanted(cases: _Cases, arguments: argparse.Namespace) -> str:
    if cases.left_out:
        return "No case can be added: all that readers agreed on are left out, each for the reason above."
    words = " or ".join(arguments.rating or ("accept",))
    by = "a reader" if arguments.readings == 1 else f"{arguments.readings} readers"
    return (
        f"No case can be added: none has the rating {words} by {by} and a mask of this reference's model; rate cases "
        f"with: bottleneck-ood review session --store {arguments.store} --reader NAME"
    )


def _check_output(output: Path) -> None:
    from BottleneckOODLib.atomic_folder import check_writable  # noqa: PLC0415 - keeps --help fast

    check_writable(output)
    if output.exists():
        message = f"The folder {output} exists already and was kept; a new version needs a new folder."
        raise ReferenceSetError(message)


def _model_of(reference: Reference) -> Path:
    from BottleneckOODLib.catalogue import list_models  # noqa: PLC0415 - keeps --help fast
    from BottleneckOODLib.errors import ModelError  # noqa: PLC0415
    from BottleneckOODLib.model.model_folder import read_model_file  # noqa: PLC0415

    for folder in list_models().values():
        try:
            if read_model_file(folder).fingerprint == reference.model_fingerprint:
                return folder
        except ModelError:
            continue
    message = (
        f'The model that made the reference "{reference.name}" is none of those that model list names; add --model.'
    )
    raise ModelError(message)


def _cases_of(store: Store, reference: Reference, arguments: argparse.Namespace) -> _Cases:
    from BottleneckOODLib.reference_cases import image_case  # noqa: PLC0415 - keeps --help fast
    from BottleneckOODLib.triage.decisions import StoredDecisions  # noqa: PLC0415
    from BottleneckOODLib.triage.reviewed import has_edited_mask, image_of, reviewed_cases  # noqa: PLC0415

    reviewed = reviewed_cases(
        StoredDecisions(store).all(),
        reference.model_fingerprint,
        arguments.rating or ("accept",),
        arguments.readings,
        partial(has_edited_mask, store),
    )
    cases = _Cases(reviewed, [], [], {}, store.folders(), {}, list(reviewed.left_out))
    names = [found.case_id for found in store.results()]
    read = reader(trusted=arguments.trust_files)
    for case_id in [*reviewed.agreed, *_compared(names, reviewed, arguments.compare)]:
        wanted = case_id in reviewed.agreed
        assessment = store.assessment_of(case_id)
        if assessment is None or assessment.model.fingerprint != reference.model_fingerprint:
            # What could not be read has no light to change.
            continue
        image = image_of(store, case_id)
        if image is None:
            if wanted:
                cases.left_out.append(f"{case_id}: Its image is not where it was, or was changed; run triage again.")
            continue
        modality = next((kind for kind in _MODALITIES if kind == assessment.input.modality), None)
        case = image_case(case_id, image.source, series=image.series, modality=modality, read=read)
        (cases.wanted if wanted else cases.others).append(case)
        cases.sources[case_id] = image.source
        cases.plain_facts[case_id] = [check for check in assessment.checks if not check.calibrated]
    return cases


def _compared(names: Sequence[str], reviewed: Reviewed, most: int | None) -> list[str]:
    """The cases that are not added, or so many of them and every known failure."""
    others = [name for name in names if name not in reviewed.agreed]
    if most is None:
        return others
    by_lot = set(sorted(others, key=lambda name: hashlib.sha256(name.encode()).hexdigest())[:most])
    return [name for name in others if name in reviewed.failed or name in by_lot]


def _measured(
    logic: BottleneckOODLogic,
    reference: Reference,
    cases: _Cases,
    arguments: argparse.Namespace,
    *,
    pictures: bool,
) -> tuple[list[GatheredCase], list[GatheredCase], int]:
    """The cases to add and the others, as measured, and how many of the others could not be."""
    from BottleneckOODLib.cli.console import ConsoleProgress, stopping_on_interrupt  # noqa: PLC0415
    from BottleneckOODLib.cli.reference_build import telling_what_is_kept  # noqa: PLC0415
    from BottleneckOODLib.gathering.case import LeftOutCase  # noqa: PLC0415
    from BottleneckOODLib.imaging.hidden_names import without_names  # noqa: PLC0415
    from BottleneckOODLib.reference.extending import double_of  # noqa: PLC0415

    wanted = {case.case_id for case in cases.wanted}
    added, others, unmeasured = [], [], 0
    partial = _partial(arguments.output)
    with stopping_on_interrupt() as cancel, telling_what_is_kept(partial):
        progress = ConsoleProgress("reference extend")
        for result in logic.measured_cases(
            [*cases.wanted, *cases.others],
            n_cases=len(cases.wanted) + len(cases.others),
            pooling=str(reference.settings["pooling"]),
            workers=arguments.workers,
            cache=partial,
            thumbnails=pictures,
            progress=progress,
            cancel=cancel,
        ):
            if isinstance(result, LeftOutCase):
                unmeasured += result.case_id not in wanted
                if result.case_id in wanted:
                    told = without_names(result.reason, cases.sources[result.case_id], result.case_id)
                    cases.left_out.append(f"{result.case_id}: {told}")
            elif result.case.case_id not in wanted:
                others.append(result)
            elif (double := double_of(reference, result.row.features)) is not None:
                cases.left_out.append(f"{result.case.case_id}: The reference holds the same image as {double}.")
            else:
                added.append(result)
        progress.done()
    return added, others, unmeasured


def _stacked(added: Sequence[GatheredCase]) -> dict[str, Any]:
    import numpy as np  # noqa: PLC0415 - keeps --help fast

    return {space: np.array([one.row.features[space] for one in added]) for space in added[0].row.features}


def _show(guard: VersionGuard, cases: _Cases, unmeasured: int) -> None:
    for line in guard.facts:
        say(line)
    _tell("changes", [f"{m.case_id}: {m.old} -> {m.new} (p {m.old_p:.3f} -> {m.new_p:.3f})" for m in guard.moved])
    if unmeasured:
        why = "a plain fact is wrong, there is no mask, or it is the same image as another"
        print(f"  {unmeasured} other cases were not compared ({why}).")
    _tell("left out", cases.left_out)
    for warning in guard.warnings:
        say(f"warning: {warning}")


def _only_told(guard: VersionGuard, arguments: argparse.Namespace) -> bool:
    """Whether it ends with telling.

    Raises:
        ReferenceSetError: It was to be made and is refused.
    """
    refused = bool(guard.refusals) and not arguments.accept_changes
    if refused and arguments.write:
        message = f"{' '.join(guard.refusals)} Nothing was made; look at the cases, or add --accept-changes."
        raise ReferenceSetError(message)
    for sentence in guard.refusals:
        print(f"refused: {sentence}")
    if arguments.write:
        return False
    print("Nothing was made; add --write to make it" + (" and --accept-changes." if refused else "."))
    print(f"note: what was measured is kept in {_partial(arguments.output)}.", file=sys.stderr)
    return True


def _new_version(
    guard: VersionGuard,
    reference: Reference,
    spaces: Mapping[str, FeatureSpace],
    added: Sequence[GatheredCase],
    cases: _Cases,
    arguments: argparse.Namespace,
) -> Reference:
    from BottleneckOODLib.local_regions import LOCAL_TOKENS, extended_bank  # noqa: PLC0415 - keeps --help fast
    from BottleneckOODLib.reference.extending import extended, free_names  # noqa: PLC0415

    readers = sorted({reader for one in added for reader in cases.reviewed.agreed[one.case.case_id]})
    made = f"{datetime.now(timezone.utc).date().isoformat()}, BottleneckOOD {__version__}"
    version = {
        "parent_name": reference.name,
        "made": made,
        "n_added": len(added),
        "n_left_out": len(cases.left_out),
        "n_readers": len(readers),
        "ratings": list(arguments.rating or ("accept",)),
        "readings": arguments.readings,
        "against": list(guard.refusals),
    }
    if arguments.name_readers:
        version["readers"] = readers
    bank = reference.bank
    if reference.settings.get("local_tokens") == LOCAL_TOKENS:
        bank = extended_bank(bank, [one.row.tokens for one in added])
    return extended(
        reference,
        arguments.name or arguments.output.name,
        spaces,
        free_names(reference, [one.case for one in added]),
        version,
        bank,
    )


def _all_pictures(pictures: Sequence[bytes], added: Sequence[GatheredCase]) -> tuple[bytes, ...]:
    new = [one.row.thumbnail.tobytes() for one in added if one.row.thumbnail is not None]
    return (*pictures, *new) if pictures and len(new) == len(added) else ()


def _partial(output: Path) -> Path:
    return output.with_name(f"{output.name}.partial")


def _tell(title: str, lines: Sequence[str]) -> None:
    for line in lines[:_MOST_LINES]:
        say(f"  {title}: {line}")
    if len(lines) > _MOST_LINES:
        print(f"  and {len(lines) - _MOST_LINES} more")
