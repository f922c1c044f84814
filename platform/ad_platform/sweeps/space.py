"""The settings that a study searches together: given, from a file or the detector's own, and possible."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil, floor, log10
from pathlib import Path
from random import Random

from ad_platform.catalogue import DetectorEntry
from ad_platform.errors import InvalidRequest, InvalidValue
from ad_platform.rules import conflict, overlaid
from ad_platform.specs import Json
from ad_platform.sweeps import dimensions
from ad_platform.sweeps.dimensions import CHOICE, Dimension

Config = Mapping[str, Json]
Space = tuple[Dimension, ...]

_LOOKED_AT = 400  # values of one range, and points of a space, that are tried against the rules
_KEYS = {"low", "high", "step", "log", "choices"}


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """A space cut down to what the detector's rules allow."""

    space: Space
    notes: tuple[str, ...]
    possible: float  # share of the points that are left which do not break a rule


def of_request(entry: DetectorEntry, params: Sequence[str], file: Path | None) -> tuple[Dimension, ...]:
    """Return the space that is asked for; of a detector's own where nothing is said.

    A parameter that is typed goes before the same one in the file. Raises UnknownName and InvalidValue.
    """
    typed = [dimensions.parse(entry, text) for text in params]
    names = [dimension.name for dimension in typed]
    for name in names:
        if names.count(name) > 1:
            raise InvalidValue(f"--param {name} is given twice; give it once")
    read = [each for each in (_of_file(entry, file) if file else ()) if each.name not in names]
    if not typed and not read:
        read = [_of_mapping(entry, name, values) for name, values in entry.space.items()]
        if not read:
            raise InvalidRequest(f"{entry.name} declares nothing to search; say what: --param NAME=a:b")
    return (*typed, *read)


def config_of(entry: DetectorEntry, base: Config, params: Config) -> dict[str, Json]:
    """Return the full config of a trial: its parameters over the settings that are not searched."""
    return overlaid(base, params, entry.exclusive)


def problem(entry: DetectorEntry, base: Config, params: Config) -> str | None:
    """Say what does not go together in a trial's settings; None if everything does."""
    return conflict(config_of(entry, base, params), entry.rules, entry.exclusive)


def fit(entry: DetectorEntry, base: Config, space: Space) -> Fitted:
    """Cut ranges down to values that some others go with, and choices likewise.

    Raises InvalidValue where nothing is left, with the rule that is in the way.
    """
    random = Random(0)  # noqa: S311 - which points are looked at; nobody's secret
    notes: list[str] = []
    for index in range(len(space)):
        cut, note = _cut(entry, base, space, index, random)
        space = (*space[:index], cut, *space[index + 1 :])
        notes += [note] if note else []
    points = [{each.name: each.drawn(random) for each in space} for _ in range(_LOOKED_AT)]
    troubles = [problem(entry, base, point) for point in points]
    possible = sum(trouble is None for trouble in troubles) / len(troubles)
    if not possible:
        raise InvalidValue(f"no values of {_named(space)} go together: {troubles[0]}")
    if possible < 1:
        first = next(trouble for trouble in troubles if trouble)
        notes.append(
            f"about {1 - possible:.0%} of the combinations do not go together ({first}); they are left out"
        )
    return Fitted(space=space, notes=tuple(notes), possible=possible)


def points(space: Space) -> int | None:
    """Return how many points a space has; None where a range is continuous."""
    total = 1
    for dimension in space:
        if dimension.count is None:
            return None
        total *= dimension.count
    return total


def _cut(
    entry: DetectorEntry, base: Config, space: Space, index: int, random: Random
) -> tuple[Dimension, str]:
    """Return one dimension without the values that no others go with, and a note on what was left out."""
    one = space[index]
    others = [each for each in space if each.name != one.name]
    around = [{each.name: each.drawn(random) for each in others} for _ in range(40 if others else 1)]
    troubles = {str(value): _trouble(entry, base, one.name, value, around) for value in one.grid(_LOOKED_AT)}
    bad = [trouble for trouble in troubles.values() if trouble]
    if not bad:
        return one, ""
    good = [value for value in one.grid(_LOOKED_AT) if troubles[str(value)] is None]
    if len(good) < 2 and (one.kind != CHOICE or not good):
        raise InvalidValue(f"{one.name} cannot be searched over {one.words}: {bad[0]}")
    if one.kind == CHOICE:
        left = [str(choice) for choice in one.choices if choice not in good]
        cut = replace(one, choices=tuple(good))
        return cut, f"{one.name} is searched without {', '.join(left)}: {bad[0]}"
    low, high = (float(str(end)) for end in (good[0], good[-1]))
    if one.step is None:  # no more digits than were looked at; towards the inside
        digit = 10.0 ** (floor(log10(high - low)) - 2)
        low = low if low == one.low else ceil(low / digit) * digit
        high = high if high == one.high else floor(high / digit) * digit
    cut = replace(one, low=low, high=high)
    reason = bad[-1] if high < one.high else bad[0]
    return cut, f"{one.name} is searched over {cut.words} instead of {one.words}: {reason}"


def _trouble(
    entry: DetectorEntry, base: Config, name: str, value: Json, around: Sequence[Config]
) -> str | None:
    """Say why a value goes with none of these others; None if it goes with one."""
    found: str | None = None
    for others in around:
        found = problem(entry, base, {**others, name: value})
        if found is None:
            return None
    return found


def _of_file(entry: DetectorEntry, file: Path) -> list[Dimension]:
    """Read a TOML file: NAME = "a:b:step", or a table of low, high, step, log or choices."""
    try:
        read = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidRequest(f"cannot read {file}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidValue(f"{file} is no TOML: {error}") from error
    if not read:
        raise InvalidValue(f'{file} names no setting; write lines such as noise_step = "50:500:25"')
    try:
        return [_of_mapping(entry, name, values) for name, values in read.items()]
    except InvalidRequest as error:
        raise InvalidValue(f"{file}: {error}") from error


def _of_mapping(entry: DetectorEntry, name: str, values: Json) -> Dimension:
    if isinstance(values, str):
        return dimensions.of_text(entry, name, values)
    if isinstance(values, list):
        return dimensions.of_choices(entry, name, values)
    if not isinstance(values, dict) or set(values) - _KEYS or not values:
        raise InvalidValue(f'{name} needs "a:b", a list, or low, high, step, log, or choices; not {values}')
    if "choices" in values:
        choices = values["choices"]
        if not isinstance(choices, list) or len(values) > 1:
            raise InvalidValue(f"{name}: choices are a list, and go without low and high")
        return dimensions.of_choices(entry, name, choices)
    low, high = (_number(name, key, values.get(key)) for key in ("low", "high"))
    step = None if values.get("step") is None else _number(name, "step", values["step"])
    return dimensions.of_range(entry, name, low, high, step, values.get("log") is True)


def _number(name: str, key: str, value: Json) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidValue(f"{name}: {key} must be a number, not {value}")
    return float(value)


def _named(space: Space) -> str:
    names = [dimension.name for dimension in space]
    return ", ".join(names[:-1]) + (" and " if len(names) > 1 else "") + names[-1]
