"""What an attack may change and how it goes about it; values of images are 0..1, whatever a network sees."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal


@dataclass(frozen=True, kw_only=True)
class Attack:
    """Projected gradient steps within a ball about each image (Madry et al. 2018, arXiv 1706.06083)."""

    norm: Literal["linf", "l2"]
    eps: float  # the ball's radius
    steps: int = 40
    eot: int = 4  # noises over which each step's gradient is averaged
    soft: float = 0.0  # share of the highest value over which a maximum is smoothed; 0: not

    @property
    def rate(self) -> float:
        """Return the length of a step: all of them together go 2.5 times as far as the ball is wide."""
        return 2.5 * self.eps / self.steps


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """Bounds of the median score under noise, whatever is changed within an l2 ball about an image."""

    eps: float
    sigma: float | None = None  # of the noise; None: what suits the detector
    draws: int = 100


def from_json(value: Mapping[str, Any]) -> tuple[str, Attack | Certificate]:
    """Return the name of an attack and what it is, from plain JSON values; see `to_json`."""
    rest = {key: each for key, each in value.items() if key not in ("name", "kind")}
    kind: Any = value["kind"]
    return str(value["name"]), Certificate(**rest) if kind == "certified" else Attack(norm=kind, **rest)


def to_json(name: str, asked: Attack | Certificate) -> dict[str, Any]:
    """Return an attack as plain JSON values."""
    values = asdict(asked)
    return {"name": name, "kind": values.pop("norm", "certified"), **values}
