"""Names and attributes of nodes as a saved scene can hold them: MRML writes them without escaping the ampersand."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote


def node_name(text: str) -> str:
    """A name for people, without what a saved scene could not be read with.

    >>> node_name("R&D")
    'R and D'
    """
    return re.sub(r"[\x00-\x1f\x7f]", "_", text.replace("&", " and ")).replace("  ", " ")


def attribute_of(text: str) -> str:
    """A text as an attribute's value, only what must be is encoded; ``text_of`` gives it back."""
    return re.sub(r"[%&\x00-\x1f\x7f]", lambda found: quote(found[0], safe=""), text)


def text_of(attribute: str) -> str:
    """The text that ``attribute_of`` encoded.

    >>> text_of(attribute_of("R&D 50%20")) == "R&D 50%20"
    True
    """
    return unquote(attribute)
