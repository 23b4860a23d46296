"""What is said of a case: the checks, the light, the sentence, the picture, the saved folder."""

__all__: list[str] = []
