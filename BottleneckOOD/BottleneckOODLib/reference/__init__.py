"""The training cases that a case is compared with: the folder, how it is built, its map."""

__all__: list[str] = []
