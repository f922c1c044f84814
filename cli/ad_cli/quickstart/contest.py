"""The two detectors of the tour: what is asked for, and which of them did better on held-out pictures."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ad_cli.quickstart.screws import HOLDOUT, Screws
from ad_platform.client import Client
from ad_platform.code_version import package_version
from ad_platform.records import Job
from ad_platform.requests import Scheduling, TrainRequest
from ad_platform.results import result_of
from ad_platform.states import JobState

BETTER_BY = "validation/image_auroc"
THEN_BY = "validation/pixel_auroc"
RULE = f"higher {BETTER_BY}; of equals higher {THEN_BY}; of equals the quicker one"
# The second stands beside the first: the published idea in the smallest size, and the everyday default.
CONTENDERS = (("ddad", "tiny"), ("patchcore", None))
_BAD = (JobState.FAILED, JobState.CANCELLED)


@dataclass(frozen=True, kw_only=True)
class Contender:
    """One detector's two jobs."""

    train: Job
    evaluate: Job

    @property
    def detector(self) -> str:
        """Return which detector it is."""
        return self.train.spec.detector

    def metric(self, name: str) -> float:
        """Return a measure of the evaluation; one that is missing counts as the worst."""
        return result_of(self.evaluate).metrics.get(name, float("-inf"))

    @property
    def ms_per_image(self) -> float:
        """Return how long scoring an image takes; unknown counts as for ever."""
        took = self.evaluate.result.get("ms_per_image")
        return float(took) if isinstance(took, int | float) else float("inf")


def ask(client: Client, screws: Screws) -> list[Contender]:
    """Submit what was not yet asked for, and try again what has ended badly."""
    if screws.found.here:
        client.hold(screws.found.ref)
    return [_ask(client, screws, detector, preset) for detector, preset in CONTENDERS]


def again(client: Client, contenders: Sequence[Contender]) -> list[Contender]:
    """Return the contenders as they stand now."""
    return [
        Contender(train=client.job(each.train.id), evaluate=client.job(each.evaluate.id))
        for each in contenders
    ]


def better(contenders: Sequence[Contender]) -> Contender:
    """Return who did better, by RULE."""
    return max(
        contenders, key=lambda each: (each.metric(BETTER_BY), each.metric(THEN_BY), -each.ms_per_image)
    )


def words(contenders: Sequence[Contender], chosen: Contender) -> str:
    """Say who did better, and by how much."""
    others = max(each.metric(BETTER_BY) for each in contenders if each is not chosen)
    if others == (best := chosen.metric(BETTER_BY)):
        return f"{BETTER_BY} is {best:.3f} for both, so {chosen.detector}: {RULE}"
    return f"{chosen.detector} did better: {BETTER_BY} {best:.3f} against {others:.3f}"


def _ask(client: Client, screws: Screws, detector: str, preset: str | None) -> Contender:
    request = TrainRequest(
        detector=detector,
        dataset=screws.found.ref,
        preset=preset,
        holdout=HOLDOUT,
        scheduling=Scheduling(name="quickstart"),
    )
    # The key says what is computed, and by which adctl: the same is never computed twice, and a new version's
    # numbers are its own.
    spec = client.plan_train(request)[0].spec
    key = f"quickstart/{package_version()}/{spec.key}"
    keyed = replace(request, scheduling=replace(request.scheduling, key=key))
    train, evaluate = client.submit_train(keyed).jobs
    # In this order: what is trained again takes its evaluation along.
    return Contender(train=_living(client, train), evaluate=_living(client, evaluate))


def _living(client: Client, job: Job) -> Job:
    """Return a job, or the retry of one that failed or was cancelled, which goes on from its checkpoints."""
    while job.state in _BAD:
        job = client.retry(job.id).jobs[0]
    return job
