"""The commands of adctl as a tree with their options, read off the application without parsing anything."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import typer

from ad_cli.ordering import parts

ARGUMENT = type(typer.Argument())  # what Typer's two declarations give; the classes have no public name
OPTION = type(typer.Option())


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """An option or an argument of a command."""

    python_name: str
    names: tuple[str, ...] = ()  # of an option, such as --model and -m; an argument has none
    metavar: str = ""
    help: str = ""
    takes_value: bool = True
    repeated: bool = False
    choices: tuple[str, ...] = ()
    kind: object = str  # the type of one value


@dataclass(frozen=True)
class Command:
    """A command or a group of commands."""

    path: tuple[str, ...]  # its words after `adctl`
    callback: Callable[..., object] | None = None
    help: str = ""
    below: dict[str, Command] = field(default_factory=dict)  # in the order of the help page

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """Return its options and arguments as declared; none for a group without any."""
        if self.callback is None:
            return ()
        hints = get_type_hints(self.callback, include_extras=True)
        signature = inspect.signature(self.callback).parameters
        declared = [(name, hints[name]) for name in signature if get_origin(hints.get(name)) is Annotated]
        return tuple(_parameter(name, hint) for name, hint in declared if not _declaration(hint).hidden)

    @property
    def words(self) -> str:
        """Return what one types for it."""
        return " ".join(("adctl", *self.path))

    def option(self, name: str) -> Parameter | None:
        """Return the option of a name such as --model or -m."""
        return next((one for one in self.parameters if name in one.names), None)

    def walk(self) -> Iterator[Command]:
        """Yield this command and all below it, each group before its commands."""
        yield self
        for command in self.below.values():
            yield from command.walk()


def read(app: typer.Typer, path: tuple[str, ...] = (), help: str = "") -> Command:
    """Return the tree of an application."""
    below: dict[str, Command] = {}
    for name, part in parts(app).items():
        for group in part.registered_groups:
            assert group.typer_instance is not None
            inner = group.typer_instance
            below[name] = read(inner, (*path, name), _text(group.help) or _text(inner.info.help))
        for one in part.registered_commands:
            if not one.hidden and one.callback is not None:
                below[name] = Command((*path, name), one.callback, _text(one.help) or _first(one.callback))
    called = app.registered_callback.callback if app.registered_callback else None
    return Command(path, called, help or (_first(called) if called else ""), below)


def reached(root: Command, arguments: Sequence[str]) -> Command:
    """Return the deepest command that the words of a call name."""
    found = root
    for word in arguments:
        if word in found.below:
            found = found.below[word]
        elif not word.startswith("-") or not found.below:
            break
    return found


def _parameter(name: str, hint: object) -> Parameter:
    info = _declaration(hint)
    kind, repeated = _kind(get_args(hint)[0])
    flag = kind is bool
    names: tuple[str, ...] = ()
    if isinstance(info, OPTION):
        usual = "--" + name.replace("_", "-")
        # In `Annotated[...]` the first name stands where a default would.
        given = (info.default, *(info.param_decls or ()))
        names = tuple(one for one in given if isinstance(one, str) and one.startswith("-")) or (
            (usual, f"--no-{usual[2:]}") if flag else (usual,)
        )
    enum = kind if isinstance(kind, type) and issubclass(kind, Enum) else None
    return Parameter(
        python_name=name,
        names=names,
        metavar=info.metavar or name.upper(),
        help=_text(info.help),
        takes_value=not flag,
        repeated=repeated,
        choices=tuple(str(member.value) for member in enum) if enum else (),
        kind=kind,
    )


def _declaration(hint: object) -> Any:
    """Return what Typer was told of a parameter."""
    return next(one for one in get_args(hint)[1:] if isinstance(one, ARGUMENT | OPTION))


def _kind(annotation: object) -> tuple[object, bool]:
    """Return the type of one value, and whether there may be several: Path and yes of `list[Path]`."""
    if get_origin(annotation) in (Union, UnionType):
        annotation = next(one for one in get_args(annotation) if one is not type(None))
    if get_origin(annotation) in (list, tuple):
        return get_args(annotation)[0], True
    return annotation, False


def _text(value: object) -> str:
    """Return a text that Typer may hold as a placeholder for none."""
    return value if isinstance(value, str) else ""


def _first(callback: Callable[..., object]) -> str:
    """Return the first line of a docstring."""
    return (inspect.getdoc(callback) or "").partition("\n")[0]
