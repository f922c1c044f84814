"""Leases by 1 to 32 processes at the same time, beside the million jobs that have ended, and beside peers."""

import sys
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing

from parts import lease_race
from parts.full_store import Full
from parts.lease_race import QUEUE, Lap, Runner, submissions
from sqlalchemy import func, select, update

from ad_platform.states import AttemptOutcome, JobState
from ad_platform.store.engine import backend_of, open_store
from ad_platform.store.tables import attempts, is_state, jobs

KEPT_SHARE = 0.5  # of one worker's leases a second that many together must still make


PEER_RATE = 4000  # jobs a second that the peer may give out


def rows(
    full: Full, workers: Sequence[int], seconds: float, queued: int
) -> tuple[list[list[str]], list[str]]:
    """Return a row for each number of workers and way to lease, and words on whether many collide."""
    ways: list[tuple[str, Callable[[int], Runner]]] = [
        ("lease", lease_race.runner_of(full.url, whole=False)),
        ("lease, renew, finish", lease_race.runner_of(full.url, whole=True)),
    ]
    if full.name == "PostgreSQL":
        ways.append(
            ("lease without SKIP LOCKED", lease_race.runner_of(full.url, whole=False, skip_locked=False))
        )
    with closing(open_store(full.url)) as store:
        lease_race.hold_data(store)
    found, words, best = [], [], {}
    for what, runner in ways:
        laps = [_lap(full, runner, count, seconds, queued) for count in workers]
        found += _rows(what, full.name, laps)
        words.append(_verdict(what, laps))
        best[what] = laps[-1].rate
    if full.name == "PostgreSQL":
        least = best["lease"] / best["lease without SKIP LOCKED"]
        words.append(
            f"{workers[-1]} workers: {least:.2f} times the leases of the statement without SKIP LOCKED."
        )
        peers, more = _peer(full, workers, seconds, queued, best)
        return found + peers, [*words, *more]
    return found, words


def _lap(full: Full, runner: Callable[[int], Runner], workers: int, seconds: float, queued: int) -> Lap:
    print(f"{full.name}: {workers} workers", file=sys.stderr, flush=True)
    _queue_up(full.url, queued)
    lap = lease_race.race(runner, workers, seconds)
    _settle(full.url)
    return lap


def _queue_up(url: str, queued: int) -> None:
    """Submit until so many jobs wait to be leased."""
    engine = backend_of(url).engine()
    waiting = select(func.count()).where(is_state(JobState.QUEUED), jobs.c.queue == QUEUE)
    with engine.connect() as connection:
        lack = queued - int(connection.execute(waiting).scalar_one())
        newest = int(connection.execute(select(func.max(jobs.c.seq))).scalar_one())
    engine.dispose()
    with closing(open_store(url)) as store:
        for start in range(0, max(0, lack), 1000):
            store.jobs.submit(submissions(min(1000, lack - start), start=newest + start))


def _settle(url: str) -> None:
    """End what was leased and not finished, so that each lap begins with nothing that runs."""
    engine = backend_of(url).engine()
    with engine.begin() as connection:
        held = update(attempts).where(attempts.c.outcome == AttemptOutcome.RUNNING)
        connection.execute(held.values(outcome=AttemptOutcome.CANCELLED, ended_at=0.0))
        running = update(jobs).where(is_state(JobState.RUNNING))
        connection.execute(running.values(state=JobState.CANCELLED, lease_until=None, finished_at=0.0))
    engine.dispose()


def _rows(what: str, store: str, laps: Sequence[Lap]) -> list[list[str]]:
    return [
        [
            what,
            store,
            str(lap.workers),
            f"{lap.rate:.0f}/s",
            _times(lap.rate, laps[0].rate),
            f"{1000 * lap.wait(0.5):.1f} ms" if lap.taken else "none",
            f"{1000 * lap.wait(0.99):.1f} ms" if lap.taken else "none",
            str(_doubles(lap)),
        ]
        for lap in laps
    ]


def _times(rate: float, other: float) -> str:
    """Return how many times another rate a rate is; a peer may manage nothing at all beside so many jobs."""
    return f"{rate / other:.2f} x" if other else "beyond measure"


def _doubles(lap: Lap) -> int:
    """Count the jobs that were given out more than once."""
    return sum(count > 1 for count in Counter(job for job, _ in lap.taken).values())


def _verdict(what: str, laps: Sequence[Lap]) -> str:
    share, last = laps[-1].rate / laps[0].rate, laps[-1].workers
    stands = "no collapse" if share >= KEPT_SHARE else "a collapse"
    return f"{what}: {last} workers together make {share:.2f} times what {laps[0].workers} makes: {stands}."


def _peer(
    full: Full, workers: Sequence[int], seconds: float, queued: int, best: dict[str, float]
) -> tuple[list[list[str]], list[str]]:
    from parts import lease_peer

    sql = lease_peer.schema()
    if sql is None:
        return [], ["procrastinate is not installed and was left out: pip install procrastinate."]
    # Enough for every lap: it is not filled again, and it gives out thousands a second.
    laps = 2 * len(workers)
    lease_peer.prepare(full.url, sql, full.jobs, max(queued * 20, round(PEER_RATE * seconds * laps)))
    found, words = [], []
    for what, whole in (("fetch", False), ("fetch, finish", True)):
        runner = lease_peer.runner_of(full.url, whole=whole)
        laps = [lease_race.race(runner, count, seconds) for count in workers]
        found += _rows(f"procrastinate: {what}", full.name, laps)
        ours = best["lease, renew, finish" if whole else "lease"]
        words.append(f"{workers[-1]} workers: {_times(ours, laps[-1].rate)} procrastinate's {what}.")
    return found, words
