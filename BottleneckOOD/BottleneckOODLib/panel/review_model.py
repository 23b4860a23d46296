"""Between the review's widgets and the decisions: the widgets call its methods and show its ``state``."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

from BottleneckOODLib.assessment.assessment import Assessment
from BottleneckOODLib.assessment.decision import (
    RATING_WORDS,
    REASON_WORDS,
    Decision,
    Rating,
    Shown,
    decide,
    decision_words,
    missing_reason,
    shown_of,
    withdraw,
)
from BottleneckOODLib.assessment.decision_record import DecisionLog, DecisionStore
from BottleneckOODLib.assessment.reader_names import reader_key, same_reader
from BottleneckOODLib.errors import UserError
from BottleneckOODLib.panel.review_state import ReviewState, rating_choices, reason_choices, saved_words
from BottleneckOODLib.translation import _

_NO_CASE = _("Assess a case first.")
_NO_RATING = _("Choose a rating first, with the buttons or the keys 1 to 5.")
_NO_READER = _("Type your name or initials first.")
_SAVES = _("Keeps the decision in the scene; save the scene to keep it for good.")
_SAVES_IN_STORE = _("Keeps the decision in the review store, at once.")
_NOTHING_TO_UNDO = _("You have decided nothing on this assessment that could be withdrawn.")
_REVEALED = _("Rated before the light was shown. Here it is: you may rate again, both decisions are kept.")
_FROM_THE_NEXT_CASE = _("The light of this case has been seen already; the next case starts without it.")


@dataclass
class _Sitting:
    """One assessment before the reader, with what is not saved yet; kept while other cases are looked at."""

    assessment: Assessment
    blind: bool
    revealed: bool
    since: float
    seconds: float = 0.0
    rating: Rating | None = None
    reasons: tuple[str, ...] = ()
    note: str = ""

    @property
    def shown(self) -> Shown | None:
        return shown_of(self.assessment) if self.revealed else None

    def clear_form(self) -> None:
        self.rating, self.reasons, self.note = None, (), ""


class ReviewModel:
    """The review's behaviour. Nothing but the reader's own hand chooses a rating.

    Args:
        store: Keeps the decisions, such as ``scene.review.SceneDecisions``.
        reader: Who decides, as remembered from last time.
        blind_first: Whether cases are rated before their light is shown.
        clock: Seconds that only run forward.
        changed: Called whenever ``state`` has changed.
        has_seen: Whether the reader is known to have seen a case's light elsewhere, by the case's name.
        revealed: Called with the case's name when its light is shown without a rating.
        in_store: Whether a case is decided in a review store rather than in the scene, by its name.
    """

    def __init__(
        self,
        store: DecisionStore,
        *,
        reader: str = "",
        blind_first: bool = False,
        clock: Callable[[], float] = time.monotonic,
        changed: Callable[[], None] = lambda: None,
        has_seen: Callable[[str], bool] = lambda _case_id: False,
        revealed: Callable[[str], None] = lambda _case_id: None,
        in_store: Callable[[str], bool] = lambda _case_id: False,
    ) -> None:
        self._store = store
        self._has_seen = has_seen
        self._revealed = revealed
        self._in_store = in_store
        self._reader = reader
        self._blind_first = blind_first
        self._clock = clock
        self._changed = changed
        self._sittings: dict[tuple[str, str, str], _Sitting] = {}
        self._sitting: _Sitting | None = None
        self._log = DecisionLog()
        self._trouble = ""
        self._message = ""
        self.state = self._state()

    def case_shown(self, assessment: Assessment | None) -> None:
        """A case stands before the reader, or none; called with the one that stands there already, nothing changes.

        Call it before anything of the result is drawn: ``state.light_hidden`` says whether the light may be.
        What was begun on another case waits there, with its time, for the reader who began it.
        """
        now, old = self._clock(), self._sitting
        if old is not None and assessment is not None and _key(old.assessment) == _key(assessment):
            return
        if old is not None:
            old.seconds += now - old.since
            # Also of whoever has taken over meanwhile: it was before them.
            self._sittings[self._whose(old.assessment)] = old
        self._message = ""
        self._sitting = None
        self._log, self._trouble = DecisionLog(), ""
        if assessment is not None:
            self._read_log(assessment.case_id)
            self._sitting = self._sittings.setdefault(self._whose(assessment), self._new_sitting(assessment, now))
            self._sitting.since = now
        self._stand()

    def forget(self) -> None:
        """The scene was closed: nothing that was begun is kept."""
        self._sittings.clear()
        self._sitting = None
        self.case_shown(None)

    def hides(self, assessment: Assessment) -> bool:
        """Whether the light of any case must be hidden, such as one that another slice view shows."""
        sitting = self._sitting
        if sitting is None or _key(sitting.assessment) != _key(assessment):
            sitting = self._sittings.get(self._whose(assessment))
        if sitting is not None or not self._blind_first:
            return sitting is not None and not sitting.revealed
        try:
            log = self._store.decisions_of(assessment.case_id)
        except UserError:
            return True
        return not (self._rated_before(log, assessment) or self._has_seen(assessment.case_id))

    def choose(self, rating: Rating) -> None:
        """The reader picks a rating; it is a decision only once it is saved."""
        if self._sitting is not None and rating in RATING_WORDS:
            self._sitting.rating = rating
            self._stand(message="")

    def toggle_reason(self, reason: str) -> None:
        """The reader picks a reason, or takes it back."""
        sitting = self._sitting
        if sitting is not None and reason in REASON_WORDS:
            chosen = set(sitting.reasons) ^ {reason}
            sitting.reasons = tuple(name for name in REASON_WORDS if name in chosen)
            self._stand(message="")

    def set_note(self, text: str) -> None:
        """The reader writes; the text may have any length and any signs."""
        if self._sitting is not None and text != self._sitting.note:
            self._sitting.note = text
            self._stand(message="")

    def set_reader(self, name: str) -> None:
        """Who decides from now on."""
        self._reader = name
        self._stand()

    def set_blind_first(self, on: bool) -> None:
        """Rate first, then see the light; a light that was seen already is not hidden again."""
        self._blind_first = on
        sitting = self._sitting
        if sitting is None:
            self._stand(message="")
        elif on:
            self._stand(message=_FROM_THE_NEXT_CASE if sitting.revealed else "")
        else:
            self.reveal()
            self._stand()

    def reveal(self) -> None:
        """Show the light without a rating; what is rated after that says that it was seen."""
        if self._sitting is not None and not self._sitting.revealed:
            self._sitting.revealed = True
            self._revealed(self._sitting.assessment.case_id)
            self._stand(message="")

    def save(self) -> None:
        """Keep the decision; after the first one in blind-first mode the light is revealed."""
        sitting = self._sitting
        if sitting is None or sitting.rating is None or not self.state.save_enabled:
            return
        try:
            row = decide(
                sitting.assessment,
                sitting.rating,
                reader=self._reader,
                reasons=sitting.reasons,
                note=sitting.note,
                seconds=sitting.seconds + self._clock() - sitting.since,
                blind_first=sitting.blind,
                shown=sitting.shown,
            )
            self._store.add(row)
        except UserError as error:
            self._stand(message=str(error))
            return
        message = _("Kept: {rating}.").format(rating=RATING_WORDS[sitting.rating]) if sitting.revealed else _REVEALED
        sitting.revealed = True
        sitting.clear_form()
        self._read_log(row.case_id)
        self._stand(message=message)

    def undo(self) -> None:
        """Withdraw this reader's last decision on this assessment; both rows stay in the record."""
        sitting, row = self._sitting, self._last_own()
        if sitting is None or row is None:
            return
        try:
            self._store.add(withdraw(row, reader=self._reader, shown=sitting.shown))
        except UserError as error:
            self._stand(message=str(error))
            return
        self._read_log(row.case_id)
        withdrawn = _("Withdrawn: {rating}. Both rows stay in the record.")
        self._stand(message=withdrawn.format(rating=RATING_WORDS[row.rating]))

    def _new_sitting(self, assessment: Assessment, now: float) -> _Sitting:
        seen_before = self._rated_before(self._log, assessment) or self._has_seen(assessment.case_id)
        return _Sitting(_without_voxels(assessment), self._blind_first, not self._blind_first or seen_before, now)

    def _whose(self, assessment: Assessment) -> tuple[str, str, str]:
        """Nobody's look is taken for another's, also where two read at one computer."""
        return reader_key(self._reader), *_key(assessment)

    def _read_log(self, case_id: str) -> None:
        try:
            self._log, self._trouble = self._store.decisions_of(case_id), ""
        except UserError as error:
            self._log, self._trouble = DecisionLog(), str(error)

    def _rated_before(self, log: DecisionLog, assessment: Assessment) -> bool:
        return any(self._is_own(row, assessment) for row in log.decisions)

    def _is_own(self, row: Decision, assessment: Assessment) -> bool:
        return row.versions.assessment_created == assessment.created and same_reader(row.reader, self._reader)

    def _last_own(self) -> Decision | None:
        sitting = self._sitting
        if sitting is None or not sitting.revealed:
            return None
        own = [row for row in self._log.standing if self._is_own(row, sitting.assessment)]
        return own[-1] if own else None

    def _missing(self) -> str:
        sitting = self._sitting
        if sitting is None:
            return _NO_CASE
        if self._trouble:
            return self._trouble
        if sitting.rating is None:
            return _NO_RATING
        if not self._reader.strip():
            return _NO_READER
        return missing_reason(sitting.rating, sitting.shown, sitting.reasons, sitting.note)

    def _state(self) -> ReviewState:
        sitting, missing, own = self._sitting, self._missing(), self._last_own()
        message = " ".join(text for text in (self._message, self._trouble, *self._log.damage) if text)
        undo_hint = _NOTHING_TO_UNDO if own is None else f"Withdraws: {decision_words(own)}"
        if sitting is None:
            return ReviewState(
                ratings=rating_choices(None),
                reasons=reason_choices(()),
                reader=self._reader,
                save_hint=missing,
                undo_hint=undo_hint,
                blind_first=self._blind_first,
                message=message,
            )
        return ReviewState(
            case_id=sitting.assessment.case_id,
            enabled=True,
            ratings=rating_choices(sitting.rating),
            reasons=reason_choices(sitting.reasons),
            note=sitting.note,
            reader=self._reader,
            save_enabled=not missing,
            save_hint=missing or (_SAVES_IN_STORE if self._in_store(sitting.assessment.case_id) else _SAVES),
            undo_enabled=own is not None,
            undo_hint=undo_hint,
            blind_first=self._blind_first,
            light_hidden=not sitting.revealed,
            saved=saved_words(self._log, sitting.assessment.created, hidden=not sitting.revealed),
            message=message,
        )

    def _stand(self, message: str | None = None) -> None:
        if message is not None:
            self._message = message
        state = self._state()
        if state != self.state:
            self.state = state
            self._changed()


def _key(assessment: Assessment) -> tuple[str, str]:
    return assessment.case_id, assessment.created


def _without_voxels(assessment: Assessment) -> Assessment:
    """What was begun on a hundred cases does not keep a hundred images alive."""
    there = {field.name for field in fields(assessment)}
    nothing: dict[str, Any] = {name: None for name in ("segmentation", "volume", "regions") if name in there}
    return replace(assessment, **nothing)
