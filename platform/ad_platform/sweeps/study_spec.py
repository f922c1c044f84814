"""The whole meaning of a study: what is searched, by what, compared by what; JSON in and out."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Self

from ad_platform.requests import Scheduling
from ad_platform.specs import JobSpec, Json
from ad_platform.sweeps.dimensions import Dimension
from ad_platform.sweeps.objectives import Objective


@dataclass(frozen=True, kw_only=True)
class Method:
    """A sampler or a pruner by name, with options that differ from its usual ones."""

    name: str
    options: Mapping[str, Json] = field(default_factory=dict)

    @property
    def words(self) -> str:
        """Return it as it is typed."""
        options = ",".join(f"{name}={value}" for name, value in self.options.items())
        return f"{self.name}:{options}" if options else self.name


@dataclass(frozen=True, kw_only=True)
class StudySpec:
    """A study as it was asked for; how many trials it has, and how many at a time, may change later."""

    job: JobSpec  # a trial's, with the settings that are not searched; its seed is that of the first repeat
    space: tuple[Dimension, ...]
    objectives: tuple[Objective, ...]
    sampler: Method
    pruner: Method
    seed: int = 0  # from which, and from its number, each trial's sampler is seeded
    seeds: int = 1  # how often a trial is repeated, each time with another seed; their mean counts
    scheduling: Scheduling = field(default_factory=Scheduling)
    gpus: int = 0
    code: Mapping[str, str] = field(default_factory=dict)
    warm_start: str | None = None  # the id of a study whose trials are known from the start
    cloned_from: str | None = None  # the id of the study that was asked for again
    tested: bool = True  # there are test images to evaluate the best trial on

    @property
    def names(self) -> list[str]:
        """Return the names of the settings that are searched."""
        return [dimension.name for dimension in self.space]

    @property
    def on_test(self) -> bool:
        """Whether test labels decide anything."""
        return any(objective.on_test for objective in self.objectives)

    def to_json(self) -> dict[str, Json]:
        """Return it as plain JSON values."""
        scheduling: dict[str, Json] = asdict(self.scheduling)
        return {
            "job": self.job.to_json(),
            "space": [dimension.to_json() for dimension in self.space],
            "objectives": [objective.to_json() for objective in self.objectives],
            "sampler": {"name": self.sampler.name, "options": dict(self.sampler.options)},
            "pruner": {"name": self.pruner.name, "options": dict(self.pruner.options)},
            "seed": self.seed,
            "seeds": self.seeds,
            "scheduling": {**scheduling, "tags": dict(self.scheduling.tags)},
            "gpus": self.gpus,
            "code": dict(self.code),
            "warm_start": self.warm_start,
            "cloned_from": self.cloned_from,
            "tested": self.tested,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Json]) -> Self:
        """Build it from what `to_json` gave; fields of a newer program are ignored."""
        known = {name: value[name] for name in cls.__dataclass_fields__ if name in value}
        scheduling = {
            name: each
            for name, each in _object(value["scheduling"]).items()
            if name in Scheduling.__dataclass_fields__
        }
        return cls(
            **{  # type: ignore[arg-type]
                **known,
                "job": JobSpec.from_json(_object(value["job"])),
                "space": tuple(Dimension.from_json(_object(each)) for each in _list(value["space"])),
                "objectives": tuple(
                    Objective.from_json(_object(each)) for each in _list(value["objectives"])
                ),
                "sampler": _method(_object(value["sampler"])),
                "pruner": _method(_object(value["pruner"])),
                "scheduling": Scheduling(**scheduling),  # type: ignore[arg-type]
            }
        )


def _method(value: Mapping[str, Json]) -> Method:
    return Method(name=str(value["name"]), options=_object(value.get("options") or {}))


def _object(value: Json) -> Mapping[str, Json]:
    assert isinstance(value, dict)
    return value


def _list(value: Json) -> Sequence[Json]:
    assert isinstance(value, list)
    return value
