"""Compares what lies in the broker with the jobs that are queued and the workers that live."""

from collections.abc import Iterator
from functools import partial

from ad_platform.doctor.findings import Finding, Level, Mending, ok
from ad_platform.doctor.ground import Ground
from ad_platform.errors import BrokerDown
from ad_platform.stack.places import Places
from ad_platform.stack.services import embeds_broker

ABOUT = "broker"


def rings(ground: Ground) -> Iterator[Finding]:
    """Name wake-ups for no job, and queues of workers that are gone."""
    store, settings = ground.store, ground.settings
    if store is None or (embeds_broker(settings) and not Places(settings).broker.exists()):
        return
    from ad_platform.queue.celery import CeleryQueue
    from ad_platform.queue.leftovers import own_queues

    roster = store.workers.roster(silence=1e12)
    labels = sorted({"default", *(label for worker in roster for label in worker.queues)})
    try:
        depths = CeleryQueue(settings.broker_url).depths(labels)
        own = own_queues(settings.broker_url)
    except BrokerDown:  # another look says so
        return
    queued = {load.name for load in store.queues.loads() if load.queued}
    for label in labels:
        if depths[label] and label not in queued:
            count = depths[label]
            yield ok(
                ABOUT, f"{count} wake-ups lie in queue {label} for no job: a worker takes them for hints"
            )
    here = {worker.id for worker in roster if worker.state != "gone"}
    for worker in sorted(set(own) - here)[: ground.most]:
        yield Finding(
            level=Level.WARNING,
            about=ABOUT,
            kind="dead-queue",
            subject=worker,
            words=f"the queue of worker {worker}, which is gone, is still there with {own[worker]} wake-ups",
            mending=Mending(words="removes it", do=partial(_remove, ground, worker)),
        )


def _remove(ground: Ground, worker: str) -> str:
    from ad_platform.queue.leftovers import remove_own_queue

    store = ground.store
    present = store is not None and any(
        one.id == worker and one.state != "gone" for one in store.workers.roster(silence=1e12)
    )
    if present:
        return "its worker came back"
    remove_own_queue(ground.settings.broker_url, worker)
    return "was removed"
