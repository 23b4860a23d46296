"""Between the panel's widgets and the library: the only folder that imports qt, ctk and the application."""

__all__: list[str] = []
