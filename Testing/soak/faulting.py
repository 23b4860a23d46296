"""Every function of the library within reach: an import hook that lets each raise, or give back something else.

The hook reads the library's source and hands every function, nested ones and lambdas too, to ``at_fault``; so the list
of functions is the code itself, and a new one is on it. Use it in a process of its own, before the library is imported.
"""

from __future__ import annotations

import ast
import builtins
import copy
import functools
import importlib.abc
import importlib.machinery
import importlib.util
import random
import sys
import types
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

LIBRARY = "BottleneckOODLib"
_DEEPEST, _WIDEST = 5, 6
Path_ = tuple[tuple[str, Any], ...]


@dataclass(frozen=True)
class Fault:
    """What goes wrong.

    Attributes:
        key: The function, ``module:qualified name``.
        kind: Such as ``"RuntimeError"``, ``"nan"``, ``"empty mask"``.
        path: Which part of what it gives back is changed; empty for the whole, and for what it raises.
    """

    key: str
    kind: str
    path: Path_ = ()

    def __str__(self) -> str:
        steps = "".join(f".{step}" if how == "attr" else f"[{step!r}]" for how, step in self.path)
        return f"{self.key} {self.kind} {steps}".strip()


@dataclass
class State:
    """What was called, in which phase, what it gave back; and the fault that is to come."""

    phase: str = "before"
    recording: bool = False
    apart: bool = False
    called: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    leaves: dict[str, dict[Path_, str]] = field(default_factory=lambda: defaultdict(dict))
    fault: Fault | None = None
    error: Callable[[], BaseException] | None = None
    met: int = 0


STATE = State()


def at_fault(key: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A decorator: the function does what it does, unless it is the one whose turn it is."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def called(*arguments: Any, **named: Any) -> Any:
            if STATE.recording:
                STATE.called[key].add(STATE.phase)
                result = function(*arguments, **named)
                STATE.leaves[key].update(leaves(result))
                return result
            if STATE.fault is None or STATE.fault.key != key:
                return function(*arguments, **named)
            STATE.met += 1
            if STATE.error is not None:
                raise STATE.error()
            return altered(function(*arguments, **named), STATE.fault.path, STATE.fault.kind)

        return called

    return decorate


class _Handing(ast.NodeTransformer):
    """Hands every function of a module to ``at_fault``."""

    def __init__(self, module: str) -> None:
        self._module = module
        self._names: list[str] = []
        self._lambdas = 0

    def _visit_named(self, node: Any) -> Any:
        self._names.append(node.name)
        self.generic_visit(node)
        key = f"{self._module}:{'.'.join(self._names)}"
        self._names.pop()
        if isinstance(node, ast.FunctionDef):
            # Innermost, so that a property or a class method stays one.
            node.decorator_list.append(ast.copy_location(_handed(key), node))
        return node

    visit_FunctionDef = visit_ClassDef = _visit_named

    def visit_Lambda(self, node: ast.Lambda) -> Any:
        self.generic_visit(node)
        self._lambdas += 1
        key = f"{self._module}:{'.'.join([*self._names, f'lambda {self._lambdas}'])}"
        return ast.copy_location(ast.Call(_handed(key), [node], []), node)


def _handed(key: str) -> ast.expr:
    return ast.Call(ast.Name("__at_fault__", ast.Load()), [ast.Constant(key)], [])


class _Loader(importlib.machinery.SourceFileLoader):
    def get_code(self, fullname: str) -> types.CodeType:
        tree = ast.parse(self.get_data(self.path))
        # The guard of a generated file is no function.
        changed = ast.fix_missing_locations(_Handing(fullname.removeprefix(f"{LIBRARY}.")).visit(tree))
        return compile(changed, self.path, "exec", dont_inherit=True)


class _Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, fullname: str, path: Any, target: Any = None) -> Any:
        if fullname.partition(".")[0] != LIBRARY:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None and isinstance(spec.loader, importlib.machinery.SourceFileLoader):
            spec.loader = _Loader(fullname, spec.loader.path)
        return spec


def hook(library_folder: Path) -> None:
    """From now on the library's functions are within reach.

    Raises:
        RuntimeError: The library is imported already.
    """
    if LIBRARY in sys.modules:
        message = "the library is imported already; hook it first"
        raise RuntimeError(message)
    builtins.__at_fault__ = at_fault  # type: ignore[attr-defined]
    sys.path.insert(0, str(library_folder))
    sys.meta_path.insert(0, _Finder())


def leaves(value: Any, path: Path_ = ()) -> dict[Path_, str]:
    """The parts of a value that a fault can change, and what each is: ``float``, ``floats``, ``mask``, ``whole``."""
    found = _kind_of(value)
    if found:
        return {path: found}
    result: dict[Path_, str] = {}
    if len(path) < _DEEPEST:
        for step, part in _parts(value):
            result.update(leaves(part, (*path, step)))
    return result


