"""Stand-in for Slicer's module ``SampleData``: keeps what was registered."""

from __future__ import annotations

from typing import Any

import slicer


class SampleDataSource:
    """One sample; its arguments are its attributes."""

    def __init__(self, **facts: Any) -> None:
        self.__dict__.update(facts)


class SampleDataLogic:
    """Registers samples under a category."""

    @staticmethod
    def registerCustomSampleDataSource(
        category: str = "Custom",
        sampleName: str | None = None,
        uris: Any = None,
        fileNames: Any = None,
        nodeNames: Any = None,
        customDownloader: Any = None,
        thumbnailFileName: str | None = None,
        loadFileTypes: Any = None,
        loadFiles: Any = None,
        loadFileProperties: dict[str, Any] | None = None,
        checksums: Any = None,
        loadFileType: Any = None,
    ) -> None:
        """Keep a sample."""
        facts = {name: value for name, value in locals().items() if name != "category"}
        slicer.modules.sampleDataSources.setdefault(category, []).append(SampleDataSource(**facts))
