"""Small changes of a Python file, each of which a good test notices, and how one is put into a loaded library."""

from __future__ import annotations

import ast
import copy
import sys
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

_COMPARED: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
_COMPUTED: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Div,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
_NAMES = {"min": "max", "max": "min", "any": "all", "all": "any", "minimum": "maximum", "maximum": "minimum"}


@dataclass(frozen=True)
class Mutant:
    """One change.

    Attributes:
        line: Where it is.
        function: The function, class or constant that it changes.
        was: The statement before, on one line.
        becomes: The statement after.
        tree: The whole file, changed.
        at_import: Whether the change takes effect when the file is imported, not when a function of it is called.
    """

    line: int
    function: str
    was: str
    becomes: str
    tree: ast.Module
    at_import: bool


def mutants_of(path: Path) -> Iterator[Mutant]:
    """Every mutant of a file, in the order of its lines. Annotations, docstrings and sentences stay as they are."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for number, (statement, function, at_import) in enumerate(_statements(tree)):
        was = _text(statement)
        for change in range(len(list(_changes(copy.deepcopy(statement))))):
            changed = copy.deepcopy(tree)
            place = _statements_with_parents(changed)[number]
            replacement = place.statement
            line, apply = list(_changes(replacement))[change]
            becomes = apply(place.body)
            ast.fix_missing_locations(changed)
            yield Mutant(line, function, was, becomes or _text(replacement), changed, at_import)


def _text(statement: ast.stmt) -> str:
    """Of a compound statement its head alone, without decorators."""
    lines = ast.unparse(statement).split("\n")
    return " ".join(next((line for line in lines if not line.startswith("@")), "").split())


@dataclass
class _Place:
    statement: ast.stmt
    body: list[ast.stmt]
    function: str
    at_import: bool


def _statements(tree: ast.Module) -> list[tuple[ast.stmt, str, bool]]:
    return [(place.statement, place.function, place.at_import) for place in _statements_with_parents(tree)]


def _statements_with_parents(tree: ast.Module) -> list[_Place]:
    found: list[_Place] = []

    def visit(body: list[ast.stmt], name: str, inside: bool) -> None:
        for statement in body:
            if isinstance(statement, ast.FunctionDef | ast.ClassDef):
                inner = f"{name}.{statement.name}" if name else statement.name
                found.append(_Place(statement, body, inner, True))
                visit(statement.body, inner, inside or isinstance(statement, ast.FunctionDef))
                continue
            found.append(_Place(statement, body, name or _target(statement), not inside))
            for part in ("body", "orelse", "finalbody"):
                visit(getattr(statement, part, []), name, inside)
            for handler in getattr(statement, "handlers", []):
                visit(handler.body, name, inside)

    visit(tree.body, "", False)
    return found


def _target(statement: ast.stmt) -> str:
    if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
        return statement.targets[0].id
    if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
        return statement.target.id
    return ""


Change = tuple[int, Callable[[list[ast.stmt]], str]]


def _changes(statement: ast.stmt) -> Iterator[Change]:
    if isinstance(statement, ast.Import | ast.ImportFrom):
        return
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
        return
    if isinstance(statement, ast.If) and _text(statement) == "if TYPE_CHECKING:":
        return
    for parent, field, index, node in _expressions(statement):
        for replacement in _replacements(node, parent, field):
            yield node.lineno, _putting(parent, field, index, replacement)
    yield from _changed_statement(statement)


def _changed_statement(statement: ast.stmt) -> Iterator[Change]:
    if isinstance(statement, ast.AugAssign):
        if type(statement.op) in _COMPUTED:
            yield statement.lineno, _putting(statement, "op", None, _COMPUTED[type(statement.op)]())
        yield statement.lineno, _instead(statement, ast.Assign([statement.target], statement.value))
    if isinstance(statement, ast.If | ast.While):
        yield statement.lineno, _putting(statement, "test", None, ast.UnaryOp(ast.Not(), statement.test))
    if isinstance(statement, ast.Return) and not _is_none(statement.value):
        yield statement.lineno, _putting(statement, "value", None, ast.Constant(None))
    left_out = isinstance(statement, ast.Expr | ast.Raise | ast.AugAssign | ast.Continue | ast.Break)
    if isinstance(statement, ast.Assign) and not isinstance(statement.targets[0], ast.Name):
        left_out = isinstance(statement.targets[0], ast.Subscript)
    if left_out:
        yield statement.lineno, _instead(statement, ast.Pass())


def _is_none(value: ast.expr | None) -> bool:
    return value is None or (isinstance(value, ast.Constant) and value.value is None)


def _expressions(statement: ast.stmt) -> Iterator[tuple[ast.AST, str, int | None, Any]]:
    """Every expression of the statement itself with its place; those of statements inside it come with those."""
    skipped = {"annotation", "returns", "decorator_list", "type_params", "body", "orelse", "finalbody", "handlers"}

    def visit(node: ast.AST, skip: set[str]) -> Iterator[tuple[ast.AST, str, int | None, Any]]:
        for field, value in ast.iter_fields(node):
            if field in skip:
                continue
            for index, inner in enumerate(value) if isinstance(value, list) else [(None, value)]:
                if isinstance(inner, ast.expr | ast.keyword):
                    yield node, field, index, inner
                if isinstance(inner, ast.AST) and not isinstance(inner, ast.stmt | ast.JoinedStr):
                    yield from visit(inner, {"annotation"})

    # A dataclass's field or a function's arguments belong to the class or function statement's own line.
    yield from visit(statement, skipped)


def _putting(parent: ast.AST, field: str, index: int | None, value: Any) -> Callable[[list[ast.stmt]], str]:
    def put(_body: list[ast.stmt]) -> str:
        if index is None:
            setattr(parent, field, value)
        elif value is None:
            getattr(parent, field).pop(index)
        else:
            getattr(parent, field)[index] = value
        return ""

    return put


def _instead(statement: ast.stmt, other: ast.stmt) -> Callable[[list[ast.stmt]], str]:
    def put(body: list[ast.stmt]) -> str:
        place = next(n for n, candidate in enumerate(body) if candidate is statement)
        body[place] = ast.copy_location(other, statement)
        return _text(ast.fix_missing_locations(other))

    return put


def _replacements(node: ast.expr | ast.keyword, parent: ast.AST, field: str) -> Iterator[Any]:
    if isinstance(node, ast.keyword):
        if node.arg is not None:
            yield None
    elif isinstance(node, ast.Compare):
        for place, operator in enumerate(node.ops):
            for other in _COMPARED[type(operator)]:
                changed = copy.deepcopy(node)
                changed.ops[place] = other()
                yield changed
    elif isinstance(node, ast.BinOp) and type(node.op) in _COMPUTED:
        yield ast.BinOp(node.left, _COMPUTED[type(node.op)](), node.right)
    elif isinstance(node, ast.UnaryOp):
        yield node.operand
    elif isinstance(node, ast.BoolOp):
        yield ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)
    elif isinstance(node, ast.IfExp):
        yield ast.IfExp(node.test, node.orelse, node.body)
    elif isinstance(node, ast.Name | ast.Attribute):
        name = node.id if isinstance(node, ast.Name) else node.attr
        if name in _NAMES and isinstance(parent, ast.Call) and field == "func":
            changed = copy.deepcopy(node)
            setattr(changed, "id" if isinstance(node, ast.Name) else "attr", _NAMES[name])
            yield changed
    elif isinstance(node, ast.Constant):
        yield from (ast.Constant(value) for value in _other_values(node.value))


def _other_values(value: Any) -> tuple[Any, ...]:
    if isinstance(value, bool):
        return (not value,)
    if isinstance(value, int):
        return (value + 1, value - 1)
    if isinstance(value, float):
        return (value * 2, value / 2) if value else (1.0,)
    # What holds a space is a sentence; those are for people, and the tests of the wording are theirs.
    if isinstance(value, str) and value and " " not in value:
        return (f"{value}X",)
    return ()


def put_in(mutant: Mutant, module: ModuleType) -> bool:
    """Change a loaded module, and what others took from it.

    The changed file is run beside the module; what differs goes over: code and defaults into the functions that are
    there, so that whoever holds one holds the mutant, and constants into every module that took them.

    Returns:
        Whether the changed file could be imported at all.
    """
    beside = ModuleType(module.__name__)
    beside.__dict__.update({key: module.__dict__[key] for key in ("__file__", "__package__", "__spec__")})
    try:
        exec(compile(mutant.tree, str(module.__file__), "exec"), beside.__dict__)
    except Exception:
        return False
    _graft(module.__dict__, vars(beside), module.__name__, lambda name, value: _replace(module, name, value))
    return True


def _graft(old: Any, new: Any, module_name: str, replace: Callable[[str, Any], None]) -> None:
    for name, value in list(new.items()):
        before = old.get(name)
        for mine, other in zip(_functions(before), _functions(value), strict=False):
            if mine.__module__ != module_name or mine is other:
                continue
            if len(mine.__code__.co_freevars) != len(other.__code__.co_freevars):
                # Such as what a dataclass makes of its fields: the code of one fits into no other.
                replace(name, value)
            else:
                mine.__code__, mine.__defaults__ = other.__code__, other.__defaults__
                mine.__kwdefaults__ = other.__kwdefaults__
        if isinstance(value, type) and isinstance(before, type) and value.__module__ == module_name:
            _graft(vars(before), vars(value), module_name, lambda n, v, cls=before: setattr(cls, n, v))
        elif _is_data(value) and not _same(before, value):
            replace(name, value)


def _is_data(value: Any) -> bool:
    return not isinstance(value, type | ModuleType) and not callable(value) and not _functions(value)


def _functions(value: Any) -> list[FunctionType]:
    """The functions behind a function, property, class method or the like."""
    if isinstance(value, property):
        value = value.fget
    elif isinstance(value, cached_property):
        value = value.func
    elif isinstance(value, classmethod | staticmethod):
        value = value.__func__
    inner = getattr(value, "__wrapped__", None)
    return [f for f in (value, inner) if isinstance(f, FunctionType) and isinstance(f.__code__, CodeType)]


def _same(a: Any, b: Any) -> bool:
    try:
        return type(a) is type(b) and (a is b or repr(a) == repr(b))
    except Exception:
        return False


def _replace(module: ModuleType, name: str, value: Any) -> None:
    if name.startswith("__") or isinstance(value, types.GenericAlias):
        return
    before = module.__dict__.get(name)
    for other in list(sys.modules.values()):
        # The tests took constants too: they see the file as it is.
        names = getattr(other, "__dict__", {})
        if isinstance(names.get("__name__"), str) and names.get(name) is before:
            names[name] = value
