"""What the gates demand, in numbers: `gates.toml` under ADCTL_HOME, for all models and for some of them."""

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Self

from ad_platform.errors import InvalidValue, UnknownName
from ad_platform.specs import Json

FILE = "gates.toml"
MODEL, DEFECTS = "model", "defects"
# What a number may be; None is no end.
_RANGES: Mapping[str, tuple[float, float | None]] = {
    "margin": (0.0, 1.0),
    "defect_floor": (0.0, 1.0),
    "defect_margin": (0.0, 1.0),
    "false_alarms": (0.0, 1.0),
    "latency_ms": (0.0, None),
    "memory_mb": (0.0, None),
}


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The numbers that hold for one model."""

    margin: float = 0.01  # by which image AUROC may be lower than that of the model in force, at 95 %
    defect_floor: float = 0.5  # image AUROC of each kind of defect against good images; 0.5 is chance
    defect_margin: float = 0.05  # by which a kind of defect may surely be worse than with the model in force
    false_alarms: float | None = (
        None  # the share of good images called anomalous; None is what was calibrated
    )
    latency_ms: float | None = None  # to score an image; None is no budget
    memory_mb: float | None = None  # at most, while scoring; None is no budget
    defects: Mapping[str, float] = field(default_factory=dict)  # floors of some kinds of defects
    source: str = "defaults"  # where they come from, for the record

    def floor(self, defect: str) -> float:
        """Return the least image AUROC of a kind of defect."""
        return self.defects.get(defect, self.defect_floor)

    def to_json(self) -> dict[str, Json]:
        """Return them as they are kept with a decision."""
        plain: dict[str, Json] = {name: getattr(self, name) for name in _RANGES}
        return {**plain, DEFECTS: dict(self.defects), "source": self.source}


@dataclass(frozen=True, kw_only=True)
class AllLimits:
    """The numbers that hold for every model, and those that some models have of their own."""

    usual: Limits = field(default_factory=Limits)
    models: Mapping[str, Limits] = field(default_factory=dict)

    def of(self, model: str) -> Limits:
        """Return what holds for a model."""
        return self.models.get(model, self.usual)

    @classmethod
    def read(cls, home: Path) -> Self:
        """Read `gates.toml`, if there is one; raise InvalidValue naming what is wrong in it."""
        path = home / FILE
        try:
            known: Mapping[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return cls()
        except (OSError, ValueError) as error:
            raise InvalidValue(f"{path} cannot be read: {' '.join(str(error).split())}") from error
        own = known.get(MODEL, {})
        if not isinstance(own, Mapping) or not all(isinstance(one, Mapping) for one in own.values()):
            raise InvalidValue(f'{path}: what holds for one model stands under [{MODEL}."NAME"]')
        usual = _over(Limits(source=str(path)), {k: v for k, v in known.items() if k != MODEL}, path, "")
        return cls(
            usual=usual,
            models={name: _over(usual, values, path, f'{MODEL}."{name}".') for name, values in own.items()},
        )


def _over(limits: Limits, values: Mapping[str, Any], path: Path, place: str) -> Limits:
    """Return limits with those of a table in their place."""
    for name in values:
        if name not in (*_RANGES, DEFECTS):
            raise _unknown(path, place, name)
    floors = values.get(DEFECTS, {})
    if not isinstance(floors, Mapping):
        raise InvalidValue(f"{path}: {place}{DEFECTS} is a table of floors, such as scratch = 0.9")
    plain = {
        name: _checked(path, place, name, value, _RANGES[name])
        for name, value in values.items()
        if name != DEFECTS
    }
    below = {
        name: _checked(path, f"{place}{DEFECTS}.", name, value, (0.0, 1.0)) for name, value in floors.items()
    }
    return replace(limits, **plain, defects={**limits.defects, **below})  # type: ignore[arg-type]


def _checked(path: Path, place: str, name: str, value: object, within: tuple[float, float | None]) -> float:
    low, high = within
    allowed = f"from {low:g} to {high:g}" if high is not None else f"of at least {low:g}"
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InvalidValue(f"{path}: {place}{name} is a number {allowed}, not {value!r}")
    if value < low or (high is not None and value > high):
        raise InvalidValue(f"{path}: {place}{name} must be {allowed}, not {value:g}")
    return float(value)


def _unknown(path: Path, place: str, name: str) -> InvalidValue:
    told = UnknownName(
        "limit", f"{place}{name}", [f"{place}{one.name}" for one in fields(Limits) if one.name != "source"]
    )
    return InvalidValue(f"{path}: {told}")
