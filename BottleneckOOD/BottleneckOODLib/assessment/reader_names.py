"""When two names are one reader: the one rule for claims, decisions, second readings, undoing and agreement."""

from __future__ import annotations

import unicodedata


def reader_name(reader: str) -> str:
    """A reader's name as it is kept and shown: one line, single spaces, spelled as it was typed.

    >>> reader_name("  Zoë   B. ")
    'Zoë B.'
    """
    return " ".join(reader.split())


def reader_key(reader: str) -> str:
    """A reader's name as it is compared: neither case nor spaces nor how a letter is composed tell readers apart.

    A database's own comparison is not asked: SQLite's knows the case of ASCII letters alone, and PostgreSQL's depends
    on how the server was set up.

    >>> reader_key("ZOË  b.") == reader_key(" zoe\u0308 B."), reader_key("Ann") == reader_key("Anna")
    (True, False)

    Source:
        The Unicode Standard, section 3.13, definition D145 (canonical caseless matching).
    """
    folded = unicodedata.normalize("NFD", unicodedata.normalize("NFD", reader_name(reader)).casefold())
    return unicodedata.normalize("NFC", folded)


def same_reader(one: str, other: str) -> bool:
    """Whether two names are one reader; an empty name is nobody's.

    >>> same_reader("AB", "ab "), same_reader("", "")
    (True, False)
    """
    key = reader_key(one)
    return bool(key) and key == reader_key(other)
