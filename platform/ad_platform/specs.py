"""What a person asks for: immutable, JSON in and out, with a hash that names it."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Self, TypeAlias, Union

from ad_platform.holdout import NONE as NO_HOLDOUT
from ad_platform.states import JobKind

Json: TypeAlias = Union[bool, int, float, str, list["Json"], dict[str, "Json"], None]  # noqa: UP007

CERTIFIED = "certified"  # the kind of attack that is none: bounds of what one could do


@dataclass(frozen=True, kw_only=True)
class DatasetRef:
    """One category of one dataset: where it was seen and what exactly it holds."""

    dataset: str
    category: str
    fingerprint: str  # SHA-256 over sorted relative paths and contents, hex
    path: str  # the category's folder on the machine that submitted; a worker uses its own copy


@dataclass(frozen=True, kw_only=True)
class PictureAsk:
    """Which pictures a prediction scores, and what is made of them."""

    count: int  # of the listing that the dataset's fingerprint names
    threshold: Mapping[str, Json] | None = None  # an operating point as JSON; None decides nothing
    threshold_source: str = ""  # in words: where it comes from, or why there is none
    by_hand: bool = False  # somebody chose the threshold on the score
    overlays: bool = False  # heat maps
    masks: bool = False
    maps: bool = False
    shard: int | None = None  # pictures that are published together; None lets the cost decide

    @classmethod
    def from_json(cls, value: Mapping[str, Json]) -> Self:
        """Build it from plain JSON values; fields of a newer program are ignored."""
        return cls(**{name: value[name] for name in cls.__dataclass_fields__ if name in value})  # type: ignore[arg-type]


@dataclass(frozen=True, kw_only=True)
class AttackAsk:
    """One way to attack a model, or the bounds that no attack breaks; values of images are 0..1."""

    name: str  # by which its measures are called; the kind, with a number where there are several
    kind: str
    eps: float
    steps: int | None = None  # linf and l2: of the gradient
    eot: int | None = None  # linf and l2: noises that a step's gradient is a mean over
    soft: float | None = None  # linf and l2: share of the highest value over which a maximum is smoothed
    sigma: float | None = None  # certified: of the noise; None: what suits the detector
    draws: int | None = None  # certified: of the noise

    def to_json(self) -> dict[str, Json]:
        """Return what is said of it as plain JSON values."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        return {name: value for name, value in values.items() if value is not None}

    @classmethod
    def from_json(cls, value: Json) -> Self:
        """Build it from what `to_json` gave; fields of a newer program are ignored."""
        if not isinstance(value, dict):
            raise TypeError("an attack is no object")
        return cls(**{each.name: value[each.name] for each in fields(cls) if each.name in value})  # type: ignore[arg-type]

    @property
    def words(self) -> str:
        """Return it in words: "linf, eps 0.00784, 40 steps"."""
        said = [self.kind, f"eps {self.eps:.3g}"]
        if self.kind == CERTIFIED:
            return ", ".join([*said, *_told(self.sigma, "sigma {:.3g}"), *_told(self.draws, "{} draws")])
        return ", ".join([*said, *_told(self.steps, "{} steps"), *_told(self.soft, "soft {:.3g}")])


