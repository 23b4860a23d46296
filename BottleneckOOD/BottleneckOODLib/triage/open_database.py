"""A database that is open: what is written in one piece, and looks that hinder nobody."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING

from sqlalchemy.orm import Session

from BottleneckOODLib.errors import StoreError
from BottleneckOODLib.triage.opening import DATABASE_FAILURES, open_engine, what_failed

if TYPE_CHECKING:
    # In Python's own typing from 3.11 on.
    from typing_extensions import Self


class OpenDatabase:
    """A store's database, open; ``Store`` is what it says.

    Args:
        store: A file's path, or a database URL.
        patience_s: How long to wait for a server, and for others who write; None waits as long as a batch may.

    Raises:
        StoreError: It cannot be opened, or is of a newer version.
        DependencyError: The database's driver is not installed.
    """

    def __init__(self, store: str, patience_s: float | None = None) -> None:
        self.engine = open_engine(store, patience_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; everything that was acknowledged is on disk already."""
        self.engine.dispose()

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """One transaction: all of it is kept, or nothing.

        Raises:
            StoreError: The store refused it; nothing was changed.
        """
        try:
            with Session(self.engine) as session, session.begin():
                yield session
        except (*DATABASE_FAILURES, UnicodeEncodeError) as error:
            raise StoreError(_refused(error)) from error

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A look into the store that hinders nobody.

        Raises:
            StoreError: The store cannot be read.
        """
        try:
            with self.engine.connect().execution_options(reading=True) as connection, Session(connection) as session:
                yield session
        except (*DATABASE_FAILURES, UnicodeEncodeError) as error:
            raise StoreError(_refused(error)) from error


def _refused(error: Exception) -> str:
    if isinstance(error, UnicodeEncodeError):
        return "A name or a note holds bytes that are no text; nothing was changed: give it without them."
    why = what_failed(error)
    return f"The store could not be used ({why}); nothing was changed: check the disk, the server and your rights."
