"""The file that a store on this computer is."""

from __future__ import annotations

from pathlib import Path

from BottleneckOODLib.errors import StoreError


def without_scheme(store: str) -> str:
    """A store's path as it was typed, also where it was given as a URL; one on a server stays as it is.

    >>> without_scheme("sqlite+pysqlite:///t.db"), without_scheme("sqlite:///t.db"), without_scheme("t.db")
    ('t.db', 't.db', 't.db')
    """
    # The driver that is taken anyway may be named: SQLAlchemy knows both.
    return store.removeprefix("sqlite+pysqlite:///").removeprefix("sqlite:///")


def file_of_store(store: str) -> Path | None:
    """The file of a store given by its path, as ``sqlite:///PATH`` or with its driver; None for one on a server.

    Raises:
        StoreError: No file is named; or it lies in the home folder of a user that there is not.
    """
    path = without_scheme(store.strip())
    if "://" in path:
        return None
    if not path:
        message = "The store has no name; give the path of a file."
        raise StoreError(message)
    try:
        return Path(path).expanduser()
    except RuntimeError:
        message = f"The store {path} lies in the home folder of a user that is not known here; give its whole path."
        raise StoreError(message) from None
