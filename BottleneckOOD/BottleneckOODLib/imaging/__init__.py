"""What a picture is: volumes, how they are read and written, and what is measured on them without a network."""

__all__: list[str] = []
