"""Which values of a label map count as the organ."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from BottleneckOODLib.errors import InputError
from BottleneckOODLib.imaging.volume import LabelVolume

_LARGEST = 255


@dataclass(frozen=True)
class LabelChoice:
    """The values that together are the organ, such as liver and tumour.

    Attributes:
        values: Label value of each structure, by name; empty where a label map holds the organ alone.
    """

    values: tuple[tuple[str, int], ...] = ()

    @classmethod
    def parse(cls, text: str) -> LabelChoice:
        """Read ``NAME=VALUE`` or ``VALUE``, several of them between commas.

        Raises:
            InputError: A value is no whole number from 1 to 255.

        >>> LabelChoice.parse("liver=1,tumour=2").values
        (('liver', 1), ('tumour', 2))
        """
        values = []
        for part in text.split(","):
            name, _, number = part.strip().rpartition("=")
            value = int(number) if number.strip().isdecimal() else 0
            if not 1 <= value <= _LARGEST:
                message = f'The label "{part.strip()}" has no value from 1 to {_LARGEST}; write it as liver=1,tumour=2.'
                raise InputError(message)
            values.append((name.strip() or f"label {value}", value))
        return cls(tuple(values))

    def organ(self, labels: LabelVolume, name: str) -> LabelVolume:
        """The chosen values merged into label 1.

        Args:
            labels: A label map. Not modified.
            name: Its file's name, for the sentence.

        Raises:
            InputError: It holds none of the values, or nothing, or several structures where none were chosen.
        """
        present = [int(value) for value in np.unique(labels.labels) if value]
        held = ", ".join(str(value) for value in present)
        if not present:
            message = f"The labels {name} mark nothing; choose the label map of this image."
            raise InputError(message)
        if not self.values:
            if len(present) > 1:
                message = (
                    f"The labels {name} hold several structures (values {held}); say which are the organ with --label."
                )
                raise InputError(message)
            wanted = present
        else:
            wanted = [value for _, value in self.values]
            if not set(wanted) & set(present):
                asked = ", ".join(f"{structure} = {value}" for structure, value in self.values)
                message = f"The labels {name} hold none of {asked} (they hold {held}); check the values."
                raise InputError(message)
        merged = np.isin(labels.labels, wanted).astype(np.uint8)
        return LabelVolume(merged, labels.geometry, {1: self.values[0][0] if self.values else "organ"})
