"""What `adctl submit sweep` will submit: a training's wish and pictures, and what is searched around it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from ad_cli import asking, out
from ad_platform.history import Estimate, span
from ad_platform.results import SELECTED_ON
from ad_platform.rules import conflict, overlaid
from ad_platform.specs import Json, Submission
from ad_platform.states import JobKind
from ad_platform.sweeps.asking import RESERVED, SweepPlan, SweepRequest

if TYPE_CHECKING:
    from ad_cli.asking import Images, Source
    from ad_platform.catalogue import DetectorEntry
    from ad_platform.client import Client
    from ad_platform.datasets import Found
    from ad_platform.devices import DeviceChoice
    from ad_platform.requests import Scheduling, TrainRequest
    from ad_platform.sweeps.steering import Sweeps
    from ad_platform.sweeps.study_spec import StudySpec
    from ad_platform.wishes import Wish

EXAMPLES = 4  # points that a dry run shows
TRIES = 200  # points that are drawn for them; what breaks a rule is no example


@dataclass(frozen=True, kw_only=True)
class Search:
    """What was said of the search on the command line."""

    params: Sequence[str] = ()
    space_file: Path | None = None
    objectives: Sequence[str] = ()
    sampler: str = "tpe"
    pruner: str | None = None
    seeds: int = 1
    sampler_seed: int = 0
    trials: int = 20
    parallel: int = 2
    name: str = ""
    warm_start: str | None = None


@dataclass(frozen=True, kw_only=True)
class Planned:
    """What a sweep comes to, and what can be said of it beforehand."""

    plan: SweepPlan
    found: Found
    device: DeviceChoice
    shared: bool  # trials share trainings; otherwise each fits by itself
    to_train: Estimate | None  # once
    to_try: Estimate | None  # one trial, without a training that it shares
    examples: tuple[dict[str, Json], ...]

    @property
    def trials(self) -> int:
        """Return how many trials there will be: a grid ends with its points."""
        plan = self.plan
        if plan.points is None or plan.spec.sampler.name != "grid":
            return plan.trials
        return min(plan.trials, plan.points)

    @property
    def seconds(self) -> float | None:
        """Return how long all of it takes, where past runs tell."""
        if self.to_try is None:
            return None
        plan, seeds = self.plan, self.plan.spec.seeds
        jobs, at_a_time = self.trials * seeds, plan.parallel * seeds
        whole = self.to_try.seconds * ceil(jobs / at_a_time)
        if not self.shared:
            return whole
        if self.to_train is None:
            return None
        trainings = jobs if plan.trainings is None else min(plan.trainings, jobs)
        return whole + self.to_train.seconds * ceil(trainings / at_a_time)

    @property
    def time(self) -> str:
        """Say how long it takes; "" where past runs do not tell."""
        told = []
        if self.to_train is not None and self.shared:
            told.append(f"a training: {self.to_train.words}")
        if self.to_try is not None:
            told.append(f"a trial: {self.to_try.words}")
        words = "; ".join(told)
        return words if self.seconds is None else f"about {span(self.seconds)} with free slots ({words})"


def plan(
    client: Client, sweeps: Sweeps, below: Source, wish: Wish, images: Images, search: Search
) -> Planned:
    """Return what a sweep comes to; a mistyped name is said before any picture is read."""
    train, found = asking.train_request(client, below, wish, images)
    request = SweepRequest(
        train=replace(train, scheduling=_scheduling(train, below, wish)),
        params=tuple(search.params),
        space_file=search.space_file,
        objectives=tuple(search.objectives),
        sampler=search.sampler,
        pruner=search.pruner,
        seeds=search.seeds,
        sampler_seed=search.sampler_seed,
        trials=search.trials,
        parallel=search.parallel,
        name=search.name,
        warm_start=search.warm_start,
        tested=found.has_test,
    )
    with asking.settings_blamed(below, wish):
        made = sweeps.plan(request)
    if not found.has_test:
        out.note(
            f"{found.ref.path} has no test images, so the best trial is measured on what is held out alone"
        )
    return _foreseen(client, made, found)


def _scheduling(train: TrainRequest, below: Source, wish: Wish) -> Scheduling:
    """Return how trials are scheduled: names, groups and what chose the settings are the sweep's own."""
    tags = dict(train.scheduling.tags)
    for name in set(tags) & set(RESERVED) - set(wish.tags):
        if (name, tags[name]) != (SELECTED_ON, "test"):
            del tags[name]
            continue
        out.warn(
            f"test labels have chosen the settings of {below.words}, so the scores of this sweep flatter, "
            "and promotion refuses its best unless forced"
        )
    return replace(train.scheduling, tags=tags, name="", group=None, key=None)


def _foreseen(client: Client, made: SweepPlan, found: Found) -> Planned:
    """Add the device, past times and examples; raise InvalidRequest where no worker has such a device."""
    spec = made.spec
    device = client.device_of(Submission(spec=spec.job, user="", queue=spec.scheduling.queue, gpus=spec.gpus))
    trained = replace(spec.job, kind=JobKind.TRAIN, measures=())
    entry = client.catalogue().entry(spec.job.detector)
    return Planned(
        plan=made,
        found=found,
        device=device,
        shared=len(entry.stages_of(spec.job.config)) > 1,
        to_train=client.estimate(trained, found.train),
        to_try=client.estimate(spec.job, found.test),
        examples=tuple(_examples(entry, spec)),
    )


def _examples(entry: DetectorEntry, spec: StudySpec) -> list[dict[str, Json]]:
    """Return a few points of the space at random, none that breaks a rule."""
    random = Random(spec.seed)  # noqa: S311 - nobody's secret
    found: list[dict[str, Json]] = []
    for _ in range(TRIES):
        point = {dimension.name: dimension.drawn(random) for dimension in spec.space}
        config = overlaid(spec.job.config, point, entry.exclusive)
        if point not in found and not conflict(config, entry.rules, entry.exclusive):
            found.append(point)
        if len(found) == EXAMPLES:
            break
    return found
