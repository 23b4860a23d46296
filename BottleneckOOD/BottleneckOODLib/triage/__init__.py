"""Many cases: the store of what was assessed and decided, the worklist, the batch."""

__all__: list[str] = []
