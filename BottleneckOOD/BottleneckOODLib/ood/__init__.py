"""Statistics on arrays: pooling, distances, calibration, placement; no torch, no image, no Slicer."""

__all__: list[str] = []
