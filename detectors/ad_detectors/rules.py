"""What several settings of a detector must be together: declared as data, so that a submit can check it too.

A rule is a condition in Python's syntax over the names of settings: names, constants, lists, arithmetic,
comparisons, `and`, `or`, `not`, `a if c else b`, and calls of min, max, len and int. The catalogue publishes
it, and a client that has neither torch nor the detector reads it; more than that it does not understand.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ad_detectors.errors import ConfigError

_OFFERED = {"__builtins__": {}, "min": min, "max": max, "len": len, "int": int}


@dataclass(frozen=True)
class Rule:
    """A condition over several settings, and what to say when it does not hold."""

    holds: str
    message: str  # an expression in braces stands for its value


def check(config: Any, rules: Sequence[Rule], exclusive: Sequence[Sequence[str]] = ()) -> None:
    """Raise ConfigError for the first rule that a config breaks; of each exclusive group one is not None."""
    values = vars(config)
    for group in exclusive:
        given = [name for name in group if values[name] is not None]
        if len(given) > 1:
            both = " and ".join(f"{name} = {values[name]}" for name in given)
            raise ConfigError(f"{both} are both given; give one of them")
        if not given:
            raise ConfigError(f"{' and '.join(group)} are both null; give one of them a number")
    for rule in rules:
        if not _value(rule.holds, values):
            told = re.sub(r"\{([^{}]+)\}", lambda found: str(_value(found[1], values)), rule.message)
            raise ConfigError(told)


def holds(condition: str, config: Any) -> bool:
    """Say whether a condition in the language of rules holds of a config."""
    return bool(_value(condition, vars(config)))


def overlaid(
    config: Mapping[str, Any], given: Mapping[str, Any], exclusive: Sequence[Sequence[str]]
) -> dict[str, Any]:
    """Return a config with these values; of settings that exclude each other the given one stands alone."""
    fallen = {
        name: None
        for group in exclusive
        if any(given.get(each) is not None for each in group)
        for name in group
    }
    return {**config, **fallen, **given}


def wide_blur(field: str = "blur_sigma") -> Rule:
    """Return the rule that a Gaussian blur, which ends after four sigmas, stays within the image."""
    return Rule(
        f"int(4.0 * {field} + 0.5) < image_size",
        f"{field} = {{{field}}} is too wide; at image_size = {{image_size}} it must be less than "
        "{(image_size - 0.5) / 4.0}",
    )


def _value(expression: str, values: Mapping[str, Any]) -> Any:
    # An expression is part of the program that declares it, as the detector itself is.
    return eval(expression, dict(_OFFERED), dict(values))  # noqa: S307
