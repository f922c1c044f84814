"""One setting that a study searches: its range or choices, read from text and checked by the catalogue."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import floor, isfinite, log10
from random import Random
from typing import Self

from ad_platform.catalogue import DetectorEntry, setting
from ad_platform.config_text import describe
from ad_platform.errors import InvalidValue
from ad_platform.naming import match
from ad_platform.specs import Json

INT, FLOAT, CHOICE = "int", "float", "choice"
GRAMMAR = "a:b, a:b:step, a:b:log or x,y,z"


@dataclass(frozen=True, kw_only=True)
class Dimension:
    """A setting with the values that are tried of it."""

    name: str
    kind: str  # INT, FLOAT or CHOICE
    low: float = 0.0
    high: float = 0.0
    step: float | None = None  # of INT 1 unless given; None of FLOAT is every value
    log: bool = False  # small and large values are tried alike
    choices: tuple[Json, ...] = ()

    @property
    def words(self) -> str:
        """Return the values as they are typed."""
        if self.kind == CHOICE:
            return ",".join(str(choice) for choice in self.choices)
        more = ":log" if self.log else f":{_short(self.step)}" if self.step not in (None, 1) else ""
        return f"{_short(self.low)}:{_short(self.high)}{more}"

    @property
    def count(self) -> int | None:
        """Return how many values there are; None for a continuous range."""
        if self.kind == CHOICE:
            return len(self.choices)
        if self.step is None:
            return None
        return floor((self.high - self.low) / self.step + 1e-9) + 1

    def value(self, index: int) -> Json:
        """Return one of `count` values."""
        if self.kind == CHOICE:
            return self.choices[index]
        assert self.step is not None
        return self._typed(self.low + index * self.step)

    def grid(self, most: int) -> list[Json]:
        """Return all values, or so many spread evenly over a range that has more; the ends are among them."""
        count = self.count
        if count is not None and (count <= most or self.kind == CHOICE):
            return [self.value(index) for index in range(count)]
        return [self._at(index / (most - 1)) for index in range(most)]

    def drawn(self, random: Random) -> Json:
        """Return a value at random."""
        if self.count is not None and not self.log:
            return self.value(random.randrange(self.count))
        return self._at(random.random())

    def holds(self, value: Json) -> bool:
        """Say whether a value is one of those that are tried."""
        if self.kind == CHOICE:
            return value in self.choices
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        steps = 0.0 if self.step is None or self.log else (value - self.low) / self.step
        return self.low <= value <= self.high and abs(steps - round(steps)) < 1e-6

    def to_json(self) -> dict[str, Json]:
        """Return it as JSON."""
        if self.kind == CHOICE:
            return {"name": self.name, "kind": self.kind, "choices": list(self.choices)}
        return {
            "name": self.name,
            "kind": self.kind,
            "low": self._typed(self.low),
            "high": self._typed(self.high),
            "step": None if self.step is None else self._typed(self.step),
            "log": self.log,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Json]) -> Self:
        """Build it from what `to_json` gave."""
        known = {name: value[name] for name in cls.__dataclass_fields__ if name in value}
        choices = known.get("choices")
        return cls(**{**known, "choices": tuple(choices) if isinstance(choices, list) else ()})  # type: ignore[arg-type]

    def _at(self, share: float) -> Json:
        """Return the value at a share of the range, from 0 to 1."""
        if self.log:
            value = 10 ** (log10(self.low) + share * (log10(self.high) - log10(self.low)))
        else:
            value = self.low + share * (self.high - self.low)
        if self.step is not None:
            value = self.low + round((value - self.low) / self.step) * self.step
        return self._typed(min(max(value, self.low), self.high))

    def _typed(self, value: float) -> int | float:
        # Sums of steps such as 0.1 end in a row of nines.
        return round(value) if self.kind == INT else float(f"{value:.12g}")


def parse(entry: DetectorEntry, text: str) -> Dimension:
    """Read "noise_step=50:500:25"; raise UnknownName for the setting, InvalidValue for its values."""
    name, sign, values = (part.strip() for part in text.partition("="))
    if not sign or not name or not values:
        raise InvalidValue(f"a parameter is written NAME={GRAMMAR}, not '{text}'")
    return of_text(entry, name, values)


def of_text(entry: DetectorEntry, name: str, values: str) -> Dimension:
    """Read the values of a setting as they are typed."""
    known = _known(entry, name)
    if ":" in values:
        parts = [part.strip() for part in values.split(":")]
        if len(parts) > 3 or not all(parts):
            raise InvalidValue(
                f"{known}={values} cannot be read; a range is written a:b, a:b:step or a:b:log"
            )
        if _kind(entry, known) == CHOICE:
            allowed = describe(entry.fields[known])
            raise InvalidValue(f"{known} must be {allowed}; list choices: {known}=x,y,z")
        log = len(parts) == 3 and parts[2].lower() == "log"
        step = _number(known, parts[2]) if len(parts) == 3 and not log else None
        return of_range(entry, known, _number(known, parts[0]), _number(known, parts[1]), step, log)
    if "," not in values:
        raise InvalidValue(
            f"{known}={values} is one value, and there is nothing to search; set it: -S {known}={values}"
        )
    if _is_list(entry, known):
        raise InvalidValue(f"{known} is itself a list; give its choices in a file: --space FILE")
    return of_choices(entry, known, [part.strip() for part in values.split(",")])


def of_range(
    entry: DetectorEntry, name: str, low: float, high: float, step: float | None = None, log: bool = False
) -> Dimension:
    """Return a range of a numeric setting; both ends must be values that the setting can have."""
    known = _known(entry, name)
    kind = _kind(entry, known)
    typed = f"{known}={_short(low)}:{_short(high)}"
    if kind == CHOICE:
        raise InvalidValue(f"{known} must be {describe(entry.fields[known])}; list choices: {known}=x,y,z")
    if low >= high:
        raise InvalidValue(f"{typed} is empty: it must begin below its end")
    if log and (low <= 0 or step is not None):
        raise InvalidValue(f"{typed}:log must begin above 0, and has no step")
    for number in (low, high, step):
        if kind == INT and number is not None and number != int(number):
            raise InvalidValue(f"{known} takes whole numbers, and {_short(number)} is none")
    if kind == INT and step is None:
        multiple = entry.fields[known].get("multipleOf")
        step = float(multiple) if isinstance(multiple, int | float) and not log else 1.0
    if step is not None and not 0 < step <= high - low:
        raise InvalidValue(f"{typed}: the step {_short(step)} must be above 0 and fit into the range")
    made = Dimension(name=known, kind=kind, low=low, high=high, step=step, log=log)
    if made.count is not None and not log:
        made = replace(made, high=float(str(made.value(made.count - 1))))  # the last that is reached
    for value in (made.to_json()["low"], made.to_json()["high"], *made.grid(3)):
        setting(entry, known, value)
    return made


def of_choices(entry: DetectorEntry, name: str, values: Sequence[Json]) -> Dimension:
    """Return choices of a setting; each must be a value that it can have."""
    known = _known(entry, name)
    choices = tuple(setting(entry, known, value)[1] for value in values)
    for choice in choices:
        if choices.count(choice) > 1:
            raise InvalidValue(f"{known} has {choice} twice among its choices; give it once")
    if len(choices) < 2:
        raise InvalidValue(f"{known} needs two choices or more; one is set with -S {known}=VALUE")
    return Dimension(name=known, kind=CHOICE, choices=choices)


def _known(entry: DetectorEntry, name: str) -> str:
    return match(f"setting of {entry.name}", name, entry.fields)


def _kind(entry: DetectorEntry, name: str) -> str:
    """Return how a setting is searched by its schema; one that may also be null counts as what else it is."""
    schema = entry.fields[name]
    any_of = schema.get("anyOf")
    options = (
        [option for option in any_of if isinstance(option, dict)] if isinstance(any_of, list) else [schema]
    )
    kinds = {str(option.get("type")) for option in options if "enum" not in option and "const" not in option}
    kinds.discard("null")
    return {"integer": INT, "number": FLOAT}.get(kinds.pop(), CHOICE) if len(kinds) == 1 else CHOICE


def _is_list(entry: DetectorEntry, name: str) -> bool:
    return entry.fields[name].get("type") == "array"


def _number(name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise InvalidValue(f"{name}: '{text}' is no number; values are written {GRAMMAR}") from None
    if not isfinite(value):
        raise InvalidValue(f"{name}: {text} is no number that can be searched; values are written {GRAMMAR}")
    return value


def _short(value: float | None) -> str:
    return "" if value is None else f"{value:.12g}"
