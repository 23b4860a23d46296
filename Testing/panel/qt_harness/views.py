"""Stand-ins for the views: real MRML logic, displayable managers and render windows, made when first asked for."""

from __future__ import annotations

from typing import Any

import numpy as np
import shiboken6
import slicer
import vtk
from displayable_managers import managers_of
from PySide6 import QtGui, QtWidgets
from vtkmodules.util.numpy_support import vtk_to_numpy

from qt_harness.pythonqt import PythonQtType

_SLICE_MANAGERS = (
    "vtkMRMLVolumeGlyphSliceDisplayableManager",
    "vtkMRMLModelSliceDisplayableManager",
    "vtkMRMLSegmentationsDisplayableManager2D",
    "vtkMRMLMarkupsDisplayableManager",
    "vtkMRMLColorLegendDisplayableManager",
)
_THREE_D_MANAGERS = (
    "vtkMRMLCameraDisplayableManager",
    "vtkMRMLViewDisplayableManager",
    "vtkMRMLModelDisplayableManager",
    "vtkMRMLSegmentationsDisplayableManager3D",
)


class Destroyable:
    """Raises for whatever is asked of it once it is gone, as PythonQt does for an object that Qt has deleted."""

    def __getattribute__(self, name: str) -> Any:
        if not name.startswith("_") and object.__getattribute__(self, "__dict__").get("_is_gone"):
            raise ValueError(f"Trying to call {name!r} on a destroyed {type(self).__name__} object")
        return super().__getattribute__(name)

    def _destroy(self) -> None:
        self.__dict__["_is_gone"] = True


# A new window asks the graphics driver anew, which takes longer than most tests.
_spare_windows: list[Any] = []


class RenderedWidget(Destroyable, QtWidgets.QWidget, metaclass=PythonQtType):
    """A widget that shows an offscreen render window; nothing is drawn until somebody looks."""

    def __init__(self) -> None:
        super().__init__()
        self._window: Any = None
        self._renderer: Any = None
        self._interactor: Any = None
        self.resize(320, 240)

    def _made(self) -> Any:
        if self._window is None:
            self._make()
            self._window.SetOffScreenRendering(1)
            self._window.SetSize(self.width(), self.height())
            self._fill()
        return self._window

    def _make(self) -> None:
        self._window = _spare_windows.pop() if _spare_windows else vtk.vtkRenderWindow()
        self._renderer = vtk.vtkRenderer()
        self._window.AddRenderer(self._renderer)
        self._interactor = vtk.vtkGenericRenderWindowInteractor()
        self._interactor.SetRenderWindow(self._window)

    def _fill(self) -> None:
        """What a kind of view adds to its renderer."""

    def _release(self) -> None:
        """Nobody looks any more: the next view may have the window, empty."""
        if self._window is not None:
            for renderer in list(self._window.GetRenderers()):
                self._window.RemoveRenderer(renderer)
            self._window.SetInteractor(None)
            self._interactor.SetRenderWindow(None)
            _spare_windows.append(self._window)

    def _before_render(self) -> None:
        """What must follow the size of the window."""

    def _render(self) -> None:
        self._made().SetSize(self.width(), self.height())
        self._before_render()
        self._window.Render()

    def _pixels(self) -> Any:
        """Drawn now: (height, width, 3) uint8, the first row on top."""
        self._render()
        grabbed = vtk.vtkWindowToImageFilter()
        grabbed.SetInput(self._window)
        grabbed.ReadFrontBufferOff()
        grabbed.Update()
        image = grabbed.GetOutput()
        width, height, _ = image.GetDimensions()
        flat = vtk_to_numpy(image.GetPointData().GetScalars())
        return np.ascontiguousarray(flat.reshape(height, width, 3)[::-1])

    def paintEvent(self, event: QtGui.QPaintEvent) -> None:
        """The rendered picture, so that screenshots show it."""
        pixels = self._pixels()
        height, width, _ = pixels.shape
        image = QtGui.QImage(pixels.data, width, height, 3 * width, QtGui.QImage.Format.Format_RGB888)
        QtGui.QPainter(self).drawImage(0, 0, image)


class ctkVTKAbstractView(RenderedWidget):
    """What slice views and 3D views have in common."""

    def __init__(self) -> None:
        super().__init__()
        self._scheduled = 0

    def renderWindow(self) -> Any:
        """The ``vtkRenderWindow``."""
        return self._made()

    def scheduleRender(self) -> None:
        """The real one draws within some 20 ms; here the next look draws."""
        self._scheduled += 1
        self.update()


