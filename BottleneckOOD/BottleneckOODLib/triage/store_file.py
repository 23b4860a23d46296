"""The file that a store on this computer is."""

from __future__ import annotations

from pathlib import Path

from BottleneckOODLib.errors import StoreError


def file_of_store(store: str) -> Path | None:
    """The file of a store that is given by its path or as ``sqlite:///PATH``; None for one on a server.

    Raises:
        StoreError: No file is named; or it lies in the home folder of a user that there is not.
    """
    path = store.strip().removeprefix("sqlite:///")
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
