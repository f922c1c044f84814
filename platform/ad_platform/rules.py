"""What several settings of a detector must be together, checked by the rules that it publishes.

A rule is a condition in Python's own syntax over the names of settings, such as `skip <= noise_step`, and
the message for when it does not hold. It comes out of the store, so it is read, never run: names, constants,
lists, arithmetic (small powers too), comparisons, `and`, `or`, `not`, `a if c else b`, and calls of min, max,
len and int.
"""

import ast
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ad_platform.specs import Json

_Operate = Callable[[Any, Any], Any]


def _power(base: Any, exponent: Any) -> Any:
    """Return a power that costs nothing to compute; powers of powers of large numbers fill a memory."""
    if not (-(2**53) <= base <= 2**53 and 0 <= exponent <= 64):
        raise ArithmeticError("a power that no rule needs")
    return base**exponent


_ARITHMETIC: Mapping[type[ast.operator], _Operate] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: _power,
}
_COMPARISONS: Mapping[type[ast.cmpop], _Operate] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
    ast.In: lambda one, many: one in many,
    ast.NotIn: lambda one, many: one not in many,
}
_INSERTED = re.compile(r"\{([^{}]+)\}")
_FUNCTIONS: Mapping[str, Callable[..., Any]] = {"min": min, "max": max, "len": len, "int": int}


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A condition over several settings, and what to say when it does not hold."""

    holds: str
    message: str  # an expression in braces stands for its value


def conflict(
    config: Mapping[str, Json], rules: Sequence[Rule], exclusive: Sequence[Sequence[str]]
) -> str | None:
    """Say in one line what does not go together in a config; None if everything does."""
    for group in exclusive:
        given = [name for name in group if config.get(name) is not None]
        if len(given) > 1:
            both = " and ".join(f"{name} = {config[name]}" for name in given)
            return f"{both} are both given; give one of them"
        if not given:
            return f"{' and '.join(group)} are both null; give one of them a number"
    for rule in rules:
        # What cannot be read is of a newer program, or not about such a config: the worker checks it, too.
        if holds(rule.holds, config) is False:
            return _INSERTED.sub(lambda found: _shown(found, config), rule.message)
    return None


def holds(condition: str, config: Mapping[str, Json]) -> bool | None:
    """Say whether a condition holds of a config; None for one that this program cannot read."""
    try:
        return bool(_read(condition, config))
    except _Unread:
        return None


def overlaid(
    config: Mapping[str, Json], given: Mapping[str, Json], exclusive: Sequence[Sequence[str]]
) -> dict[str, Json]:
    """Return a config with these values; of settings that exclude each other the given one stands alone."""
    fallen: dict[str, Json] = {
        name: None
        for group in exclusive
        if any(given.get(each) is not None for each in group)
        for name in group
    }
    return {**config, **fallen, **given}


def _shown(found: re.Match[str], config: Mapping[str, Json]) -> str:
    try:
        return str(_read(found[1], config))
    except _Unread:
        return found[0]


class _Unread(Exception):
    """An expression that this program cannot read, or that says nothing about such a config."""


def _read(expression: str, config: Mapping[str, Json]) -> Any:
    try:
        return _value(ast.parse(expression, mode="eval").body, config)
    except (SyntaxError, TypeError, ValueError, ArithmeticError, KeyError, RecursionError) as error:
        raise _Unread from error


def _value(node: ast.expr, config: Mapping[str, Json]) -> Any:
    match node:
        case ast.Constant(value=value):
            return value
        case ast.Name(id=name):
            return config[name]
        case ast.List(elts=elements) | ast.Tuple(elts=elements):
            return [_value(each, config) for each in elements]
        case ast.BoolOp(op=ast.And(), values=values):
            return all(_value(each, config) for each in values)
        case ast.BoolOp(values=values):
            return any(_value(each, config) for each in values)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return not _value(operand, config)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand, config)
        case ast.IfExp(test=test, body=body, orelse=other):
            return _value(body if _value(test, config) else other, config)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _ARITHMETIC:
            return _ARITHMETIC[type(op)](_number(left, config), _number(right, config))
        case ast.Compare():
            return _compared(node, config)
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]) if name in _FUNCTIONS:
            return _FUNCTIONS[name](*(_value(each, config) for each in arguments))
    raise _Unread


def _number(node: ast.expr, config: Mapping[str, Json]) -> int | float:
    """Return a number; "a" * 10**9 is nothing to be read from a store."""
    value = _value(node, config)
    if not isinstance(value, int | float):
        raise _Unread
    return value


def _compared(node: ast.Compare, config: Mapping[str, Json]) -> bool:
    values = [_value(each, config) for each in (node.left, *node.comparators)]
    if not all(type(op) in _COMPARISONS for op in node.ops):
        raise _Unread
    return all(
        _COMPARISONS[type(op)](left, right)
        for op, left, right in zip(node.ops, values, values[1:], strict=False)
    )
