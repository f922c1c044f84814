"""What a person asks of a benchmark, and the cells it comes to."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from ad_platform import catalogue, planning
from ad_platform.benchmarks.addresses import model_address
from ad_platform.benchmarks.benchmark_spec import BENCHMARK_TAG, Contender, Place
from ad_platform.catalogue import Catalogue, DetectorEntry
from ad_platform.errors import InvalidRequest, InvalidValue, UnknownName
from ad_platform.requests import Scheduling, TrainRequest
from ad_platform.results import SELECTED_ON
from ad_platform.specs import DatasetRef, JobSpec

MOST_CELLS = 2000  # all of them are submitted in one transaction, which keeps others waiting
RESERVED = (BENCHMARK_TAG, "sweep", "trial", SELECTED_ON)


@dataclass(frozen=True, kw_only=True)
class BenchmarkRequest:
    """Models beside each other on categories."""

    models: Sequence[str]  # "ddad", or "ddad:paper" with a preset
    categories: Sequence[DatasetRef]
    presets: Sequence[str] = ()  # for every model that names none; several: the model with each of them
    settings: Sequence[str] = ()  # "name=value" for every model, "patchcore.name=value" for one
    seeds: int = 5
    seed: int = 0  # the first of them
    device: str = "auto"
    holdout: str | None = None
    image_size: int | None = None
    name: str = ""  # a free one is made where empty
    key: str | None = None  # the same key twice gives one benchmark
    scheduling: Scheduling = field(default_factory=Scheduling)


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A cell before anybody has looked whether it is known: what would be trained, and its address."""

    model: str
    category: str
    request: TrainRequest
    spec: JobSpec
    address: str
    published: bool = False  # its preset is one whose settings test images have chosen


def check(request: BenchmarkRequest) -> None:
    """Raise InvalidRequest or InvalidValue for what no benchmark can be."""
    if not request.models:
        raise InvalidRequest("say which models: --model NAME[,NAME...]; `adctl detectors list` names them")
    if not 1 <= request.seeds <= 100:
        raise InvalidValue(f"--seeds must be from 1 to 100, not {request.seeds}")
    planning.check(request.scheduling)
    for name in RESERVED:
        if name in request.scheduling.tags:
            raise InvalidRequest(f"the tag {name} is set by the platform itself; leave it out")


def contenders(known: Catalogue, request: BenchmarkRequest) -> tuple[Contender, ...]:
    """Return the models, each with a label of its own; raise UnknownName or InvalidRequest."""
    chosen: list[tuple[DetectorEntry, str]] = []
    for text in request.models:
        name, colon, preset = text.strip().partition(":")
        entry = known.entry(name.strip())
        if colon and not preset.strip():
            raise InvalidRequest(
                f"'{text}' names no preset; write {entry.name}:PRESET, or {entry.name} alone"
            )
        presets = [preset.strip()] if colon else list(request.presets) or [entry.default_preset]
        for one in presets:
            pair = (entry, catalogue.preset_name(entry, one) if one else "")
            if pair in chosen:
                raise InvalidRequest(f"{_label(*pair)} is named twice; give each model once")
            chosen.append(pair)
    several = [entry.name for entry, _ in chosen]
    labels = [
        _label(entry, preset)
        if several.count(entry.name) > 1 or preset != entry.default_preset
        else entry.name
        for entry, preset in chosen
    ]
    shared, own = _settings(request.settings, chosen, labels)
    return tuple(
        Contender(label=label, detector=entry.name, preset=preset, settings=(*shared, *own[label]))
        for label, (entry, preset) in zip(labels, chosen, strict=True)
    )


def places(categories: Sequence[DatasetRef]) -> tuple[Place, ...]:
    """Return the categories, each with a label of its own; raise InvalidRequest for one named twice."""
    if not categories:
        raise InvalidRequest("say which images: --dataset NAME, or --data DIR")
    names = [data.category for data in categories]
    found = [
        Place(
            label=f"{data.dataset}/{data.category}" if names.count(data.category) > 1 else data.category,
            data=data,
        )
        for data in categories
    ]
    for place in found:
        if sum(other.label == place.label for other in found) > 1:
            raise InvalidRequest(f"the category {place.label} is named twice; give each once")
    return tuple(found)


def wanted(
    request: BenchmarkRequest,
    entry: Callable[[str], DetectorEntry],
    models: Sequence[Contender],
    categories: Sequence[Place],
) -> Iterator[Wanted]:
    """Yield every cell, category by category; raise InvalidRequest for settings that cannot be."""
    cells = len(models) * len(categories) * request.seeds
    if cells > MOST_CELLS:
        raise InvalidRequest(f"{cells} cells are too many for one benchmark; {MOST_CELLS} at most")
    for place in categories:
        for model in models:
            for seed in range(request.seed, request.seed + request.seeds):
                yield _wanted(request, entry(model.detector), model, place, seed)


def _wanted(
    request: BenchmarkRequest, entry: DetectorEntry, model: Contender, place: Place, seed: int
) -> Wanted:
    train = TrainRequest(
        detector=model.detector,
        dataset=place.data,
        preset=model.preset or None,
        settings=model.settings,
        image_size=request.image_size,
        seed=seed,
        device=request.device,
        holdout=request.holdout,
        scheduling=request.scheduling,
    )
    spec = planning.train_spec(entry, train)
    return Wanted(
        model=model.label,
        category=place.label,
        request=train,
        spec=spec,
        address=model_address(entry, spec),
        published=spec.preset in entry.published,
    )


def _label(entry: DetectorEntry, preset: str) -> str:
    return f"{entry.name}:{preset}" if preset else entry.name


def _settings(
    texts: Sequence[str], chosen: Sequence[tuple[DetectorEntry, str]], labels: Sequence[str]
) -> tuple[list[str], dict[str, list[str]]]:
    """Return the settings of every model, and those of single ones by label."""
    shared: list[str] = []
    own: dict[str, list[str]] = {label: [] for label in labels}
    for text in texts:
        name, _, _ = text.partition("=")
        owner, dot, _ = name.partition(".")
        fitting = [
            label
            for label, (entry, _) in zip(labels, chosen, strict=True)
            if dot and owner.strip().casefold() in (label.casefold(), entry.name.casefold())
        ]
        for label in fitting:
            own[label].append(text.partition(".")[2])
        if fitting:
            continue
        if dot and not any(name.strip().casefold() in map(str.casefold, entry.fields) for entry, _ in chosen):
            raise UnknownName("model of this benchmark", owner.strip(), labels)
        _check_shared(name.strip(), chosen, labels)
        shared.append(text)
    return shared, own


def _check_shared(name: str, chosen: Sequence[tuple[DetectorEntry, str]], labels: Sequence[str]) -> None:
    """Raise InvalidRequest for a setting that some of the models have and others have not."""
    has = {
        label: any(name.casefold() == field.casefold() for field in entry.fields)
        for label, (entry, _) in zip(labels, chosen, strict=True)
    }
    if any(has.values()) and not all(has.values()):
        having = next(label for label, found in has.items() if found)
        lacking = ", ".join(label for label, found in has.items() if not found)
        raise InvalidRequest(
            f"{lacking} has no setting '{name}'; for one model alone: -S {having}.{name}=VALUE"
        )


def tagged(scheduling: Scheduling, name: str) -> Scheduling:
    """Return how the jobs of a benchmark are scheduled: in its group, with its tag."""
    return replace(scheduling, group=name, tags={**scheduling.tags, BENCHMARK_TAG: name}, key=None)
