"""Values of loaded DICOM instances from the application's database."""

from __future__ import annotations

import slicer


def dicom_tag(instance_uid: str, tag: str) -> str:
    """A value of an instance; empty where there is no database, or it does not know the instance.

    Args:
        instance_uid: SOP instance UID.
        tag: Such as ``"0008,0060"``.
    """
    # The DICOM module puts it there, once the application has started up.
    database = getattr(slicer, "dicomDatabase", None)
    if database is None or not database.isOpen:
        return ""
    return str(database.instanceValue(instance_uid, tag) or "")
