"""An assessment as MRML nodes, and back: beside ``widgets`` the only folder that imports slicer and vtk."""

__all__: list[str] = []
