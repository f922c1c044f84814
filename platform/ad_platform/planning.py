"""What a request comes to: the spec of each job it asks for, checked."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from ad_platform import catalogue, durations, holdout
from ad_platform.attacks import read as read_attacks
from ad_platform.catalogue import Catalogue, DetectorEntry
from ad_platform.errors import InvalidRequest, InvalidValue
from ad_platform.records import Job
from ad_platform.requests import Scheduling, TrainRequest
from ad_platform.results import SELECTED_ON, selected_on
from ad_platform.specs import AttackAsk, DatasetRef, JobSpec, Json
from ad_platform.states import JobKind

PRIORITIES = range(-100, 101)
MOST_GPUS = 1024  # that one job can ask for
QUEUE = re.compile(r"[A-Za-z0-9._-]{1,64}")


def train_spec(entry: catalogue.DetectorEntry, request: TrainRequest) -> JobSpec:
    """Return the spec of a fit; raise UnknownName or InvalidValue for what cannot be."""
    preset = catalogue.preset_name(entry, request.preset) if request.preset else entry.default_preset
    usual = holdout.NONE if preset in entry.published else holdout.DEFAULT
    category = request.dataset.category
    return JobSpec(
        kind=JobKind.TRAIN,
        detector=entry.name,
        dataset=request.dataset,
        config=catalogue.resolve(entry, preset or None, _settings(request), category, request.base),
        preset=preset,
        seed=request.seed,
        device=request.device,
        checkpoint_every=request.checkpoint_every,
        threads=request.threads,
        holdout=holdout.canonical(usual if request.holdout is None else request.holdout),
    )


def evaluation_spec(
    trained: JobSpec, data: DatasetRef, source: str, attacks: Sequence[AttackAsk] = ()
) -> JobSpec:
    """Return the spec of the evaluation of what a train job fits, on the pictures that it did not see."""
    return JobSpec(
        kind=JobKind.EVALUATE,
        detector=trained.detector,
        dataset=data,
        config=trained.config,
        preset=trained.preset,
        seed=trained.seed,
        device=trained.device,
        source=source,
        holdout=trained.holdout,
        attacks=tuple(attacks),
    )


def honest(scheduling: Scheduling, entry: catalogue.DetectorEntry, preset: str) -> Scheduling:
    """Tag what uses a published preset: its settings were chosen on test pictures, whatever a user says."""
    if preset not in entry.published:
        return scheduling
    return replace(scheduling, tags={**scheduling.tags, SELECTED_ON: "test"})


def inherited(scheduling: Scheduling, source: Job) -> Scheduling:
    """Keep an evaluation with its train job: in its group, tagged with what its settings were chosen by."""
    if scheduling.group is None:
        scheduling = replace(scheduling, group=source.group)
    if SELECTED_ON not in source.tags:
        return scheduling
    return replace(scheduling, tags={**scheduling.tags, SELECTED_ON: selected_on(source)})


def check(scheduling: Scheduling) -> None:
    """Raise InvalidValue for a priority, a number of attempts, a time or a queue's name that cannot be."""
    if scheduling.priority not in PRIORITIES:
        raise InvalidValue(f"priority must be an integer from -100 to 100, not {scheduling.priority}")
    if scheduling.max_attempts < 1:
        raise InvalidValue(f"max_attempts must be an integer of at least 1, not {scheduling.max_attempts}")
    if scheduling.timeout is not None:
        durations.within(scheduling.timeout)
    check_queue(scheduling.queue)


def check_queue(queue: str) -> None:
    """Raise InvalidValue for what cannot be the name of a queue."""
    if not QUEUE.fullmatch(queue):
        raise InvalidValue(f"a queue's name is made of letters, digits and . _ -, not '{queue}'")


def gpus(device: str) -> int:
    """Return how many GPUs a device asks for: auto takes what the worker has, and a slot has one at most."""
    if re.fullmatch(r"cuda(:\d+)?|\d+(,\d+)*", device):
        return 1
    if device not in {"auto", "cpu", "mps"}:
        raise InvalidValue(f"device must be auto, cpu, mps, cuda or indices such as 0,1, not '{device}'")
    return 0


def cards(device: str, asked: int | None) -> int:
    """Return how many GPUs a job asks for: as many as somebody said, or what its device comes to."""
    usual = gpus(device)
    if asked is None:
        return usual
    if not 1 <= asked <= MOST_GPUS:
        raise InvalidValue(f"gpus must be from 1 to {MOST_GPUS}, not {asked}; on the CPU: --device cpu")
    if device in {"cpu", "mps"}:
        raise InvalidValue(f"{asked} GPUs and device {device} contradict each other; leave one of them out")
    return asked


def check_parallel(entry: DetectorEntry, gpus: int | None) -> None:
    """Raise InvalidRequest for several GPUs where the detector would leave all but one of them idle."""
    if gpus is not None and gpus > 1 and not entry.parallel:
        raise InvalidRequest(
            f"detector '{entry.name}' fits on one GPU: {gpus} would leave {gpus - 1} idle; use --gpus 1"
        )


def attacks(catalogue: Catalogue, detector: str, texts: Sequence[str]) -> tuple[AttackAsk, ...]:
    """Read the attacks on a detector's model; raise InvalidRequest where it has none, naming those that have.

    Raises UnknownName or InvalidValue for what is no attack.
    """
    asked = read_attacks(texts)
    if not asked or not (entry := catalogue.entry(detector)).no_attack:
        return asked
    able = [name for name, each in sorted(catalogue.entries.items()) if not each.no_attack]
    others = f"; those that can be: {', '.join(able)}" if able else ""
    raise InvalidRequest(f"detector '{entry.name}' cannot be attacked: {entry.no_attack}{others}")


def _settings(request: TrainRequest) -> Sequence[str] | Mapping[str, Json]:
    """Return the settings with the image size among them; two different sizes are an error."""
    size = request.image_size
    if size is None:
        return request.settings
    if isinstance(request.settings, Mapping):
        return {**request.settings, "image_size": size}
    given = [text for text in request.settings if text.partition("=")[0].strip().lower() == "image_size"]
    if any(text.partition("=")[2].strip() != str(size) for text in given):
        raise InvalidValue(f"image_size is given twice: {size} and {given[0].partition('=')[2]}; give one")
    return [*request.settings, f"image_size={size}"]
