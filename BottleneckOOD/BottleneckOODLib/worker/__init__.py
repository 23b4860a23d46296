"""A process of its own for the model: the window stays responsive, a crash takes nothing along."""

__all__: list[str] = []
