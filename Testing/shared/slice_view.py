"""A slice view as Slicer has it, without an application."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import slicer
import vtk
from displayable_managers import managers_of
from vtk.util.numpy_support import vtk_to_numpy


@dataclass
class SliceView:
    """A slice view as Slicer has it, without a window: slice logic, displayable managers, an offscreen renderer."""

    scene: Any
    name: str = "Red"
    size: tuple[int, int] = (500, 400)
    renderer: Any = field(default_factory=vtk.vtkRenderer)
    window: Any = field(default_factory=vtk.vtkRenderWindow)
    logic: Any = field(default_factory=slicer.vtkMRMLSliceLogic)
    application: Any = field(default_factory=slicer.vtkMRMLApplicationLogic)
    colours: Any = field(default_factory=slicer.vtkMRMLColorLogic)

    def __post_init__(self) -> None:
        self.colours.SetMRMLScene(self.scene)
        self.application.SetMRMLScene(self.scene)
        self.application.SetColorLogic(self.colours)
        factory = slicer.vtkMRMLSliceViewDisplayableManagerFactory.GetInstance()
        factory.SetMRMLApplicationLogic(self.application)
        for manager in (
            "vtkMRMLModelSliceDisplayableManager",
            "vtkMRMLSegmentationsDisplayableManager2D",
            "vtkMRMLOrientationMarkerDisplayableManager",
        ):
            if not factory.IsDisplayableManagerRegistered(manager):
                factory.RegisterDisplayableManager(manager)
        self.window.SetOffScreenRendering(1)
        self.window.SetMultiSamples(0)
        self.window.SetSize(*self.size)
        self.window.AddRenderer(self.renderer)
        interactor = vtk.vtkRenderWindowInteractor()
        interactor.SetRenderWindow(self.window)
        self.window.SetInteractor(interactor)
        self.logic.SetMRMLApplicationLogic(self.application)
        self.logic.SetMRMLScene(self.scene)
        self.node = self.logic.AddSliceNode(self.name)
        self.node.SetOrientation("Axial")
        logics = vtk.vtkCollection()
        logics.AddItem(self.logic)
        self.application.SetSliceLogics(logics)
        self.mapper = vtk.vtkImageMapper()
        self.mapper.SetColorWindow(255)
        self.mapper.SetColorLevel(127.5)
        image = vtk.vtkActor2D()
        image.SetMapper(self.mapper)
        image.GetProperty().SetDisplayLocationToBackground()
        self.renderer.AddViewProp(image)
        self.group = managers_of(factory, self.renderer)
        self.group.SetMRMLDisplayableNode(self.node)

    @property
    def composite(self) -> Any:
        return self.logic.GetSliceCompositeNode()

    def show(self, volume_node: Any, at_ras: tuple[float, float, float] | None = None) -> None:
        """Show a volume, the whole of it, at a place."""
        self.composite.SetBackgroundVolumeID(volume_node.GetID())
        self.logic.ResizeSliceNode(*self.size)
        self.logic.FitSliceToAll(*self.size)
        if at_ras is not None:
            self.node.JumpSliceByOffsetting(*at_ras)

    def resize(self, width: int, height: int) -> None:
        self.size = (width, height)
        self.window.SetSize(width, height)
        self.logic.ResizeSliceNode(width, height)

    def picture(self) -> npt.NDArray[np.uint8]:
        """The view as it is drawn, shape (height, width, 3), the first row on top."""
        connection = self.logic.GetImageDataConnection()
        if connection is not None:
            self.mapper.SetInputConnection(connection)
        self.window.Render()
        grabbed = vtk.vtkWindowToImageFilter()
        grabbed.SetInput(self.window)
        grabbed.ReadFrontBufferOff()
        grabbed.Update()
        image = grabbed.GetOutput()
        width, height, _ = image.GetDimensions()
        rows = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(height, width, -1)
        return np.asarray(rows[::-1]).copy()

    def pixel_of(self, ras: tuple[float, float, float]) -> tuple[float, float]:
        """Row and column of a point of the world."""
        to_xy = vtk.vtkMatrix4x4()
        vtk.vtkMatrix4x4.Invert(self.node.GetXYToRAS(), to_xy)
        x, y = to_xy.MultiplyPoint((*ras, 1.0))[:2]
        return self.size[1] - 1 - y, x

    def close(self) -> None:
        self.group.SetMRMLDisplayableNode(None)
        self.logic.SetMRMLScene(None)
        self.application.SetMRMLScene(None)
        self.colours.SetMRMLScene(None)
        self.window.Finalize()