def _kind_of(value: Any) -> str:
    if isinstance(value, float | np.floating):
        return "float"
    array = _as_array(value)
    if array is None:
        return ""
    if hasattr(value, "CopyInformation"):
        return "image" if np.issubdtype(array.dtype, np.floating) else "mask image"
    if np.issubdtype(array.dtype, np.floating):
        return "volume" if array.ndim >= 3 else "floats" if array.ndim else "float"
    if array.dtype in (np.dtype(bool), np.dtype(np.uint8)) and array.ndim >= 3:
        return "mask"
    return "whole" if array.ndim else ""


def _as_array(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value
    torch, sitk = sys.modules.get("torch"), sys.modules.get("SimpleITK")
    if torch is not None and isinstance(value, torch.Tensor):
        return value.detach().cpu().float().numpy() if value.is_floating_point() else value.detach().cpu().numpy()
    if sitk is not None and isinstance(value, sitk.Image):
        return sitk.GetArrayFromImage(value)
    return None


def _parts(value: Any) -> Iterator[tuple[tuple[str, Any], Any]]:
    if isinstance(value, dict | types.MappingProxyType):
        yield from ((("item", key), part) for key, part in list(value.items())[:_WIDEST])
    elif isinstance(value, list | tuple):
        yield from ((("item", number), part) for number, part in enumerate(value[:_WIDEST]))
    elif _is_ours(value):
        yield from ((("attr", name), part) for name, part in list(vars(value).items()))


def _is_ours(value: Any) -> bool:
    if not type(value).__module__.startswith(LIBRARY) or not hasattr(value, "__dict__"):
        return False
    # Not what runs: a segmenter's network is no result.
    return is_dataclass(value) or type(value).__module__.startswith((f"{LIBRARY}.ood", f"{LIBRARY}.reference"))


def altered(value: Any, path: Path_, kind: str) -> Any:
    """The value with one part changed; the value itself stays as it is. Where the part is not there, the value."""
    if not path:
        return _changed(value, kind)
    (how, step), rest = path[0], path[1:]
    try:
        part = value[step] if how == "item" else getattr(value, step)
    except (AttributeError, KeyError, IndexError, TypeError):
        return value
    new = altered(part, rest, kind)
    if how == "attr":
        clone = copy.copy(value)
        object.__setattr__(clone, step, new)
        return clone
    if isinstance(value, tuple):
        parts = [*value[:step], new, *value[step + 1 :]]
        return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
    clone = dict(value) if isinstance(value, types.MappingProxyType) else copy.copy(value)
    clone[step] = new
    return clone


def _changed(value: Any, kind: str) -> Any:
    array = _as_array(value)
    if isinstance(value, float | np.floating) or (array is not None and array.ndim == 0 and kind in _NUMBERS):
        number = _NUMBERS.get(kind)
        return value if number is None else type(value)(number) if not hasattr(value, "new_tensor") else value * number
    if array is None:
        return value
    changed = np.array(array)
    if kind in _NUMBERS:
        changed[...] = _NUMBERS[kind]
    elif kind.startswith("one "):
        if not changed.size:
            return value
        changed.ravel()[changed.size // 2] = _NUMBERS[kind[4:]]
    elif kind == "constant":
        changed[...] = changed.ravel()[0] if changed.size else 0
    elif kind == "empty mask":
        changed[...] = 0
    elif kind == "no rows":
        changed = changed[:0]
    return _as_it_was(value, changed)


def _as_it_was(value: Any, changed: Any) -> Any:
    if hasattr(value, "new_tensor"):
        return value.new_tensor(changed)
    if hasattr(value, "CopyInformation"):
        image = sys.modules["SimpleITK"].GetImageFromArray(changed)
        image.CopyInformation(value)
        return image
    return changed


_NUMBERS = {"nan": np.nan, "inf": np.inf, "minus inf": -np.inf}
OF_KIND = {
    "float": ("nan", "inf", "minus inf"),
    "floats": ("nan", "inf", "one nan", "one inf", "no rows"),
    "volume": ("nan", "inf", "one nan", "one inf", "constant", "no rows"),
    "image": ("nan", "inf", "one nan", "one inf", "constant"),
    "mask image": ("empty mask",),
    "mask": ("empty mask", "no rows"),
    "whole": ("no rows",),
}


def faults_of(key: str, errors: list[str], each: int, seed: int) -> list[Fault]:
    """What one function is made to do: raise each error, and give back every kind of fault.

    Args:
        key: The function.
        errors: Names of the errors.
        each: In how many of the parts that it gives back each kind is planted; they are drawn.
        seed: Of the draw.
    """
    draw = random.Random(f"{key}{seed}")
    by_kind: dict[str, list[Path_]] = defaultdict(list)
    for path, what in STATE.leaves[key].items():
        for kind in OF_KIND[what]:
            by_kind[kind].append(path)
    planted = [Fault(key, k, p) for k, paths in by_kind.items() for p in draw.sample(paths, min(each, len(paths)))]
    return [*(Fault(key, error) for error in errors), *planted]
