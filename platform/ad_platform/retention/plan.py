"""What a collection would take and what it would leave, each with the reason."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

from ad_platform.retention.facts import DAY, Facts, Rules
from ad_platform.retention.graph import Extent, Hold, Reached, reach, retries_of
from ad_platform.retention.units import Unit, UnitKind, split, units_of, versions
from ad_platform.states import JobState
from ad_platform.storage.blobs import StoredFile
from ad_platform.storage.contract import Storage
from ad_platform.store.retention_contract import JobFacts


@dataclass(frozen=True, kw_only=True)
class Judged:
    """Something in the storage, and what becomes of it."""

    unit: Unit
    kept: bool
    because: tuple[str, ...]  # the reason, and of a kept one the reason of that, and so on


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All that lies in the storage, judged."""

    judged: tuple[Judged, ...]
    facts: Facts
    reached: Reached

    @property
    def taken(self) -> list[Judged]:
        """Return what would be taken."""
        return [each for each in self.judged if not each.kept]

    @property
    def kept(self) -> list[Judged]:
        """Return what would stay."""
        return [each for each in self.judged if each.kept]


def plan(storage: Storage, files: Iterable[StoredFile], facts: Facts, rules: Rules) -> Plan:
    """Judge what a survey found; raise StorageDown."""
    units = [each for unit in units_of(files) for each in _parted(storage, unit)]
    return judge_all(units, facts, rules)


def judge_all(units: Iterable[Unit], facts: Facts, rules: Rules) -> Plan:
    """Judge units."""
    listed = list(units)
    judge = Judge(facts, rules, reach(facts, rules), listed)
    return Plan(judged=tuple(map(judge, listed)), facts=facts, reached=judge.reached)


