"""Which workers could do a job at all: the conditions of a lease, and what is missing where none holds."""

from collections.abc import Collection, Sequence

from ad_platform.offers import UNTOLD, ever, has_room, left_by
from ad_platform.records import Capabilities, Job, WorkerRecord
from ad_platform.why.causes import Cause, Kind
from ad_platform.why.situation import Situation
from ad_platform.why.telling import ago, listed


def lacks(job: Job, can: Capabilities, nodes: Collection[str]) -> frozenset[Kind]:
    """Return what a worker lacks for a job, by the conditions of a lease; nothing if it could do it.

    `nodes` are those that hold the job's images.
    """
    conditions = {
        Kind.NO_QUEUE: job.queue in can.queues,
        Kind.NO_DETECTOR: job.spec.detector in can.detectors and job.kind in can.kinds,
        Kind.TOO_NEW: job.id not in can.left,
        Kind.TOO_BIG: has_room(job, can),
        Kind.NO_DATA: can.node in nodes,
    }
    return frozenset(kind for kind, met in conditions.items() if not met)


def fitting(job: Job, situation: Situation, nodes: Collection[str]) -> list[WorkerRecord]:
    """Return the online workers that could do a job."""
    return [worker for worker in situation.online if not lacks(job, ever(worker), nodes)]


def missing(job: Job, situation: Situation, nodes: Collection[str], what: str = "the job") -> Cause | None:
    """Say what no online worker has that a job needs, and what to do; None if one could do it."""
    workers: Sequence[WorkerRecord] = situation.online
    if not workers:
        known = situation.roster
        if known and not any(has_room(job, ever(worker)) for worker in known):
            return _too_big(job, known, nodes, "all workers that were ever here")
        return _nobody(situation, what)
    for kind in (Kind.NO_QUEUE, Kind.NO_DETECTOR, Kind.TOO_NEW, Kind.TOO_BIG, Kind.NO_DATA):
        able = [worker for worker in workers if kind not in lacks(job, ever(worker), nodes)]
        if not able:
            return _CAUSES[kind](job, workers, nodes)
        workers = able
    return None


def _nobody(situation: Situation, what: str) -> Cause:
    leaving = [worker.id for worker in situation.roster if worker.state == "draining"]
    last = max(situation.roster, key=lambda worker: worker.seen_at, default=None)
    words = ""
    if leaving:
        words = f" ({listed(leaving)} {'is' if len(leaving) == 1 else 'are'} told to leave)"
    elif last is not None:
        words = f" ({last.id} was last heard of {ago(last.seen_at, situation.now)})"
    return Cause(
        kind=Kind.NO_WORKER,
        words=f"no worker is online{words}, so {what} waits",
        advice="start one with: adctl worker start (or adctl up)",
    )


def _no_queue(job: Job, workers: Sequence[WorkerRecord], nodes: Collection[str]) -> Cause:
    served = sorted({queue for worker in workers for queue in worker.queues})
    return Cause(
        kind=Kind.NO_QUEUE,
        words=f"no online worker serves the queue '{job.queue}' (they serve {listed(served)})",
        advice=f"start one with: adctl worker start --queues {job.queue}",
    )


def _no_detector(job: Job, workers: Sequence[WorkerRecord], nodes: Collection[str]) -> Cause:
    return Cause(
        kind=Kind.NO_DETECTOR,
        words=f"no online worker of the queue '{job.queue}' has the detector '{job.spec.detector}'",
        advice="install it where a worker runs and restart it: adctl worker start",
    )


def _too_new(job: Job, workers: Sequence[WorkerRecord], nodes: Collection[str]) -> Cause:
    version = job.code.get("version")
    by = f"adctl {version} has asked for it" if version else "a newer adctl has asked for it"
    told = "; ".join(
        f"{worker.id} runs adctl {worker.facts.get('adctl') or 'unknown'}, {left_by(worker)[job.id]}"
        for worker in workers[:2]
    )
    return Cause(
        kind=Kind.TOO_NEW,
        words=f"{by}, and no online worker understands it ({told})",
        advice="upgrade adctl where a worker runs and restart it: it goes on with what it has first",
    )


def _too_big(
    job: Job, workers: Sequence[WorkerRecord], nodes: Collection[str], whose: str = "the fitting workers"
) -> Cause:
    offers = [ever(worker) for worker in workers]
    names = listed([worker.id for worker in workers])
    cards = max(len(can.cards) for can in offers)
    if job.gpus > cards:
        what = "a GPU" if job.gpus == 1 else f"{job.gpus} GPUs of one worker"
        return Cause(
            kind=Kind.TOO_BIG,
            words=f"it asks for {what}, and {whose} ({names}) have {f'{cards} at most' if cards else 'none'}",
            advice="start one where there is a card, or submit the job again with --device cpu"
            if job.gpus == 1
            else "start one where there are as many, or submit the job again with fewer --gpus",
        )
    count = max(job.gpus, 1)
    each = [sorted(room.mb for room in can.cards)[-count] for can in offers if len(can.cards) >= count]
    machine = [can.memory_mb for can in offers if not can.cards or job.spec.cpu_only]
    most = max([*([] if job.spec.cpu_only else each), *([] if job.gpus else machine)], default=0)
    has = "less" if most >= UNTOLD else f"{most} MB at most"
    of_what = (
        "memory" if not job.gpus else "memory of a GPU" if count == 1 else f"memory of each of {count} GPUs"
    )
    source = f" ({job.memory_from})" if job.memory_from else ""
    return Cause(
        kind=Kind.TOO_BIG,
        words=f"it asks for {job.memory_mb} MB of {of_what}{source}, and {whose} ({names}) have {has}",
        advice="start one on a bigger machine, or submit the job again asking for less: --memory",
    )


def _no_data(job: Job, workers: Sequence[WorkerRecord], nodes: Collection[str]) -> Cause:
    data = job.spec.dataset
    images = f"of {data.dataset}/{data.category}" if job.spec.pictures is None else f"in {data.path}"
    advice = f"push them where they lie, for all workers: adctl data push {data.path or 'DIR'}"
    if job.spec.pictures is not None:
        advice = "submit again with --push, or with --shared if every node has that folder"
    here = listed(sorted({worker.node for worker in workers}))
    there = f"they lie on {listed(sorted(nodes))}" if nodes else "no node has reported them"
    return Cause(
        kind=Kind.NO_DATA,
        words=f"the images {images} are not on a node with a fitting worker ({here}), {there}",
        advice=advice,
    )


_CAUSES = {
    Kind.NO_QUEUE: _no_queue,
    Kind.NO_DETECTOR: _no_detector,
    Kind.TOO_NEW: _too_new,
    Kind.TOO_BIG: _too_big,
    Kind.NO_DATA: _no_data,
}