@dataclass(frozen=True, kw_only=True)
class JobSpec:
    """The whole meaning of a job: two jobs with equal specs compute the same thing."""

    kind: JobKind
    detector: str
    dataset: DatasetRef
    config: Mapping[str, Json] = field(default_factory=dict)  # every field of the detector's Config, resolved
    preset: str = ""
    seed: int = 0
    device: str = "auto"  # auto, cpu, mps, cuda, or CUDA indices such as 0,1
    source: str | None = None  # evaluate and predict: the train job whose model scores
    checkpoint_every: int | None = None  # steps; None lets the cost of a checkpoint decide
    threads: int | None = None  # CPU threads; None lets the worker decide at the first attempt
    holdout: str = NO_HOLDOUT  # percent of the normal images for validation and calibration, as "10/10"
    measures: tuple[str, ...] = ()  # trial: what is compared, the first also while it is being measured
    pictures: PictureAsk | None = None  # predict: what is scored; `dataset` then names a listing of pictures
    attacks: tuple[AttackAsk, ...] = ()  # evaluate: what is tried against the model
    # What a newer program has written into it and this one does not know, by name: such a job is not for it.
    beyond: tuple[str, ...] = field(default=(), compare=False)

    def to_json(self) -> dict[str, Json]:
        """Return the spec as plain JSON values."""
        value: dict[str, Json] = asdict(self)
        value["config"] = dict(self.config)
        value["kind"] = self.kind.value
        value["measures"] = list(self.measures)
        # Null where there are none: so a program that does not know attacks takes every other job.
        value["attacks"] = [each.to_json() for each in self.attacks] or None
        del value["beyond"]
        return value

    @classmethod
    def from_json(cls, value: Mapping[str, Json]) -> Self:
        """Build a spec from what `to_json` gave; fields of a newer program are left out, and named.

        Raises ValueError, TypeError, KeyError or AttributeError for what is none.
        """
        known = {name: value[name] for name in cls.__dataclass_fields__ if name in value}
        known.pop("beyond", None)
        dataset = {name: value["dataset"][name] for name in DatasetRef.__dataclass_fields__}  # type: ignore[index,call-overload]
        measures = tuple(value.get("measures") or ())  # type: ignore[arg-type]
        asked = known.pop("pictures", None)
        pictures = PictureAsk.from_json(asked) if isinstance(asked, Mapping) else None
        tried = known.pop("attacks", None)
        kind = JobKind(known.pop("kind"))  # type: ignore[arg-type]
        del known["dataset"]
        ref = DatasetRef(**dataset)  # type: ignore[arg-type]
        more = {
            "kind": kind,
            "dataset": ref,
            "measures": measures,
            "pictures": pictures,
            "attacks": tuple(map(AttackAsk.from_json, tried)) if isinstance(tried, list) else (),
            "beyond": _beyond(value),
        }
        spec = cls(**{**known, **more})  # type: ignore[arg-type]
        _check_types(spec)
        return spec

    @classmethod
    def unreadable(cls, kind: JobKind, detector: str, fingerprint: str) -> Self:
        """Return what stands for a spec that is none: it fails wherever somebody tries to run it."""
        data = DatasetRef(dataset="?", category="?", fingerprint=fingerprint, path="")
        return cls(kind=kind, detector=detector, dataset=data, config={"its spec cannot be read": True})

    @property
    def cpu_only(self) -> bool:
        """Whether it computes on the CPU whatever cards there are."""
        return self.device.strip().lower() == "cpu"

    @property
    def key(self) -> str:
        """Return the SHA-256 of the canonical JSON, hex: equal specs, equal keys."""
        meaning = self.to_json()
        if self.holdout == NO_HOLDOUT:
            del meaning["holdout"]  # a spec from before there were holdouts keeps its key
        if not self.measures:
            del meaning["measures"]  # and so does one from before there were trials
        if self.pictures is None:
            del meaning["pictures"]  # or predictions
        if not self.attacks:
            del meaning["attacks"]  # or attacks
        canonical = json.dumps(meaning, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()


def _check_types(spec: JobSpec) -> None:
    """Raise TypeError where a field is of another type: who may write to the store may write anything."""
    data = spec.dataset
    texts = (spec.detector, spec.preset, spec.device, spec.holdout, spec.source or "", *spec.measures)
    numbers = (spec.seed, spec.checkpoint_every or 0, spec.threads or 0)
    right = (
        all(type(text) is str for text in texts)
        and all(type(text) is str for text in (data.dataset, data.category, data.fingerprint, data.path))
        and all(type(number) is int for number in numbers)
        and isinstance(spec.config, Mapping)
    )
    if not right:
        raise TypeError("a field of the spec has another type than it should have")


def _told(value: float | None, words: str) -> list[str]:
    return [] if value is None else [words.format(value)]


def _beyond(value: Mapping[str, Json]) -> tuple[str, ...]:
    """Return the names that a newer program has given something; a null says nothing."""
    parts: tuple[tuple[str, Json, Mapping[str, object]], ...] = (
        ("", dict(value), JobSpec.__dataclass_fields__),
        ("dataset.", value.get("dataset"), DatasetRef.__dataclass_fields__),
        ("pictures.", value.get("pictures"), PictureAsk.__dataclass_fields__),
    )
    return tuple(
        f"{prefix}{name}"
        for prefix, part, known in parts
        if isinstance(part, dict)
        for name in sorted(part)
        if name not in known and part[name] is not None
    )


@dataclass(frozen=True, kw_only=True)
class Submission:
    """A spec and how it is to be scheduled."""

    spec: JobSpec
    user: str
    key: str | None = None  # the same key twice gives one job
    name: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    group: str | None = None
    queue: str = "default"  # the label of the workers that may take it
    priority: int = 0  # -100..100, higher first
    gpus: int = 0  # cards of one worker, all at once; 0 takes what its slot has
    memory_mb: int = 0  # of each card, or of the machine where it computes on none
    memory_from: str = ""  # in words, where that comes from if nobody asked for it
    preemptible: bool = False  # it may be asked to make room for a job of higher priority
    needs: tuple[str, ...] = ()  # ids of jobs that must succeed first
    max_attempts: int = 3  # failures after which no further attempt is made
    stall_after: float = 600.0  # seconds without a report before the attempt counts as hung
    timeout: float | None = None  # seconds that its attempts may run, all together
    batch_divisor: int = 1  # parts in which a batch is computed
    not_before: float = 0.0  # seconds since the epoch, by the store's clock
    retry_of: str | None = None  # the ended job whose checkpoints this one goes on from
    code: Mapping[str, str] = field(default_factory=dict)  # version, commit, hash of uncommitted changes
