"""Which reference a model's cases are compared with."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from BottleneckOODLib.catalogue import find_reference, list_references
from BottleneckOODLib.errors import ReferenceSetError
from BottleneckOODLib.reference.reference_folder import Reference


def reference_for(
    wish: str | Path | None, model_name: str, fingerprint: str, measurements: Collection[int]
) -> Reference:
    """The reference that was asked for, or the first that the model made.

    Args:
        wish: Name or folder of a reference; None takes the model's own.
        model_name: Name of the model, for the sentence.
        fingerprint: Fingerprint of the model.
        measurements: Ways of measuring whose features mean the same as today's.

    Raises:
        ReferenceSetError: It is missing or damaged, or there is none of this model.
        ReferenceMismatchError: It was made by another model, or before a feature was defined anew.
    """
    if wish is not None:
        reference = Reference.load(find_reference(wish))
        reference.check_made_by(fingerprint, measurements)
        return reference
    damaged: ReferenceSetError | None = None
    for folder in list_references().values():
        try:
            candidate = Reference.load(folder)
        except ReferenceSetError as error:
            damaged = error
            continue
        if candidate.model_fingerprint == fingerprint:
            candidate.check_made_by(fingerprint, measurements)
            return candidate
    if damaged is not None:
        raise damaged
    message = f'The model "{model_name}" has no reference yet; build one with: bottleneck-ood reference build.'
    raise ReferenceSetError(message)
