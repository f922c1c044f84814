"""The whole meaning of a benchmark: which models on which categories with which seeds; JSON in and out."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Self

from ad_platform.requests import Scheduling
from ad_platform.specs import DatasetRef, Json

BENCHMARK_TAG = "benchmark"  # on every job of one, with its name


@dataclass(frozen=True, kw_only=True)
class Contender:
    """A model of a benchmark: a detector with settings."""

    label: str  # what it is called here: "ddad", or "ddad:paper" beside "ddad:small"
    detector: str
    preset: str
    settings: tuple[str, ...] = ()  # "name=value", over those of the preset


@dataclass(frozen=True, kw_only=True)
class Place:
    """A category of a benchmark."""

    label: str  # its name, or "dataset/category" where two have one name
    data: DatasetRef


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One model on one category with one seed."""

    model: str  # the label of a contender
    category: str  # the label of a place
    seed: int
    address: str  # what its model will be: equal addresses, equal models
    taken: str | None = None  # the evaluation that was there before; nothing is computed for this cell


@dataclass(frozen=True, kw_only=True)
class BenchmarkSpec:
    """A benchmark as it was asked for."""

    models: tuple[Contender, ...]
    categories: tuple[Place, ...]
    seeds: tuple[int, ...]
    cells: tuple[Cell, ...]  # every model on every category with every seed
    scheduling: Scheduling = field(default_factory=Scheduling)
    code: Mapping[str, str] = field(default_factory=dict)
    rules: Mapping[str, Json] = field(default_factory=dict)  # by detector, what evaluations are measured by

    @property
    def datasets(self) -> list[str]:
        """Return the names of the datasets, in order."""
        return list(dict.fromkeys(place.data.dataset for place in self.categories))

    @property
    def meaning(self) -> Json:
        """Return what two benchmarks have in common that compute the same: not what was there before."""
        cells: list[Json] = [[cell.model, cell.category, cell.seed, cell.address] for cell in self.cells]
        return [cells, dict(self.rules)]

    def to_json(self) -> dict[str, Json]:
        """Return it as plain JSON values."""
        return {
            "models": [{**asdict(one), "settings": list(one.settings)} for one in self.models],
            "categories": [asdict(one) for one in self.categories],
            "seeds": list(self.seeds),
            "cells": [asdict(one) for one in self.cells],
            "scheduling": {**asdict(self.scheduling), "tags": dict(self.scheduling.tags)},
            "code": dict(self.code),
            "rules": dict(self.rules),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Json]) -> Self:
        """Build it from what `to_json` gave; fields of a newer program are ignored."""
        models = [_known(Contender, one) for one in _list(value["models"])]
        places = [_object(one) for one in _list(value["categories"])]
        scheduling = _known(Scheduling, value.get("scheduling") or {})
        return cls(
            models=tuple(
                Contender(**{**one, "settings": tuple(one.get("settings") or ())})  # type: ignore[arg-type]
                for one in models
            ),
            categories=tuple(
                Place(label=str(one["label"]), data=DatasetRef(**_known(DatasetRef, one["data"])))  # type: ignore[arg-type]
                for one in places
            ),
            seeds=tuple(int(str(seed)) for seed in _list(value["seeds"])),
            cells=tuple(Cell(**_known(Cell, one)) for one in _list(value["cells"])),  # type: ignore[arg-type]
            scheduling=Scheduling(**scheduling),  # type: ignore[arg-type]
            code={name: str(text) for name, text in _object(value.get("code") or {}).items()},
            rules=_object(value.get("rules") or {}),
        )


def cell_keys(benchmark: str, cell: Cell) -> tuple[str, str]:
    """Return the submit keys of a cell's training and of its evaluation; they hang on its place alone."""
    train = f"benchmark/{benchmark}/{cell.model}/{cell.category}/{cell.seed}"
    return train, f"{train}/evaluate"


def _known(of: type, value: Json) -> dict[str, Json]:
    names = of.__dataclass_fields__  # type: ignore[attr-defined]
    return {name: each for name, each in _object(value).items() if name in names}


def _object(value: Json) -> Mapping[str, Json]:
    assert isinstance(value, dict)
    return value


def _list(value: Json) -> Sequence[Json]:
    assert isinstance(value, list)
    return value
