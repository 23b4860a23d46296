"""Generated bodies with a known liver, for the demo model, its reference and the sample."""

__all__: list[str] = []
