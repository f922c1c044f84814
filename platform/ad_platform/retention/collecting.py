"""Takes what nothing needs to the trash, brings it back, and removes what has lain there long enough.

What is decided by the store can change while files are moved. So the jobs that lose files are condemned
first: from then on the store refuses whatever would need them. What was written before that is seen by a
second look, which spares them; a third one, when all is moved, brings back what a running job may look for.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from ad_platform.results import result_of
from ad_platform.retention import trash
from ad_platform.retention.claiming import Hold, alone
from ad_platform.retention.contents import Contents, note_again
from ad_platform.retention.curves import keep_curves
from ad_platform.retention.facts import Facts, Rules, read
from ad_platform.retention.finding import wanted, with_files
from ad_platform.retention.graph import BAD
from ad_platform.retention.home import Loose, remove, unused
from ad_platform.retention.plan import Judged, Plan, judge_all, plan
from ad_platform.retention.trash import Entry
from ad_platform.retention.units import TRASH, UnitKind
from ad_platform.settings import Settings
from ad_platform.states import CollectedState
from ad_platform.storage.blobs import StoredFile
from ad_platform.storage.contract import Storage
from ad_platform.store.contract import Store

# By which it is asked what must not be removed for good: whoever threw it away may have had other rules.
STRICTEST = Rules(older_than=0.0, keep_last=0, grace=0.0, resumable=0.0)
_OF_NO_USE = (UnitKind.UNFINISHED, UnitKind.TEMPORARY)


@dataclass(frozen=True, kw_only=True)
class Outlook:
    """What a collection would do."""

    plan: Plan
    local: tuple[Loose, ...]  # files of this machine that would be removed
    expired: tuple[Entry, ...]  # of the trash, which would be removed for good
    trashed: int  # bytes that lie in the trash


@dataclass(frozen=True, kw_only=True)
class Collection:
    """What a collection did."""

    outlook: Outlook  # what it went by
    thrown: tuple[Entry, ...] = ()  # into the trash
    spared: tuple[str, ...] = ()  # places that were needed by the time their turn came
    purged: tuple[Entry, ...] = ()  # out of the trash, for good
    local: tuple[Loose, ...] = ()  # files of this machine that were removed


@dataclass(frozen=True, kw_only=True)
class Restored:
    """What came back."""

    entries: tuple[Entry, ...]
    stands: tuple[str, ...] = ()  # bundles in whose place a newer one lies, which stands


class Collector:
    """Collects for one store and one storage; several at once take turns."""

    def __init__(
        self,
        store: Store,
        storage: Storage,
        settings: Settings,
        monotonic: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._store, self._storage, self._settings = store, storage, settings
        self._monotonic, self._pause = monotonic, pause
        self._contents = Contents(storage)

    def look(self, rules: Rules) -> Outlook:
        """Say what a collection would do, and change nothing; raises StoreDown, StorageDown."""
        files = self._storage.survey()
        return self._outlook(files, read(self._store, self._contents), rules)

    def collect(self, rules: Rules) -> Collection:
        """Collect; raises Conflict while somebody else does, ClaimLost, StoreDown, StorageDown, DiskFull."""
        with alone(self._store.retention, self._settings.node, self._monotonic, self._pause) as (owner, hold):
            return _Run(self, owner, hold).collect(rules)

    def trash(self) -> list[Entry]:
        """Return what lies in the trash of this store, oldest first."""
        mine = self._store.retention.identity()
        found = trash.entries(self._storage, self._storage.survey(TRASH))
        return [entry for entry in found if entry.store == mine]

    def restore(self, texts: Sequence[str] = ()) -> Restored:
        """Bring back what these name (a job, a path, an entry), or all that lies in the trash.

        It is then kept for a while, whatever the rules say. Raises UnknownName, and as `collect`.
        """
        with alone(self._store.retention, self._settings.node, self._monotonic, self._pause) as (owner, hold):
            marks = self._store.retention.marks().values()
            begun = [mark.place for mark in marks if mark.state is CollectedState.CONDEMNED]
            entries = self.trash()
            found = wanted(entries, texts, begun)
            return _Run(self, owner, hold).restore([*found, *with_files(entries, found)])

    def empty(self) -> list[Entry]:
        """Remove for good all that lies in the trash and is not needed by now; raises as `collect`."""
        with alone(self._store.retention, self._settings.node, self._monotonic, self._pause) as (owner, hold):
            return _Run(self, owner, hold).empty()

    def _outlook(self, files: Sequence[StoredFile], facts: Facts, rules: Rules) -> Outlook:
        mine = self._store.retention.identity()
        thrown = [entry for entry in trash.entries(self._storage, files) if entry.store == mine]
        return Outlook(
            plan=plan(self._storage, files, facts, rules),
            local=tuple(unused(self._settings, facts, rules)),
            expired=tuple(entry for entry in thrown if facts.now - entry.at >= rules.trash),
            trashed=sum(entry.size for entry in thrown),
        )


class _Run:
    """One turn of whoever has the right to collect."""

    def __init__(self, collector: Collector, owner: str, hold: Hold) -> None:
        self._collector, self._owner, self._hold = collector, owner, hold
        self._store, self._storage = collector._store, collector._storage
        self._contents = collector._contents
        self._settings = collector._settings
        self._mine = self._store.retention.identity()

    def collect(self, rules: Rules) -> Collection:
        files = self._tidy()
        outlook = self._collector._outlook(files, read(self._store, self._contents), rules)
        thrown, spared = self._throw(outlook.plan, rules)
        back = self._take_back(thrown, rules) if thrown else []
        expired = self._purge(outlook.expired) if outlook.expired else []
        local = tuple(outlook.local)
        remove(local)
        return Collection(
            outlook=outlook,
            thrown=tuple(entry for entry in thrown if entry not in back),
            spared=tuple(sorted({*spared, *(entry.place for entry in back)})),
            purged=tuple(expired),
            local=local,
        )

    def restore(self, entries: Sequence[Entry]) -> Restored:
        # Nothing may come to need a job of which a part is back: should we die, it is in the trash again.
        self._settle({entry.place: CollectedState.CONDEMNED for entry in entries})
        self._tidy()
        left = {entry.name for entry in self._collector.trash()}  # of which a dead one had not brought back
        stands: list[str] = []
        for place in dict.fromkeys(entry.place for entry in entries):
            for entry in sorted(entries, key=lambda each: each.at, reverse=True):
                if entry.place == place and entry.name in left:
                    stands += trash.restore(self._storage, entry, self._hold)
            note_again(self._store, self._storage, place)
            self._settle({place: CollectedState.RESTORED})
        return Restored(entries=tuple(entries), stands=tuple(stands))

    def empty(self) -> list[Entry]:
        self._tidy()
        return self._purge(self._collector.trash())

    def _tidy(self) -> list[StoredFile]:
        """Finish what a dead one began, and return the files of a survey made after that."""
        files = self._storage.survey()
        there = {file.path: file for file in files}
        entries = [entry for entry in trash.entries(self._storage, files) if entry.store == self._mine]
        known = {entry.name for entry in entries}
        trash.clear_remains(self._storage, files, known, self._mine)
        for entry in entries:
            trash.finish(self._storage, entry, there, self._hold)
        files = self._storage.survey()
        self._correct_marks(trash.entries(self._storage, files))
        return files

    def _correct_marks(self, entries: Iterable[Entry]) -> None:
        """Let marks say what is so, where somebody died before saying it."""
        thrown: dict[str, set[str]] = defaultdict(set)  # what lies in the trash, by place
        for entry in entries:
            if entry.store == self._mine:
                thrown[entry.place] |= {each.prefix for each in entry.thrown}
        changed: dict[str, CollectedState | None] = {}
        for place, mark in self._store.retention.marks().items():
            if mark.state is CollectedState.CONDEMNED:
                changed[place] = CollectedState.TRASHED if self._is_away(place, thrown[place]) else None
            elif mark.state is CollectedState.TRASHED and not thrown[place]:
                changed[place] = CollectedState.PURGED
        self._settle(changed)

    def _is_away(self, place: str, thrown: set[str]) -> bool:
        """Say whether the trash has what others could ask of a job, and not only what is of no use."""
        head, _, job_id = place.partition("/")
        if head != "jobs" or not thrown:
            return bool(thrown)
        job = self._store.jobs.get(job_id)
        return job.state in BAD or result_of(job).bundle in thrown

    def _throw(self, first: Plan, rules: Rules) -> tuple[list[Entry], list[str]]:
        """Take what a plan takes, unless a second look says otherwise; return it, and what was spared."""
        taken = {each.unit.place for each in first.taken}
        lost = _losing(first)
        condemned = self._store.retention.condemn(self._owner, self._settings.user, lost)
        for fingerprint in _unneeded(first):  # one that a job needs by now is kept, and so seen next
            self._store.pushed.forget(fingerprint)
        second = judge_all((each.unit for each in first.judged), read(self._store, self._contents), rules)
        keep_curves(self._store, self._storage, second)
        by_place: dict[str, list[Judged]] = defaultdict(list)
        for each in second.taken:
            if each.unit.place in taken and (each.unit.job_id not in lost or each.unit.job_id in condemned):
                by_place[each.unit.place].append(each)
        done: list[Entry] = []
        for place, judged in sorted(by_place.items()):
            entry = self._thrown(place, judged, second.facts.now)
            if entry is not None:
                done.append(entry)
        moved = {entry.place for entry in done}
        for record in second.facts.stages:
            if f"stages/{record.key}" in moved:  # who needs it makes it again, and records it then
                self._store.audit.forget_stage(record.key, record.manifest_sha256)
        # One that was spared may have lost its checkpoints all the same, which nobody can ask for.
        away = {f"jobs/{job_id}" for job_id in _losing(second)} & moved
        places = (f"jobs/{job_id}" for job_id in condemned)
        self._settle({place: CollectedState.TRASHED if place in away else None for place in places})
        return done, sorted(taken - moved)

    def _thrown(self, place: str, judged: Sequence[Judged], now: float) -> Entry | None:
        """Move what is taken of one place; what somebody was writing is not worth keeping."""
        writing = [each for each in judged if each.unit.kind is UnitKind.TEMPORARY]
        if writing:
            self._hold()
            self._storage.delete([file.path for each in writing for file in each.unit.files])
        rest = [each for each in judged if each.unit.kind is not UnitKind.TEMPORARY]
        name, user = trash.new_name(self._mine, now), self._settings.user
        entry = trash.entry_of(rest, name=name, store=self._mine, place=place, at=now, user=user)
        if not rest:
            return entry
        return entry if trash.throw(self._storage, entry, self._hold) else None

    def _take_back(self, entries: Sequence[Entry], rules: Rules) -> list[Entry]:
        """Bring back what is needed by now."""
        return self._needed([entry for entry in entries if entry.thrown], rules)

    def _needed(self, entries: Sequence[Entry], rules: Rules) -> list[Entry]:
        """Restore those of which something is needed now, and return them."""
        facts = read(self._store, self._contents)
        units = {entry.name: trash.units(entry) for entry in entries}
        old = replace(rules, grace=0.0)  # they were old enough when they were taken
        judged = judge_all((unit for each in units.values() for unit in each), facts, old)
        needed = {each.unit.prefix for each in judged.kept}
        back = [entry for entry in entries if any(unit.prefix in needed for unit in units[entry.name])]
        for entry in back:
            trash.restore(self._storage, entry, self._hold)
            note_again(self._store, self._storage, entry.place)
        self._settle({entry.place: None for entry in back})
        return back

    def _purge(self, entries: Sequence[Entry]) -> list[Entry]:
        """Remove entries for good, but for those that something needs by now: these come back."""
        back = self._needed(entries, STRICTEST)
        gone = [entry for entry in entries if entry not in back]
        for entry in gone:
            trash.drop(self._storage, entry, self._hold)
        marks = self._store.retention.marks()
        left = {entry.place for entry in self._collector.trash()}
        over = {entry.place for entry in gone if _is_trashed(marks, entry.place)} - left
        self._settle(dict.fromkeys(sorted(over), CollectedState.PURGED))
        return gone

    def _settle(self, marks: Mapping[str, CollectedState | None]) -> None:
        if marks:
            self._store.retention.settle(self._owner, self._settings.user, marks)


def _losing(plan: Plan) -> frozenset[str]:
    """Return the jobs that lose what others could ask for: a source its model, a retry checkpoints."""
    found = set()
    for each in plan.taken:
        job = plan.facts.jobs.get(each.unit.job_id or "")
        if job is None or each.unit.kind in _OF_NO_USE:
            continue
        if job.id not in plan.reached.jobs or job.state in BAD:
            found.add(job.id)
    return frozenset(found)


def _unneeded(plan: Plan) -> list[str]:
    """Return the pushed pictures that nothing needs, by fingerprint: of categories, and of predictions."""
    sets = [each.unit.place.rpartition("/")[2] for each in plan.taken if each.unit.kind is UnitKind.PICTURES]
    needed = plan.reached.pictures
    notes = plan.facts.pushed
    return [*sets, *(one.fingerprint for one in notes if not one.dataset and one.fingerprint not in needed)]


def _is_trashed(marks: Mapping[str, object], place: str) -> bool:
    mark = marks.get(place)
    return mark is not None and getattr(mark, "state", None) is CollectedState.TRASHED
