"""A model's features of many cases, saved as an evaluation takes them."""

__all__: list[str] = []
