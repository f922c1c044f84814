"""How long a benchmark takes: before it is submitted by past runs, and then by how fast its cells end."""

from dataclasses import dataclass

from ad_platform.benchmarks.steering import BenchmarkPlan
from ad_platform.benchmarks.viewing import BenchmarkView
from ad_platform.history import Estimate, estimate
from ad_platform.planning import evaluation_spec
from ad_platform.specs import JobSpec
from ad_platform.store.contract import Store

NEWEST = 50  # cells that tell how fast they end


@dataclass(frozen=True, kw_only=True)
class Outlook:
    """What past runs say of the cells that have to be computed."""

    seconds: float  # of all of them, one after the other, as far as past runs tell
    cells: int  # that this is known of
    of: int  # that have to be computed
    slots: int  # that could compute them at the same time

    @property
    def left(self) -> float | None:
        """Return how long all take with these slots, unknown ones like the others; None if none is known."""
        if not self.cells:
            return None
        return self.seconds * self.of / self.cells / max(1, self.slots)


def outlook(store: Store, plan: BenchmarkPlan, images: dict[str, tuple[int | None, int | None]]) -> Outlook:
    """Return how long a plan takes; `images` are how many a category has to train and to test on."""
    known: dict[tuple[str, str], float | None] = {}
    for one in plan.missing:
        place = (one.model, one.category)
        if place not in known:
            known[place] = _seconds(store, one.spec, *images.get(one.category, (None, None)))
    every = [known[one.model, one.category] for one in plan.missing]
    told = [seconds for seconds in every if seconds is not None]
    return Outlook(seconds=sum(told), cells=len(told), of=len(every), slots=_slots(store, plan))


def seconds_left(view: BenchmarkView, now: float) -> float | None:
    """Return how long the open cells will take, by how fast others ended; None where nothing tells."""
    if not view.open:
        return None
    own = [cell.evaluation for cell in view.cells if cell.done and not cell.taken]
    ended = sorted(job.finished_at for job in own if job is not None and job.finished_at is not None)
    ended = ended[-NEWEST:]
    if len(ended) < 2:
        return None
    pace = (ended[-1] - ended[0]) / (len(ended) - 1)
    return max(0.0, view.open * pace - min(max(0.0, now - ended[-1]), pace))


def _seconds(store: Store, spec: JobSpec, train: int | None, test: int | None) -> float | None:
    """Return how long a cell takes; None unless both of its jobs have a past."""
    parts: list[Estimate | None] = [
        estimate(store, spec, train),
        estimate(store, evaluation_spec(spec, spec.dataset, ""), test),
    ]
    known = [part.seconds for part in parts if part is not None]
    return sum(known) if len(known) == len(parts) else None


def _slots(store: Store, plan: BenchmarkPlan) -> int:
    detectors = {one.detector for one in plan.spec.models}
    return sum(
        worker.slots
        for worker in store.workers.roster()
        if worker.state == "online"
        and plan.spec.scheduling.queue in worker.queues
        and detectors & set(worker.detectors)
    )
