"""Which cases of a store readers agreed on, and where their images lie."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from BottleneckOODLib.assessment.decision import RATING_WORDS
from BottleneckOODLib.assessment.decision_record import DecisionLog
from BottleneckOODLib.assessment.reader_names import reader_key, reader_name
from BottleneckOODLib.assessment.versions import edited_versions
from BottleneckOODLib.triage.finding import Candidate, candidate_at
from BottleneckOODLib.triage.store import Store

FAILURES = ("reject", "bad_image")
"""Ratings of a mask or an image that must not look usual."""


@dataclass(frozen=True)
class Reviewed:
    """What the readers of a store say.

    Attributes:
        agreed: Cases that enough readers gave one of the wanted ratings and none another, with who they are,
            each spelled in one way.
        left_out: Of each case that some reader gave a wanted rating and that is not among them, its name and why.
        failed: Cases that some reader rejected, or whose image is bad.
    """

    agreed: Mapping[str, tuple[str, ...]]
    left_out: tuple[str, ...]
    failed: frozenset[str]


def reviewed_cases(
    logs: Iterable[tuple[str, DecisionLog]],
    model_fingerprint: str,
    ratings: Collection[str],
    n_readers: int,
    is_edited: Callable[[str, Collection[str]], bool] = lambda _case_id, _created: False,
) -> Reviewed:
    """Sort the cases by what stands; the last standing rating of each reader counts.

    Args:
        logs: Every case that was decided on, with its decisions.
        model_fingerprint: Ratings of another model's mask say nothing of this one's; a bad image is one for all.
        ratings: What counts as agreeing.
        n_readers: So many readers have to.
        is_edited: Whether a reader saved another mask of a case than the model made in one of the assessments that were
            rated, named by when they were made. Then it was not the model's own that was accepted; such a case counts
            where a mask that needs an edit is wanted too.
    """
    names: dict[str, str] = {}
    agreed: dict[str, tuple[str, ...]] = {}
    left_out: list[str] = []
    failed: set[str] = set()
    for case_id, log in logs:
        last = {
            reader_key(row.reader): row.rating
            for row in log.standing
            if row.versions.model_fingerprint == model_fingerprint or row.rating == "bad_image"
        }
        for row in log.standing:
            names.setdefault(reader_key(row.reader), reader_name(row.reader))
        others = sorted({RATING_WORDS[rating] for rating in last.values() if rating not in ratings})
        if any(rating in FAILURES for rating in last.values()):
            failed.add(case_id)
        if not any(rating in ratings for rating in last.values()):
            if any(row.rating in ratings for row in log.standing) and not last:
                left_out.append(f"{case_id}: The rated mask is another model's.")
        elif others:
            left_out.append(f'{case_id}: Another reader rated it "{others[0]}".')
        elif len(last) < n_readers:
            left_out.append(f"{case_id}: {len(last)} of the {n_readers} readers that are needed rated it.")
        elif "minor_edit" not in ratings and is_edited(case_id, _rated(log, model_fingerprint)):
            left_out.append(f"{case_id}: A reader edited its mask, so it was not the model's own that was accepted.")
        elif log.damage:
            left_out.append(f"{case_id}: {log.damage[0]}")
        else:
            agreed[case_id] = tuple(sorted(names[key] for key in last))
    return Reviewed(agreed, tuple(left_out), frozenset(failed))


def _rated(log: DecisionLog, model_fingerprint: str) -> frozenset[str]:
    """When the assessments by this model were made that ratings stand of."""
    made = (row.versions for row in log.standing)
    return frozenset(one.assessment_created for one in made if one.model_fingerprint == model_fingerprint)


def has_edited_mask(store: Store, case_id: str, created: Collection[str]) -> bool:
    """Whether a reader edited the mask of one of these assessments, as far as their folders can be reached."""
    folders = store.result_folders(case_id)
    return any(one.assessment_created in created for folder in folders for one in edited_versions(Path(folder)))


def image_of(store: Store, case_id: str) -> Candidate | None:
    """Where a case's image lies, unchanged; None where it is nowhere any more."""
    found = (candidate_at(place) for place in store.places_of(case_id))
    return next((candidate for candidate in found if candidate is not None), None)
