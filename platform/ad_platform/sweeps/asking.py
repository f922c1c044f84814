"""What a person asks of a sweep, and what it comes to: a plan to be looked at before it is submitted."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ad_platform import holdout, planning
from ad_platform.catalogue import DetectorEntry
from ad_platform.errors import InvalidRequest, InvalidValue
from ad_platform.requests import Scheduling, TrainRequest
from ad_platform.results import SELECTED_ON
from ad_platform.specs import JobSpec
from ad_platform.states import JobKind
from ad_platform.sweeps import methods, objectives, space
from ad_platform.sweeps.objectives import LATENCY, Objective
from ad_platform.sweeps.study_spec import StudySpec

RESERVED = (
    "sweep",
    "trial",
    "benchmark",
    SELECTED_ON,
)  # tags that say where a job belongs and what chose its settings


@dataclass(frozen=True, kw_only=True)
class SweepRequest:
    """A search over a detector's settings on a category."""

    train: TrainRequest  # what trials have in common; its seed is that of the first repeat
    params: Sequence[str] = ()  # as "w=0:12"; none: what the detector declares
    space_file: Path | None = None  # TOML
    objectives: Sequence[str] = ()
    sampler: str = methods.DEFAULT_SAMPLER
    pruner: str | None = None  # None: the usual one where there is one objective
    seeds: int = 1
    sampler_seed: int = 0
    trials: int = 20
    parallel: int = 2
    name: str = ""  # a free one is made where empty
    warm_start: str | None = None  # a sweep whose trials are known from the start
    tested: bool = True  # the category has test images


@dataclass(frozen=True, kw_only=True)
class SweepPlan:
    """What would be submitted, and what is to be known of it."""

    spec: StudySpec
    name: str
    trials: int
    parallel: int
    notes: tuple[str, ...] = ()
    points: int | None = None  # how many there are to try; None: without end
    trainings: int | None = None  # how many different ones the space holds at most; None is not known


def spec_of(entry: DetectorEntry, request: SweepRequest) -> tuple[StudySpec, tuple[str, ...]]:
    """Return the spec that a request comes to, with notes; raise InvalidRequest for what cannot be."""
    _check_counts(request)
    planning.check_parallel(entry, request.train.scheduling.gpus)
    trained = planning.train_spec(entry, request.train)
    compared = objectives.parse_all(request.objectives)
    _check_pictures(compared, trained, request.tested)
    sampler = methods.sampler(request.sampler, len(compared))
    pruner = methods.pruner(request.pruner, len(compared))
    searched = space.of_request(entry, request.params, request.space_file)
    methods.check_grid(sampler, searched)
    methods.check_numeric(sampler, searched)
    fitted = space.fit(entry, trained.config, searched)
    measures = tuple(objective.metric for objective in compared)
    scheduling = planning.honest(_tagged(request.train.scheduling, compared), entry, trained.preset)
    spec = StudySpec(
        job=replace(trained, kind=JobKind.TRIAL, measures=measures),
        space=fitted.space,
        objectives=compared,
        sampler=sampler,
        pruner=pruner,
        seed=request.sampler_seed,
        seeds=request.seeds,
        scheduling=scheduling,
        gpus=planning.cards(trained.device, request.train.scheduling.gpus),
        tested=request.tested,
    )
    return spec, (*fitted.notes, *_warnings(spec, request))


def trainings(entry: DetectorEntry, spec: StudySpec) -> int | None:
    """Return how many different trainings the trials can need at most; None where that is not known."""
    *first, _ = entry.stages_of(spec.job.config)
    fields = {field for stage in first for field in stage.fields}
    total = spec.seeds
    for dimension in spec.space:
        if dimension.name in fields or not first:
            if dimension.count is None:
                return None
            total *= dimension.count
    return total


def _tagged(scheduling: Scheduling, compared: Sequence[Objective]) -> Scheduling:
    for name in RESERVED:
        # What test labels have chosen before stays so: its trials begin from there.
        if name in scheduling.tags and (name, scheduling.tags[name]) != (SELECTED_ON, "test"):
            raise InvalidRequest(f"the tag {name} is set by the sweep itself; leave it out")
    on_test = any(objective.on_test for objective in compared) or SELECTED_ON in scheduling.tags
    chosen = {SELECTED_ON: "test" if on_test else "validation"}
    return replace(scheduling, tags={**scheduling.tags, **chosen}, key=None, group=None, name="")


def _check_counts(request: SweepRequest) -> None:
    for name, value, least, most in (
        ("--trials", request.trials, 1, 1_000_000),
        ("--parallel", request.parallel, 1, 10_000),
        ("--seeds", request.seeds, 1, 100),
        ("--sampler-seed", request.sampler_seed, 0, 2**31 - 1),
    ):
        if not least <= value <= most:
            raise InvalidValue(f"{name} must be from {least} to {most}, not {value}")
    planning.check(request.train.scheduling)


def _check_pictures(compared: Sequence[Objective], trained: JobSpec, tested: bool) -> None:
    data = f"{trained.dataset.dataset}/{trained.dataset.category}"
    for objective in compared:
        if objective.on_test and not tested:
            raise InvalidRequest(f"{objective.metric} needs test images, and {data} has none")
        if objective.metric.startswith("validation/") and trained.holdout == holdout.NONE:
            raise InvalidRequest(
                f"{objective.metric} needs normal images held out of training: --holdout {holdout.DEFAULT}"
            )
    if trained.holdout == holdout.NONE and not tested:
        raise InvalidRequest(f"{data} has no test images and none are held out: --holdout {holdout.DEFAULT}")


def _warnings(spec: StudySpec, request: SweepRequest) -> list[str]:
    notes: list[str] = []
    if spec.on_test:
        notes.append(
            "test labels choose the settings, so the scores of this sweep flatter; its jobs are tagged "
            f"{SELECTED_ON}=test, and promotion refuses them unless forced"
        )
    count = space.points(spec.space)
    if spec.sampler.name == "grid" and count is not None and count != request.trials:
        if count < request.trials:
            notes.append(f"the grid has {count} points, so there will be {count} trials")
        else:
            notes.append(
                f"the grid has {count} points, of which {request.trials} are tried: --trials {count}"
            )
    if spec.objectives[0].metric == LATENCY and len(spec.objectives) == 1:
        notes.append("only the time decides; add --objective validation/image_auroc to know what it costs")
    return notes