def _parted(storage: Storage, unit: Unit) -> list[Unit]:
    """Return a bundle apart from what a writer that died has left in it."""
    if unit.manifest is None or len(versions(unit)) < 2:
        return [unit]
    content = storage.read(unit.manifest)
    try:
        named = json.loads(content or b"")["folder"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return [unit]  # one that cannot be read stays as it is
    return list(split(unit, named)) if named in versions(unit) else [unit]


class Judge:
    """Says of each unit whether it stays."""

    def __init__(self, facts: Facts, rules: Rules, reached: Reached, units: Iterable[Unit]) -> None:
        self.facts, self.rules, self.reached = facts, rules, reached
        strange = (unit.job_id for unit in units if unit.job_id and unit.job_id not in facts.jobs)
        self.strange = next(strange, None)  # a job of another store that uses this storage too
        self.recorded = {record.key for record in facts.stages}
        self.sets = {unit.prefix: unit for unit in units if unit.kind is UnitKind.PICTURES}
        self.pictures = self._pictures()  # files of sets that stay, and why
        self.retries = retries_of(facts.jobs.values())

    def __call__(self, unit: Unit) -> Judged:
        """Judge one unit."""
        found = self._hold(unit)
        if found is not None:
            return Judged(unit=unit, kept=True, because=tuple(self.reached.chain(found)))
        return Judged(unit=unit, kept=False, because=(self._why_not(unit),))

    def _hold(self, unit: Unit) -> Hold | None:
        """Return what holds a unit."""
        if self.facts.now - unit.modified < self.rules.grace:
            return _kept(f"it was written less than {_span(self.rules.grace)} ago")
        if unit.job_id is not None:
            return self._of_job(unit, unit.job_id)
        match unit.kind:
            case UnitKind.TEMPORARY:
                return None
            case UnitKind.OTHER:
                return _kept("adctl does not know what it is")
        if restored := self.reached.places.get(unit.place):
            return restored
        return self._of_nobody(unit)

    def _pictures(self) -> dict[str, Hold]:
        found: dict[str, Hold] = {}
        for mark, files in self.facts.contents.items():
            unit = self.sets.get(f"data/sets/{mark}.json")
            hold = self._of_set(mark) if unit is None else self._hold(unit)
            if hold is not None:
                for path in files if files is not None else ("",):  # "" stands for any: a broken list
                    found.setdefault(path, hold)
        return found

    def _of_set(self, fingerprint: str) -> Hold | None:
        """Return what holds a pushed set."""
        if found := self.reached.pictures.get(fingerprint):
            return found
        if fingerprint in self.facts.foreign:
            return _kept("it was pushed by somebody with another store")
        return self._strange()

    def _of_job(self, unit: Unit, job_id: str) -> Hold | None:
        job, found = self.facts.jobs.get(job_id), self.reached.jobs.get(job_id)
        if job is None:
            return _kept(f"this store knows no job {job_id}: another one uses this storage too")
        if unit.kind is UnitKind.OTHER:
            return _kept("adctl does not know what it is")
        if found is None:
            return None
        match unit.kind:
            case UnitKind.CHECKPOINT | UnitKind.UNFINISHED | UnitKind.TEMPORARY:
                needed = Extent.ALL
            case UnitKind.METRICS | UnitKind.CURVE:
                needed = Extent.CURVE
            case UnitKind.MODEL | UnitKind.RESULTS if unit.prefix != job.bundle:
                needed = Extent.ALL
            case _:
                needed = Extent.WORK
        return found if found.extent >= needed else None

    def _of_nobody(self, unit: Unit) -> Hold | None:
        name = unit.place.partition("/")[2]
        if unit.place.startswith("stages/"):
            if found := self.reached.stages.get(name):
                return found
            return self._strange() or (self.reached.busy if name not in self.recorded else None)
        if unit.kind is UnitKind.PICTURES:
            return self._of_set(name.rpartition("/")[2])
        if unit.kind is UnitKind.PICTURE:
            return self.pictures.get(unit.prefix) or self.pictures.get("") or self._strange()
        if unit.place.startswith("listings/"):
            return self.reached.listings.get(name) or self._strange()
        tables = self.reached.benchmarks
        return tables.get(unit.prefix) or tables.get(unit.place) or self._strange()

    def _strange(self) -> Hold | None:
        """Return why what belongs to no job stays where several stores use one storage."""
        if self.strange is None:
            return None
        return _kept(f"another store may need it: this one knows no job {self.strange}")

    def _why_not(self, unit: Unit) -> str:
        """Return why nothing needs a unit."""
        match unit.kind:
            case UnitKind.TEMPORARY:
                return "whoever was writing it never came to its end"
            case UnitKind.UNFINISHED:
                return "no manifest names it: whoever was writing it died"
            case UnitKind.PICTURES:
                return "no job needs these pictures, and they were pushed long ago or dropped"
            case UnitKind.PICTURE:
                return "no pushed set that is needed has it"
        job = self.facts.jobs.get(unit.job_id or "")
        if job is None:
            return "nothing refers to it"
        if unit.kind is UnitKind.CHECKPOINT:
            return self._why_no_checkpoint(job)
        if unit.kind in (UnitKind.MODEL, UnitKind.RESULTS) and job.id in self.reached.jobs:
            return f"job {job.id} does not name it as what it made"
        return f"job {job.id} {job.state} {self._ended(job)}, and nothing needs it"

    def _why_no_checkpoint(self, job: JobFacts) -> str:
        if job.state is JobState.SUCCEEDED:
            return f"job {job.id} succeeded, so nothing goes on from it"
        if job.id in self.retries:
            return f"job {job.id} was retried as job {self.retries[job.id]}, which has ended"
        return f"job {job.id} {job.state} {self._ended(job)} and was not retried"

    def _ended(self, job: JobFacts) -> str:
        return f"{_span(self.facts.now - (job.finished_at or self.facts.now))} ago"


def _kept(because: str) -> Hold:
    return Hold(extent=Extent.ALL, because=because)


def _span(seconds: float) -> str:
    for unit, size in (("d", DAY), ("h", 3600.0), ("m", 60.0)):
        if seconds >= size:
            return f"{seconds / size:.0f}{unit}"
    return f"{max(0.0, seconds):.0f}s"
