"""What may stand next in a call: subcommands, options, and the values of an option or argument.

Typer could say it too, after half a second: it reads every value typed so far, for which it loads pydantic.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ad_cli.completion.table import source_of

if TYPE_CHECKING:
    from ad_cli.tree import Command, Parameter

HELP = (("--help", "Show this message and exit."), ("-h", "Show this message and exit."))


@dataclass(frozen=True)
class Offered:
    """One word that may come next."""

    text: str
    words: str = ""  # what it stands for


@dataclass
class _Reader:
    """Where a call stands after the words typed so far."""

    command: Command
    waiting: Parameter | None = None  # the option whose value comes next
    seen: int = 0  # arguments that have been given
    only_arguments: bool = False

    def read(self, word: str) -> None:
        if self.waiting is not None:
            self.waiting = None
        elif word == "--" and not self.only_arguments:
            self.only_arguments = True
        elif word.startswith("-") and word != "-" and not self.only_arguments:
            option = self.command.option(word)
            if option is not None and option.takes_value:
                self.waiting = option
        elif word in self.command.below:
            self.command, self.seen = self.command.below[word], 0
        else:
            self.seen += 1

    def argument(self) -> Parameter | None:
        """Return the argument whose value comes next."""
        arguments = [one for one in self.command.parameters if not one.names]
        if self.seen < len(arguments):
            return arguments[self.seen]
        return arguments[-1] if arguments and arguments[-1].repeated else None


def offers(root: Command, typed: Sequence[str], incomplete: str) -> list[Offered]:
    """Return what may stand where `incomplete` is being typed, after the words before it."""
    reader = _Reader(root)
    for word in typed:
        reader.read(word)
    if reader.waiting is not None:
        return _values(reader.command, reader.waiting, typed, incomplete)
    if incomplete.startswith("-") and not reader.only_arguments:
        return _options(reader.command, typed, incomplete)
    if reader.command.below:
        found = [Offered(name, one.help) for name, one in reader.command.below.items()]
        return [one for one in found if one.text.startswith(incomplete)]
    argument = reader.argument()
    return _values(reader.command, argument, typed, incomplete) if argument else []


def _options(command: Command, typed: Sequence[str], incomplete: str) -> list[Offered]:
    name, sign, value = incomplete.partition("=")
    if sign:
        option = command.option(name)
        known = _values(command, option, typed, value) if option and option.takes_value else []
        return [Offered(f"{name}={one.text}", one.words) for one in known]
    found = [
        Offered(name, one.help)
        for one in command.parameters
        for name in one.names
        if one.repeated or not any(word in one.names for word in typed)
    ]
    found += [Offered(*pair) for pair in HELP]
    short = incomplete != "-"  # a single dash asks for all, and the long ones say more
    return [one for one in found if one.text.startswith(incomplete) and (short or one.text.startswith("--"))]


def _values(command: Command, parameter: Parameter, typed: Sequence[str], incomplete: str) -> list[Offered]:
    source = source_of(command, parameter)
    return [Offered(*one) for one in source(typed, incomplete)] if source else []
