"""Benchmarks in a SQL database: submitted whole, and put together by one process at a time."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from sqlalchemy import Row, exists, or_, select, update

from ad_platform.records import Benchmark, Job
from ad_platform.specs import Json, Submission
from ad_platform.store import benchmark_contract, claims
from ad_platform.store.collected import refuse
from ad_platform.store.database import Database, Transaction
from ad_platform.store.submissions import NewId, submit_all
from ad_platform.store.tables import benchmarks, jobs

_NAMES = [field.name for field in fields(Benchmark)]


class SqlBenchmarks(benchmark_contract.Benchmarks):
    """Benchmarks in a SQL database."""

    def __init__(self, database: Database, new_id: NewId) -> None:
        self._db, self._new_id = database, new_id

    def create(self, benchmark: Benchmark, submissions: Sequence[Submission]) -> tuple[Benchmark, list[Job]]:
        """Remember a benchmark together with all of its jobs, and return both."""
        return self._db.write(lambda tx: _create(tx, benchmark, submissions, self._new_id))

    def get(self, name: str) -> Benchmark:
        """Return a benchmark by name, id or the beginning of its id."""
        return self._db.read(lambda tx: _benchmark(claims.find(tx, benchmarks, name, "benchmark")))

    def of_key(self, key: str) -> Benchmark | None:
        """Return the benchmark that was submitted under a key, if there is one."""
        row = self._db.read(lambda tx: tx.first(select(benchmarks).where(benchmarks.c.key == key)))
        return None if row is None else _benchmark(row)

    def search(self, limit: int = 100) -> list[Benchmark]:
        """Return benchmarks, newest first."""
        found = select(benchmarks).order_by(benchmarks.c.created_at.desc(), benchmarks.c.name).limit(limit)
        return self._db.read(lambda tx: [_benchmark(row) for row in tx.rows(found)])

    def to_follow(self) -> list[Benchmark]:
        """Return those whose results are not put together, or of which a job was submitted since."""
        later = exists().where(jobs.c.group == benchmarks.c.name, jobs.c.seq > benchmarks.c.seen_seq)
        found = select(benchmarks).where(or_(benchmarks.c.finished_at.is_(None), later))
        ordered = found.order_by(benchmarks.c.created_at)
        return self._db.read(lambda tx: [_benchmark(row) for row in tx.rows(ordered)])

    def claim(self, benchmark_id: str, owner: str, seconds: float) -> bool:
        """Take the right to put a benchmark's results together for a while."""
        return self._db.write(lambda tx: claims.claim(tx, benchmarks, benchmark_id, owner, seconds))

    def release(self, benchmark_id: str, owner: str) -> None:
        """Give that right back, if still held."""
        self._db.write(lambda tx: claims.release(tx, benchmarks, benchmark_id, owner))

    def summarise(
        self, benchmark_id: str, owner: str, summary: Mapping[str, Json], seen_seq: int | None = None
    ) -> Benchmark:
        """Keep what a benchmark has come to; with `seen_seq` its results are complete."""
        return self._db.write(lambda tx: _summarise(tx, benchmark_id, owner, summary, seen_seq))

    def unshipped(self) -> list[Benchmark]:
        """Return the benchmarks that the tracking server has not been told everything about."""
        found = select(benchmarks).where(benchmarks.c.version > benchmarks.c.shipped_version)
        ordered = found.order_by(benchmarks.c.created_at)
        return self._db.read(lambda tx: [_benchmark(row) for row in tx.rows(ordered)])

    def shipped(self, benchmark: Benchmark, run_id: str) -> None:
        """Note that the tracking server knows a benchmark up to its version, and by which run."""
        older = (benchmarks.c.id == benchmark.id, benchmarks.c.shipped_version <= benchmark.version)
        known = update(benchmarks).where(*older)
        self._db.write(lambda tx: tx.run(known.values(run_id=run_id, shipped_version=benchmark.version)))


def _create(
    tx: Transaction, benchmark: Benchmark, submissions: Sequence[Submission], new_id: NewId
) -> tuple[Benchmark, list[Job]]:
    fresh = tx.insert(benchmarks).values(
        id=benchmark.id,
        name=benchmark.name,
        key=benchmark.key,
        spec=dict(benchmark.spec),
        user=benchmark.user,
        created_at=tx.now,
        seen_seq=0,
        owned_until=0.0,
        summary=dict(benchmark.summary),
        version=1,
        shipped_version=0,
    )
    tx.run(fresh.on_conflict_do_nothing())
    known = None
    if benchmark.key is not None:
        known = tx.first(select(benchmarks).where(benchmarks.c.key == benchmark.key))
    if known is None:
        known = tx.rows(select(benchmarks).where(benchmarks.c.name == benchmark.name))[0]
    kept = _benchmark(known)
    if kept.id != benchmark.id:
        return kept, []
    refuse(tx, _taken(benchmark.spec))
    return kept, submit_all(tx, submissions, new_id) if submissions else []


def _taken(spec: Mapping[str, Json]) -> list[str]:
    """Return the evaluations that were there before, which stand for cells."""
    cells = spec.get("cells")
    listed = [cell for cell in cells if isinstance(cell, dict)] if isinstance(cells, list) else []
    return [taken for cell in listed if isinstance(taken := cell.get("taken"), str)]


def _summarise(
    tx: Transaction, benchmark_id: str, owner: str, summary: Mapping[str, Json], seen_seq: int | None
) -> Benchmark:
    claims.hold(tx, benchmarks, benchmark_id, owner, "benchmark")
    this = select(benchmarks).where(benchmarks.c.id == benchmark_id)
    row = tx.rows(this)[0]
    ended = row.finished_at is not None
    if dict(summary) == dict(row.summary) and ended == (seen_seq is not None):
        if ended and seen_seq != row.seen_seq:  # the newer job has changed nothing that is shown
            tx.run(update(benchmarks).where(benchmarks.c.id == benchmark_id).values(seen_seq=seen_seq))
        return _benchmark(row)
    changed = update(benchmarks).where(benchmarks.c.id == benchmark_id)
    tx.run(
        changed.values(
            summary=dict(summary),
            finished_at=None if seen_seq is None else tx.now,
            seen_seq=row.seen_seq if seen_seq is None else seen_seq,
            version=benchmarks.c.version + 1,
        )
    )
    return _benchmark(tx.rows(this)[0])


def _benchmark(row: Row[Any]) -> Benchmark:
    return Benchmark(**{name: row._mapping[name] for name in _NAMES})
