"""What turns a volume into a mask and a bottleneck: the only folder that imports torch."""

__all__: list[str] = []
