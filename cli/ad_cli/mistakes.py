"""Turns what Typer says of a mistyped call into one line: what was wrong, the nearest name, where to look."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from ad_cli import tree
from ad_platform.errors import InvalidRequest, suggest

if TYPE_CHECKING:
    from ad_cli.tree import Command, Parameter

LONGEST = 4096  # characters of an argument, as many as a path may have
WANTED = {  # what pydantic calls a value that cannot be read, and what it should have been
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing_size": "a smaller number",
    "float_parsing": "a number",
    "bool_parsing": "true or false",
}


class Mistyped(InvalidRequest):
    """A call that the command line does not understand."""


def check_arguments(arguments: Sequence[str], root: Command) -> None:
    """Raise Mistyped for an argument that is no text, or is empty where something has to be named."""
    for number, text in enumerate(arguments, 1):
        try:
            text.encode()
        except UnicodeEncodeError:
            raise Mistyped(f"argument {number} is not UTF-8: {text!a}; type it again") from None
        if found := re.search(r"[\x00-\x1f\x7f]", text):
            raise Mistyped(f"argument {number} holds {found[0]!a}: {text!a}; leave such characters out")
        if len(text) > LONGEST:
            raise Mistyped(f"argument {number} has {len(text)} characters; at most {LONGEST} make sense")
    command = tree.reached(root, arguments)
    for number, text in enumerate(arguments):
        option = command.option(arguments[number - 1]) if number else None
        value = option is not None and option.takes_value
        if not text and (not value or (option is not None and option.kind is Path)):
            what = arguments[number - 1] if value else f"argument {number + 1}"
            raise Mistyped(f"{what} is empty; was it a variable that is not set? ({command.words} --help)")


def explain(error: typer.TyperException, root: Command, arguments: Sequence[str]) -> str:
    """Return one line that says what is wrong with a call and what to do."""
    # Typer knows where it stopped, but for an option without its value.
    context = getattr(error, "ctx", None)
    stopped = arguments if context is None else context.command_path.split()[1:]
    command = tree.reached(root, stopped)
    message = error.format_message()
    if unknown := re.match(r"No such command '(.*)'\.", message, re.DOTALL):
        return _unknown_command(unknown[1], command, root)
    if message.startswith(("Missing command", "Usage:")):
        return f"{command.words} needs a command: {', '.join(command.below)}"
    words = _one_dash(arguments, command) or _option_words(error, message, command)
    return f"{words} ({command.words} --help)"


def bare_group(error: typer.TyperException) -> str:
    """Return the help page if the call named a group and nothing to do; otherwise nothing."""
    message = error.format_message()
    return message if message.startswith("Usage:") else ""


def _unknown_command(word: str, command: Command, root: Command) -> str:
    near = get_close_matches(word.lower(), command.below, n=3)
    elsewhere = [found.words for found in root.walk() if word.lower() in found.path[-1:]]
    if not near and elsewhere:
        return f"no such command: {command.words} {word}; did you mean {' or '.join(elsewhere)}?"
    return f"no such command: {command.words} {word}; {suggest(word, list(command.below))}"


def _one_dash(arguments: Sequence[str], command: Command) -> str:
    """Name an option written with one dash, which is read as several short ones."""
    for text in arguments:
        if re.match(r"-[^-]{2}", text) and command.option("-" + text.partition("=")[0]):
            return f"no such option: {text}; did you mean -{text}?"
    return ""


def _option_words(error: typer.TyperException, message: str, command: Command) -> str:
    option = str(getattr(error, "option_name", ""))
    if option and message.startswith("No such option"):
        return f"no such option: {option}{_near_option(option, command)}"
    if option and "requires" in message:
        known = command.option(option)
        return f"{option} needs a value" + (f": {option} {_value_words(known)}" if known else "")
    if option and "does not take" in message:
        return f"{option} is a switch and takes no value"
    if extra := re.match(r"Got unexpected extra argument\(s\) \((.*)\)", message, re.DOTALL):
        return f"unexpected argument: {extra[1]}"
    if isinstance(error, typer.BadParameter):
        return _bad_value(error, message, command)
    return message[:1].lower() + message[1:].rstrip(".")


def _near_option(typed: str, command: Command) -> str:
    """Return the options that come nearest; for a group also those of its commands, and where they stand."""
    below = {name for place in command.below.values() for one in place.walk() for name in _long(one)}
    near = [] if typed in below else get_close_matches(typed.lower(), _long(command), n=3)
    if near:
        return f"; did you mean {' or '.join(near)}?"
    if near := [typed] if typed in below else get_close_matches(typed.lower(), sorted(below), n=1):
        return f"; options come after the command: {command.words} COMMAND {near[0]}"
    return ""


def _long(command: Command) -> list[str]:
    return [name for one in command.parameters for name in one.names if name.startswith("--")]


def _bad_value(error: typer.BadParameter, message: str, command: Command) -> str:
    opts = list(getattr(error.param, "opts", ()))
    parameter = next(
        (one for one in command.parameters if one.python_name == getattr(error.param, "name", None)), None
    )
    name = max(opts, key=len, default="") if parameter is None or parameter.names else parameter.metavar
    if message.startswith("Missing"):
        return f"{_missing(name, parameter)} is missing"
    return f"{name}: {_reason(error)}"


def _missing(name: str, parameter: Parameter | None) -> str:
    if parameter is None:
        return name
    called = f"{name} {parameter.metavar}" if parameter.names else name
    return f"{called} ({parameter.help.rstrip('.').lower()})" if parameter.help else called


def _value_words(parameter: Parameter) -> str:
    return "|".join(parameter.choices) or parameter.metavar


def _reason(error: typer.BadParameter) -> str:
    """Return what is wrong with a value: what pydantic found, in our words, with the value."""
    words = error.message.removeprefix("Value error, ").rstrip(".")
    if choice := re.fullmatch(r"'(.*)' is not one of (.*)", words, re.DOTALL):
        names = re.findall(r"'([^']*)'", choice[2])
        near = get_close_matches(choice[1].lower(), names, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        return f"'{choice[1]}' is not one of {', '.join(names)}{hint}"
    errors = getattr(error.__cause__, "errors", None)
    if callable(errors):
        first = errors()[0]
        if wanted := WANTED.get(first["type"]):
            return f"'{first['input']}' is not {wanted}"
    return words[:1].lower() + words[1:]
