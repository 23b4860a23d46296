"""Where an image was seen, as a store keeps it."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field, replace

_NAME_DIGITS, _STORE_DIGITS = 12, 6


@dataclass(frozen=True)
class Place:
    """Where an image lies.

    Attributes:
        path: The file, or the folder of a DICOM series; the nearest one above where its slices lie in several.
        series: UID of the series where the folder holds several, hashed, and with it the folders below that hold this
            one, where they are several; empty otherwise.
        stamp: Changes when the file or files do, known without reading them.
        salt: The store's, where the series is as it stands there; empty where it is as it was found.
    """

    path: str
    series: str
    stamp: str
    salt: str = field(default="", compare=False, repr=False)

    def salted(self, salt: str) -> Place:
        """The same place as a store with this salt keeps it: keyed (HMAC, RFC 2104), so that no two stores agree.

        Raises:
            ValueError: It was salted by another store.
        """
        if self.salt not in ("", salt):
            message = "The place is of another store."
            raise ValueError(message)
        if self.salt or not salt or not self.series:
            return self
        return replace(self, series=keyed(salt, self.series), salt=salt)


def hashed_name(salt: str, content: str) -> str:
    """Name of a case that is named after no file: 48 bits of the keyed hash of its content.

    >>> hashed_name("00" * 32, "ab" * 32)
    'case-14fb10c4cac0'
    """
    return f"case-{keyed(salt, f'name {content}')[:_NAME_DIGITS]}"


def short_name(salt: str) -> str:
    """What tells a store from another one, in 24 bits of a hash of its salt."""
    return keyed(salt, "store")[:_STORE_DIGITS]


def keyed(salt: str, value: str) -> str:
    """What a store keeps instead of a value that identifies: HMAC-SHA256 with its salt."""
    return hmac.new(bytes.fromhex(salt), value.encode(), hashlib.sha256).hexdigest()
