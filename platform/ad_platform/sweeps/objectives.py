"""What a study compares its trials by."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

from ad_platform.errors import InvalidValue
from ad_platform.naming import match
from ad_platform.specs import Json

MAX, MIN = "max", "min"
LATENCY = "latency_ms"  # milliseconds to score an image
DEFAULT = "validation/image_auroc"
TEST = "test/"
# Every name a trial can measure, and which way is better.
METRICS: Mapping[str, str] = {
    **{f"validation/{name}": MAX for name in ("image_auroc", "image_ap", "pixel_auroc", "aupro_30")},
    **{
        f"{TEST}{name}": MAX
        for name in (
            *("image_auroc", "image_ap", "image_f1_max", "pixel_auroc", "pixel_ap", "pixel_f1_max"),
            *("aupro_30", "aupro_05"),
        )
    },
    LATENCY: MIN,
}


@dataclass(frozen=True, kw_only=True)
class Objective:
    """A measure of a trial, and whether more or less of it is better."""

    metric: str
    direction: str = MAX

    @property
    def words(self) -> str:
        """Return it as it is typed."""
        return f"{self.metric}:{self.direction}"

    @property
    def on_test(self) -> bool:
        """Whether test labels decide it."""
        return self.metric.startswith(TEST)

    def better(self, one: float, other: float) -> bool:
        """Say whether one value is better than another."""
        return one > other if self.direction == MAX else one < other

    def to_json(self) -> dict[str, Json]:
        """Return it as JSON."""
        return {"metric": self.metric, "direction": self.direction}

    @classmethod
    def from_json(cls, value: Mapping[str, Json]) -> Self:
        """Build it from what `to_json` gave."""
        return cls(metric=str(value["metric"]), direction=str(value["direction"]))


def parse(text: str) -> Objective:
    """Read "validation/image_auroc" or "latency_ms:min"; raise UnknownName or InvalidValue."""
    name, _, direction = text.strip().partition(":")
    metric = match("measure", name.strip(), METRICS)
    usual = METRICS[metric]
    if (direction.strip().lower() or usual) not in (MAX, MIN):
        raise InvalidValue(f"an objective is written NAME:max or NAME:min, not '{text}'")
    return Objective(metric=metric, direction=direction.strip().lower() or usual)


def parse_all(texts: Iterable[str]) -> tuple[Objective, ...]:
    """Read objectives, the usual one if there are none; raise InvalidValue for one that is given twice."""
    found = tuple(parse(text) for text in texts) or (parse(DEFAULT),)
    names = [objective.metric for objective in found]
    for name in names:
        if names.count(name) > 1:
            raise InvalidValue(f"the objective {name} is given twice; give it once")
    return found
