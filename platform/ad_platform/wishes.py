"""What is asked of a training, as far as it is said: by a job to clone, a run file or the command line."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from ad_platform import planning
from ad_platform.errors import InvalidRequest
from ad_platform.records import Job
from ad_platform.requests import Scheduling, TrainRequest
from ad_platform.results import SELECTED_ON
from ad_platform.specs import DatasetRef, JobSpec, Json
from ad_platform.states import JobKind

OF_SWEEP = ("sweep", "trial", "benchmark")  # tags of jobs of something; who asks for one again is no part

SCHEDULED = (
    *("name", "group", "queue", "priority", "max_attempts", "timeout"),
    *("gpus", "memory_mb", "preemptible", "key"),
)


@dataclass(frozen=True, kw_only=True)
class DataWish:
    """Which images, as far as it is said."""

    dataset: str | None = None
    category: str | None = None
    path: str | None = None
    fingerprint: str | None = None


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What is asked of a training; None, or nothing in it, means that it was not said."""

    detector: str | None = None
    preset: str | None = None
    base: Mapping[str, Json] = field(default_factory=dict)  # settings by name
    settings: tuple[str, ...] = ()  # "name=value", over those
    image_size: int | None = None
    data: DataWish = DataWish()
    seed: int | None = None
    device: str | None = None
    holdout: str | None = None
    checkpoint_every: int | None = None
    threads: int | None = None
    evaluate: bool | None = None
    name: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    group: str | None = None
    queue: str | None = None
    priority: int | None = None
    max_attempts: int | None = None
    timeout: float | None = None
    gpus: int | None = None
    memory_mb: int | None = None
    preemptible: bool | None = None
    key: str | None = None

    def over(self, below: "Wish") -> "Wish":
        """Return this wish where it says something, and the one below it elsewhere.

        Another detector, or a preset, starts anew: the settings below it do not reach through.
        """
        said = {each.name: getattr(self, each.name) for each in fields(self) if _said(self, each.name)}
        if self.starts_anew(below):
            tags = {name: value for name, value in below.tags.items() if name != SELECTED_ON}
            below = replace(below, preset=None, base={}, settings=(), image_size=None, tags=tags)
        joined: dict[str, Any] = {
            "tags": {**below.tags, **self.tags},
            "base": {**below.base, **self.base},
            "settings": (*below.settings, *self.settings),
        }
        return replace(below, **{**said, **joined})

    def starts_anew(self, below: "Wish") -> bool:
        """Say whether settings of the wish below are left out, because a preset or detector replaces them."""
        other = self.detector is not None and below.detector not in (None, self.detector)
        return (other or self.preset is not None) and bool(below.base or below.settings or below.preset)


NOTHING_SAID = Wish()


def wish_of(asked: Job | JobSpec) -> Wish:
    """Return what would ask for the same training again; raise InvalidRequest for a job that is none.

    A trial's settings can be trained, too: what they were chosen by goes along.
    """
    job = asked if isinstance(asked, Job) else None
    spec = asked.spec if isinstance(asked, Job) else asked
    if spec.kind in (JobKind.EVALUATE, JobKind.PREDICT):
        which = f"job {job.id}" if job else "this"
        fit = f"; its training is job {spec.source}" if spec.source else ""
        raise InvalidRequest(
            f"{which} is of kind {spec.kind}, and only train jobs can be asked for again{fit}"
        )
    data = spec.dataset
    wish = Wish(
        detector=spec.detector,
        preset=spec.preset or None,
        base=spec.config,
        data=DataWish(
            dataset=data.dataset, category=data.category, path=data.path, fingerprint=data.fingerprint
        ),
        seed=spec.seed,
        device=spec.device,
        holdout=spec.holdout,
        checkpoint_every=spec.checkpoint_every,
        threads=spec.threads,
    )
    if job is None:
        return wish
    of_sweep = any(name in job.tags for name in OF_SWEEP)
    tags = {**job.tags, **_chosen_on(spec)}
    return replace(
        wish,
        name=None if of_sweep else job.name or None,
        tags={name: value for name, value in tags.items() if name not in OF_SWEEP},
        group=None if of_sweep else job.group,
        queue=job.queue,
        priority=job.priority,
        max_attempts=job.max_attempts,
        timeout=job.timeout,
        gpus=job.gpus if job.gpus != planning.gpus(job.spec.device) else None,
        memory_mb=job.memory_mb or None if not job.memory_from else None,
        preemptible=job.preemptible or None,
    )


def _chosen_on(spec: JobSpec) -> dict[str, str]:
    """Return the tag that says which images a trial's settings were compared by."""
    if spec.kind is not JobKind.TRIAL:
        return {}
    return {SELECTED_ON: "test" if any(name.startswith("test/") for name in spec.measures) else "validation"}


def request_of(wish: Wish, data: DatasetRef) -> TrainRequest:
    """Return the request for a wish on this data; raise InvalidRequest when it names no detector."""
    usual, scheduling = TrainRequest(detector="", dataset=data), Scheduling()
    if wish.detector is None:
        raise InvalidRequest("say which detector: --model NAME; `adctl detectors list` names them")
    return replace(
        usual,
        detector=wish.detector,
        preset=wish.preset,
        base=wish.base,
        settings=wish.settings,
        image_size=wish.image_size,
        seed=usual.seed if wish.seed is None else wish.seed,
        device=wish.device or usual.device,
        checkpoint_every=wish.checkpoint_every,
        threads=wish.threads,
        holdout=wish.holdout,
        evaluate=wish.evaluate is not False,
        scheduling=scheduled(wish, scheduling),
    )


def scheduled(wish: Wish, usual: Scheduling) -> Scheduling:
    """Return how a wish is to be scheduled: as usual where it does not say."""
    return replace(
        usual,
        tags={**usual.tags, **wish.tags},
        **{name: getattr(wish, name) for name in SCHEDULED if _said(wish, name)},
    )


def differences(old: JobSpec, new: JobSpec) -> dict[str, tuple[Json, Json]]:
    """Return what one spec has differently from another, by name: its settings, and all else it says."""
    before, after = _flat(old), _flat(new)
    names = [*before, *(name for name in after if name not in before)]
    return {
        name: (before.get(name), after.get(name)) for name in names if before.get(name) != after.get(name)
    }


def _flat(spec: JobSpec) -> dict[str, Json]:
    whole = {
        name: value
        for name, value in spec.to_json().items()
        if name not in {"config", "dataset", "kind", "measures"}
    }
    data: dict[str, Json] = {f"data {name}": value for name, value in asdict(spec.dataset).items()}
    return {**whole, **data, **spec.config}


def _said(wish: Wish, name: str) -> bool:
    value = getattr(wish, name)
    return value is not None and value not in ((), {}, DataWish())
