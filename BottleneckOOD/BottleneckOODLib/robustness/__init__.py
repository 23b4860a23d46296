"""How the score behaves on damaged images: graded corruptions, every detector, measured Dice."""

__all__: list[str] = []
