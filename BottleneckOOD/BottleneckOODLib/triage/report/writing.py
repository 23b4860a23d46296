"""The report as a file."""

from __future__ import annotations

from pathlib import Path

from BottleneckOODLib.atomic_folder import check_free, write_file
from BottleneckOODLib.errors import OutputError
from BottleneckOODLib.triage.report.contents import gather
from BottleneckOODLib.triage.report.page import report_page
from BottleneckOODLib.triage.store import Store

SUFFIXES = (".html", ".htm")


def write_report(
    store: Store, path: Path, *, reference: str | None = None, pictures: bool = True, overwrite: bool = False
) -> int:
    """Write the report of a store as one page that needs no other file, whole or not at all.

    Args:
        store: The store, open.
        path: The file; ends in ``.html``.
        reference: Name or folder of the reference that judged; None looks for it among those that have a name.
        pictures: Whether the cases' pictures are shown.
        overwrite: Replace an existing file.

    Returns:
        How many cases it tells of.

    Raises:
        OutputError: The name ends in another way, the file exists, or it cannot be written.
        StoreError: The store cannot be read.
        InputError: A record is damaged, or the chosen reference did not judge these cases.
        ReferenceSetError: The chosen reference is not there, or damaged.
    """
    if path.suffix.lower() not in SUFFIXES:
        message = f"The report {path.name} is a page for a browser; choose a name that ends in .html."
        raise OutputError(message)
    check_free(path, overwrite=overwrite)
    contents = gather(store, reference=reference)
    write_file(path, report_page(contents, pictures=pictures).encode("utf-8"), overwrite=overwrite)
    return len(contents.results)
