"""Running the model on the cases of a reference: one or many processes, kept as they come, put together in order."""

__all__: list[str] = []