def pixels_of(view: RenderedWidget) -> Any:
    """What a view shows, drawn now: (height, width, 3) uint8, the first row on top."""
    return view._pixels()


def renders_scheduled(view: ctkVTKAbstractView) -> int:
    """How often a view was asked to draw."""
    return view._scheduled


class ViewFrame(Destroyable, QtWidgets.QWidget, metaclass=PythonQtType):
    """A widget around one view."""

    def __init__(self) -> None:
        super().__init__()
        self._content: RenderedWidget | None = None
        column = QtWidgets.QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        self.resize(320, 240)

    def _put(self, view: RenderedWidget) -> None:
        self._content = view
        view.setMinimumSize(64, 48)
        self.layout().addWidget(view)
        self.layout().activate()

    def _release(self) -> None:
        if self._content is not None:
            self._content._release()

    def _destroy(self) -> None:
        self._release()
        super()._destroy()
        if self._content is not None:
            self._content._destroy()
        # Its view goes with it.
        shiboken6.delete(self)


class qMRMLSliceView(ctkVTKAbstractView):
    """The three layers of a slice logic, blended, with the displayable managers of slices over them."""

    def __init__(self, logic: Any) -> None:
        super().__init__()
        self._logic = logic
        self._managers: Any = None

    def _fill(self) -> None:
        self._renderer.GetActiveCamera().ParallelProjectionOn()
        factory = slicer.vtkMRMLSliceViewDisplayableManagerFactory.GetInstance()
        factory.SetMRMLApplicationLogic(self._logic.GetMRMLApplicationLogic())
        for name in _SLICE_MANAGERS:
            if not factory.IsDisplayableManagerRegistered(name):
                factory.RegisterDisplayableManager(name)
        self._managers = managers_of(factory, self._renderer)
        self._managers.SetMRMLDisplayableNode(self._logic.GetSliceNode())
        mapper = vtk.vtkImageMapper()
        mapper.SetColorWindow(255)
        mapper.SetColorLevel(127.5)
        self._picture = vtk.vtkActor2D()
        self._picture.SetMapper(mapper)
        self._picture.GetProperty().SetDisplayLocationToBackground()
        self._renderer.AddViewProp(self._picture)

    def _before_render(self) -> None:
        self._logic.GetSliceNode().SetDimensions(self.width(), self.height(), 1)
        # The logic has another output once it has something to blend.
        self._picture.SetVisibility(self._logic.HasInputs())
        self._picture.GetMapper().SetInputConnection(self._logic.GetImageDataConnection())


class qMRMLSliceWidget(ViewFrame):
    """A slice view with its logic."""

    def __init__(self, logic: Any) -> None:
        super().__init__()
        self._logic = logic
        self._view: qMRMLSliceView | None = None

    def sliceLogic(self) -> Any:
        """The ``vtkMRMLSliceLogic``."""
        return self._logic

    def sliceView(self) -> qMRMLSliceView:
        """The ``qMRMLSliceView``."""
        if self._view is None:
            self._view = qMRMLSliceView(self._logic)
            self._put(self._view)
        return self._view


class qMRMLThreeDView(ctkVTKAbstractView):
    """A 3D view with the displayable managers of models and segmentations."""

    def __init__(self, node: Any, logic: Any) -> None:
        super().__init__()
        self._node, self._application_logic = node, logic

    def _fill(self) -> None:
        self._renderer.SetBackground(0.76, 0.76, 0.91)
        factory = slicer.vtkMRMLThreeDViewDisplayableManagerFactory.GetInstance()
        factory.SetMRMLApplicationLogic(self._application_logic)
        for name in _THREE_D_MANAGERS:
            if not factory.IsDisplayableManagerRegistered(name):
                factory.RegisterDisplayableManager(name)
        self._managers = managers_of(factory, self._renderer)
        self._managers.SetMRMLDisplayableNode(self._node)

    def resetFocalPoint(self) -> None:
        """Centre on what is visible, without turning."""
        self._made()
        box = vtk.vtkBoundingBox()
        box.SetBounds(self._renderer.ComputeVisiblePropBounds())
        centre = [0.0, 0.0, 0.0]
        if box.IsValid():
            box.GetCenter(centre)
        self._renderer.GetActiveCamera().SetFocalPoint(centre)


class qMRMLThreeDWidget(ViewFrame):
    """A 3D view in its frame."""

    def __init__(self, node: Any, logic: Any) -> None:
        super().__init__()
        self._view = qMRMLThreeDView(node, logic)
        self._put(self._view)

    def threeDView(self) -> qMRMLThreeDView:
        """The ``qMRMLThreeDView``."""
        return self._view
