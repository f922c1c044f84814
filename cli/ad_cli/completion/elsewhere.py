"""Names out of a store that is no file of this machine: asked through the client, for a second at most."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TypeVar

from ad_platform.client import Client
from ad_platform.settings import Settings
from ad_platform.specs import Json
from ad_platform.states import JobKind
from ad_platform.store.glance import NEWEST, Glance, Named

SECONDS = 1.0  # that a person who pressed a key is made to wait
T = TypeVar("T")


class TooLate(Exception):
    """The store did not answer in time."""


class Elsewhere(Glance):
    """The same names, from wherever the store is."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(Path())
        self._settings = settings

    def jobs(self, start: str = "") -> list[Named]:
        """Return the ids of the newest jobs; trials, which are many, only where a text was given."""
        found = self._ask(lambda client: client.store.jobs.search(limit=NEWEST))
        return [
            Named(job.id, f"{job.kind} {job.spec.detector} {job.state} {job.name}".rstrip())
            for job in found or ()
            if start or job.kind is not JobKind.TRIAL
        ]

    def sweeps(self) -> list[Named]:
        """Return the names of the newest sweeps."""
        found = self._ask(lambda client: client.store.studies.search(limit=NEWEST))
        return [Named(one.name, f"sweep {one.state}, {one.wanted} trials") for one in found or ()]

    def benchmarks(self) -> list[Named]:
        """Return the names of the newest benchmarks."""
        found = self._ask(lambda client: client.store.benchmarks.search(limit=NEWEST))
        return [
            Named(one.name, f"benchmark {'at work' if one.finished_at is None else 'ended'}")
            for one in found or ()
        ]

    def detector_of(self, start: str) -> str:
        """Return the detector of a job."""
        return self._ask(lambda client: client.store.jobs.find(start or "@last").spec.detector) or ""

    def categories(self) -> list[tuple[str, str]]:
        """Return the datasets and categories that lie on some node."""
        found = self._ask(lambda client: client.store.workers.holdings())
        return [(one.dataset, one.category) for one in found or ()]

    def workers(self) -> list[Named]:
        """Return the workers that are not gone."""
        found = self._ask(lambda client: client.store.workers.roster())
        return [Named(one.id, f"{one.state} on {one.node}") for one in found or () if one.state != "gone"]

    def queues(self) -> list[str]:
        """Return the queue labels that workers serve."""
        found = self._ask(lambda client: client.store.workers.roster())
        return sorted({"default", *(label for one in found or () for label in one.queues)})

    def users(self) -> list[str]:
        """Return who has submitted the newest jobs."""
        found = self._ask(lambda client: client.store.jobs.search(limit=NEWEST))
        return sorted({job.user for job in found or ()})

    def models(self) -> list[Named]:
        """Return what carries an alias, as model@alias."""
        found = self._ask(lambda client: client.store.champions.history())
        newest: dict[str, str] = {}
        for one in found or ():
            newest.setdefault(f"{one.model}@{one.alias}", f"job {one.job_id}")
        return [Named(name, words) for name, words in sorted(newest.items())]

    def catalogue(self) -> dict[str, Json]:
        """Return what workers have published of their detectors."""
        return dict(self._ask(lambda client: client.store.workers.catalogue()) or {})

    def _ask(self, question: Callable[[Client], T]) -> T | None:
        with _at_most(SECONDS), Client(self._settings) as client:
            return question(client)


@contextmanager
def _at_most(seconds: float) -> Iterator[None]:
    """Raise TooLate in what takes longer; where there are no such alarms (Windows), wait for it."""
    if not hasattr(signal, "setitimer"):
        yield
        return

    def late(number: int, frame: FrameType | None) -> None:
        raise TooLate

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
