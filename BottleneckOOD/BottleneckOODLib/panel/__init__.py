"""What the panel in Slicer shows and does, without Qt."""

__all__: list[str] = []
