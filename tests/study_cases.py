"""Studies with trials as a sweep leaves them, made up by a formula: of any size, deterministic."""

from collections.abc import Sequence
from dataclasses import replace
from math import exp, log10
from random import Random

from ad_platform.records import Study, Trial
from ad_platform.specs import DatasetRef, JobSpec, Json
from ad_platform.states import JobKind, StudyState, TrialOrigin, TrialState
from ad_platform.sweeps.dimensions import CHOICE, FLOAT, INT, Dimension
from ad_platform.sweeps.objectives import Objective, parse
from ad_platform.sweeps.study_spec import Method, StudySpec

START = 1_800_000_000.0
NOISE = Dimension(name="noise_step", kind=INT, low=50, high=500, step=25)
W = Dimension(name="w", kind=FLOAT, low=0.0, high=12.0)
LR = Dimension(name="lr", kind=FLOAT, low=1e-5, high=1e-1, log=True)
BACKBONE = Dimension(name="backbone", kind=CHOICE, choices=("resnet18", "wide_resnet50_2", None))
SPACE = (NOISE, W, LR, BACKBONE)
AUROC, LATENCY = parse("validation/image_auroc"), parse("latency_ms")


def spec(
    space: Sequence[Dimension] = SPACE, objectives: Sequence[Objective] = (AUROC,), **more: object
) -> StudySpec:
    """The spec of a search over some settings of DDAD."""
    config: dict[str, Json] = {"noise_step": 250, "w": 3.0, "lr": 0.001, "backbone": "resnet18"}
    job = JobSpec(
        kind=JobKind.TRIAL,
        detector="ddad",
        dataset=DatasetRef(dataset="mvtec", category="screw", fingerprint="f" * 64, path="/data/mvtec/screw"),
        config={**config, "image_size": 256, "steps": 2000, "feature": {"skip": True}},
        preset="small",
        holdout="10/10",
        measures=tuple(objective.metric for objective in objectives),
    )
    made = StudySpec(
        job=job,
        space=tuple(space),
        objectives=tuple(objectives),
        sampler=Method(name="tpe", options={"n_startup_trials": 10}),
        pruner=Method(name="median"),
    )
    return replace(made, **more)  # type: ignore[arg-type]


def of_category(of: StudySpec, category: str) -> StudySpec:
    """The same search on another category."""
    return replace(of, job=replace(of.job, dataset=replace(of.job.dataset, category=category)))


def study(of: StudySpec, wanted: int = 40, **more: object) -> Study:
    """A finished study of a spec."""
    made = Study(
        id="5a01beef",
        name="screw-noise",
        state=StudyState.FINISHED,
        spec=of.to_json(),
        user="ann",
        wanted=wanted,
        parallel=2,
        created_at=START,
        finished_at=START + 120.0 * wanted,
        version=3,
    )
    return replace(made, **more)  # type: ignore[arg-type]


def value(params: dict[str, Json], random: Random) -> float:
    """What a trial of these settings measures: one hill, other backbones, some noise."""
    noise, w, lr = (float(str(params.get(name, middle))) for name, middle in MIDDLE.items())
    hill = exp(-(((noise - 300) / 170) ** 2) - ((w - 4.5) / 3.5) ** 2 - ((log10(lr) + 3) / 1.6) ** 2)
    best = {"resnet18": 0.93, "wide_resnet50_2": 0.97}.get(str(params.get("backbone", "resnet18")), 0.9)
    return min(1.0, 0.55 + (best - 0.55) * hill + random.gauss(0, 0.008))


MIDDLE = {"noise_step": 250.0, "w": 3.0, "lr": 0.001}


def trials(of: StudySpec, count: int, *, seed: int = 0, broken: bool = True) -> list[Trial]:
    """Trials of a study, two at a time; unless all are to be whole, some are pruned and a few fail."""
    random = Random(seed)
    made = []
    for number in range(count):
        params = {dimension.name: dimension.drawn(random) for dimension in of.space}
        values = [value(params, random)]
        values += [5 + 40 * random.random() for _ in of.objectives[1:]]
        state = TrialState.COMPLETE
        if broken and values[0] < 0.62 and number > 5 and len(of.objectives) == 1:
            state = TrialState.PRUNED
        if broken and number % 23 == 22:
            state = TrialState.FAILED
        asked = START + 90.0 * (number // 2) + 3 * (number % 2)
        made.append(
            Trial(
                study_id="5a01beef",
                number=number,
                state=state,
                params=params,
                values=None if state is TrialState.FAILED else tuple(values),
                error="out of memory on the GPU, twice" if state is TrialState.FAILED else "",
                asked_at=asked,
                ended_at=asked + (35 if state is TrialState.PRUNED else 60 + 25 * random.random()),
            )
        )
    return made


def rungs(of: Sequence[Trial], seed: int = 0) -> dict[int, list[float]]:
    """What was seen of trials on the way to their values."""
    random = Random(seed)
    seen = {}
    for trial in of:
        if trial.values is None:
            continue
        count = 8 if trial.state is TrialState.COMPLETE else random.randrange(2, 6)
        end = trial.values[0]
        seen[trial.number] = [
            end - 0.12 * exp(-rung / 2) + random.gauss(0, 0.01) for rung in range(count - 1)
        ] + [end]
    return seen


def retried(of: Sequence[Trial]) -> list[Trial]:
    """The same trials, with each failed one run once more to its end."""
    failed = [trial for trial in of if trial.state is TrialState.FAILED]
    return [
        *of,
        *(
            replace(
                trial,
                number=len(of) + index,
                state=TrialState.COMPLETE,
                origin=TrialOrigin.RETRY,
                retry_of=trial.number,
                values=(0.7,),
                error="",
            )
            for index, trial in enumerate(failed)
        ),
    ]
