"""By what it is decided what is needed: the store's own words, read once, and a person's rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ad_platform.records import Benchmark, Champion, PushedData, StageRecord, Study
from ad_platform.retention.contents import Contents
from ad_platform.store.contract import Store
from ad_platform.store.retention_contract import JobFacts, Mark

DAY = 86400.0
_ALL = 1_000_000  # studies, and benchmarks: no store has as many


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What a person decides; every time is in seconds."""

    older_than: float | None = None  # since a job ended; None keeps the work of every ended job
    keep_last: int = 1  # trainings of each detector and category that stay however old they are
    grace: float = DAY  # whatever was written since is left alone
    resumable: float = 30 * DAY  # for which a failed or cancelled job can be gone on with
    trash: float = 7 * DAY  # after which what lies in the trash is removed


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What the store knows."""

    now: float  # by the store's clock
    jobs: Mapping[str, JobFacts]  # by id, the oldest first
    champions: Sequence[Champion] = ()  # every decision, newest first
    studies: Sequence[Study] = ()
    benchmarks: Sequence[Benchmark] = ()
    stages: Sequence[StageRecord] = ()
    untold: frozenset[str] = frozenset()  # ended jobs that the tracking server has not heard all of
    marks: Mapping[str, Mark] = field(default_factory=dict)
    pushed: Sequence[PushedData] = ()
    contents: Mapping[str, frozenset[str] | None] = field(default_factory=dict)  # files, by fingerprint
    foreign: frozenset[str] = frozenset()  # sets that were pushed by who uses another store


def read(store: Store, contents: Contents) -> Facts:
    """Read the facts; whatever was written before this is called is among them. Raises StorageDown."""
    retention = store.retention
    pushed = store.pushed.all()
    named = contents.of(pushed)
    mine = retention.identity()
    return Facts(
        now=store.now(),
        jobs=retention.jobs(),
        champions=store.champions.history(),
        studies=store.studies.search(limit=_ALL),
        benchmarks=store.benchmarks.search(limit=_ALL),
        stages=retention.stages(),
        untold=retention.untold(),
        marks=retention.marks(),
        pushed=pushed,
        contents=named,
        foreign=frozenset(mark for mark in named if contents.stores.get(mark, mine) != mine),
    )
