"""The report of a store: one page that stands on its own."""

__all__: list[str] = []
