"""Measure a fleet: 200 simulated workers and 20,000 jobs on a real PostgreSQL and Redis; adds to RESULTS.md.

`python benchmarks/fleet.py`; a first look: `python benchmarks/fleet.py --workers 8 --jobs 200 --no-write`.
With `--beside DIR` another checkout is measured before, in the same run, as far as it gets in a minute.
"""

import sys
from pathlib import Path

# A script's folder comes first on the path, and there `platform.py` would hide the standard library's.
HERE = Path(__file__).resolve().parent
sys.path[:] = [*(entry for entry in sys.path if entry and Path(entry).resolve() != HERE)]
sys.path += [str(HERE), str(HERE.parent / "tests")]

import argparse  # noqa: E402
import json  # noqa: E402
import math  # noqa: E402
import os  # noqa: E402
import shutil  # noqa: E402
import subprocess  # noqa: E402
import tempfile  # noqa: E402
import time  # noqa: E402
from collections.abc import Sequence  # noqa: E402
from contextlib import closing  # noqa: E402
from dataclasses import replace  # noqa: E402
from typing import Any  # noqa: E402

import psycopg  # noqa: E402
from parts import fleet_checks, lease_race  # noqa: E402
from parts.figures import keep, section, shortened  # noqa: E402
from parts.fleet_watch import Watch  # noqa: E402
from parts.fleet_workers import DATA, QUEUE, Fleet, Plan  # noqa: E402

import ad_migrations  # noqa: E402
from ad_platform.queue.celery import CeleryQueue  # noqa: E402
from ad_platform.queue.relay import relay  # noqa: E402
from ad_platform.records import Progress  # noqa: E402
from ad_platform.specs import Submission  # noqa: E402
from ad_platform.store.engine import SqlStore, open_store  # noqa: E402
from services import postgres_server, redis_server  # noqa: E402

VERSIONS = ("sqlalchemy", "psycopg", "redis", "celery", "kombu")
USERS = 20
HEADERS = ("what", "figure")
EVERY = 0.1  # seconds between two single jobs whose wake-up is timed


def main() -> None:
    """Measure, print the table, and put it on top of RESULTS.md."""
    given = _arguments()
    if given.json:  # asked by another checkout's script
        given.json.write_text(json.dumps(_measured(given)))
        return
    before = _beside(given) if given.beside else None
    now = _measured(given)
    rows = _rows(now, before)
    command = " ".join(["python benchmarks/fleet.py", *shortened(sys.argv[1:])])
    title = f"{given.workers} workers and {given.jobs:,} jobs"
    headers = HEADERS if before is None else (*HEADERS, "the other checkout", "times")
    text = section(title, headers, rows, command, VERSIONS, now["words"])
    print(text, flush=True)
    if not given.no_write:
        keep(text)
    if now["wrong"]:
        sys.exit("\n".join(now["wrong"]))


def _beside(given: argparse.Namespace) -> dict[str, Any]:
    """Measure another checkout with this script: its packages come first on the path."""
    found = Path(tempfile.mkdtemp(prefix="adctl-fleet-")) / "figures.json"
    roots = [given.beside / name for name in ("platform", "workers", "detectors", "cli", "migrations")]
    same = ["workers", "processes", "jobs", "work", "lease", "tick", "seconds"]
    command = [sys.executable, __file__, "--json", str(found), "--stop-after", "60"]
    command += [part for name in same for part in (f"--{name}", str(getattr(given, name)))]
    try:
        path = os.pathsep.join(map(str, roots))
        subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, check=True)
        figures: dict[str, Any] = json.loads(found.read_text())
        return figures
    finally:
        shutil.rmtree(found.parent, ignore_errors=True)


def _measured(given: argparse.Namespace) -> dict[str, Any]:
    home = Path(tempfile.mkdtemp(prefix="adctl-fleet-"))
    more = {"max_connections": str(4 * given.workers + 50)}
    try:
        with postgres_server(durable=True, more=more) as server, redis_server(persistent=True) as broker:
            url = server.new_database()
            ad_migrations.upgrade(url)
            plan = Plan(
                url=url,
                broker=broker.url,
                home=home,
                workers=given.workers,
                processes=given.processes,
                work=given.work,
                lease=given.lease,
                tick=given.tick,
            )
            renewals = _renewals(url, given.workers, given.processes, given.seconds)
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute("TRUNCATE jobs, workers, holdings, catalogue, studies CASCADE")
            return {**_run(plan, given), "renewals": renewals}
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _run(plan: Plan, given: argparse.Namespace) -> dict[str, Any]:
    """Let a fleet work, and return figures."""
    _say(f"{plan.workers} workers start")
    fleet = Fleet(plan)
    watch = Watch(plan.url, plan.broker, [process.pid or 0 for process in fleet.processes])
    with closing(open_store(plan.url)) as store, closing(watch):
        _warm(store, plan)
        watch.begin()
        wakes = _wakes(store, plan, given.singles)
        idle = watch.end()
        _say(f"{given.jobs} jobs are submitted to a paused queue")
        store.queues.pause(QUEUE, "fleet")
        began = time.monotonic()
        _submit(store, given.jobs)
        submitting = time.monotonic() - began
        store.queues.resume(QUEUE)
        fleet.forget()
        watch.begin()
        done = _await_end(store, given.jobs, given.stop_after)
        cost = watch.end()
        spent, leased = fleet.stop()
        total = 2 * plan.workers + given.singles + given.jobs
        wrong = fleet_checks.check(plan.url, total, leased, ended=given.stop_after == math.inf)
    return {
        "jobs a second": done / cost.seconds,
        "submits a second": given.jobs / submitting,
        "wakes": wakes,
        "leases": sorted(spent.get("leases.lease", [])),
        "renews": sorted(spent.get("leases.renew", [])),
        "calls": {name: [len(each) / done, sum(each) / done] for name, each in spent.items()},
        "cpu": {name: 1000 * getattr(cost, name) / done for name in ("postgres", "redis", "python")},
        "busy": (cost.postgres + cost.redis + cost.python) / cost.seconds,
        "idle": [idle.postgres / idle.seconds, idle.commits / idle.seconds],
        "commits": cost.commits / done,
        "seen": cost.seen.most_common(6),
        "wrong": wrong,
        "words": _words(given, wrong, done, cost.seconds),
    }


def _words(given: argparse.Namespace, wrong: Sequence[str], done: int, seconds: float) -> list[str]:
    checked = "every job ended exactly once, and all sums agree." if not wrong else "; ".join(wrong)
    return [
        f"{given.workers} workers of one slot in {given.processes} processes; a job works {given.work:g} s, "
        f"lease {given.lease:g} s, tick {given.tick:g} s; {USERS} users, 3 priorities, fsync on, appendfsync "
        f"always. {done:,} jobs in {seconds:.0f} s.",
        f"Checked: {checked}",
    ]


def _warm(store: SqlStore, plan: Plan) -> None:
    """Have every worker do something first: a program is slow at what it does for the first time."""
    _submit(store, 2 * plan.workers)
    _await_end(store, 2 * plan.workers, math.inf)


def _submit(store: SqlStore, count: int) -> None:
    made = lease_race.submissions(count)
    for start in range(0, count, 200):
        store.jobs.submit([_ours(each, start + n) for n, each in enumerate(made[start : start + 200])])


def _ours(submission: Submission, number: int) -> Submission:
    spec = replace(submission.spec, dataset=DATA[number % len(DATA)])
    return replace(submission, spec=spec, user=f"user{number % USERS}", queue=QUEUE, key=None)


def _wakes(store: SqlStore, plan: Plan, count: int) -> list[float]:
    """Submit single jobs to an idle fleet as a client does; return the seconds until each was leased."""
    queue, ids = CeleryQueue(plan.broker), list[str]()
    _say(f"{count} single jobs")
    for number in range(count):
        ids.append(store.jobs.submit([_ours(lease_race.submissions(1)[0], number)])[0].id)
        relay(store.outbox, queue)
        time.sleep(EVERY)
    _await_end(store, count, math.inf)
    made = [store.jobs.get(job_id) for job_id in ids]
    return sorted((job.started_at or math.inf) - job.created_at for job in made)


def _await_end(store: SqlStore, count: int, seconds: float) -> int:
    """Wait until nothing is left, or so many seconds; return how many of the jobs have ended."""
    began = time.monotonic()
    while True:
        states = store.jobs.count()
        left = sum(number for state, number in states.items() if not state.terminal)
        if not left or time.monotonic() - began > seconds:
            return count - left
        time.sleep(0.2 if left < 1000 else 1.0)


def _renewals(url: str, workers: int, processes: int, seconds: float) -> dict[str, Any]:
    """Let processes renew the leases of all workers as fast as they can."""
    with closing(open_store(url)) as store:
        lease_race.hold_data(store)
        store.jobs.submit(lease_race.submissions(workers))
        leases = []
        for number in range(workers):
            lease = store.leases.lease(replace(lease_race.CAN, worker=f"w{number}"), lease_race.LEASE)
            assert lease is not None
            leases.append(lease)

    def make(number: int) -> lease_race.Runner:
        renewing, mine, at = open_store(url), leases[number::processes], [0]

        def step() -> tuple[str, int]:
            lease = mine[at[0] % len(mine)]
            at[0] += 1
            renewing.leases.renew(lease, Progress(step=at[0], of=10**6, metrics={"loss": 0.5}))
            return lease.job_id, lease.attempt

        return step

    lap = lease_race.race(make, processes, seconds)
    return {"rate": lap.rate, "p50": lap.wait(0.5), "p99": lap.wait(0.99), "processes": processes}


def _rows(now: dict[str, Any], before: dict[str, Any] | None) -> list[list[str]]:
    rows = []
    for name, (unit, of, more) in _FIGURES.items():
        value = of(now)
        row = [name, f"{value:.{more}f}{unit}"]
        if before is not None:
            other = of(before)
            row += [f"{other:.{more}f}{unit}", f"{value / other:.2f} x" if other else ""]
        rows.append(row)
    empty = [""] * (2 if before is not None else 0)
    calls = sorted(now["calls"].items(), key=lambda item: -item[1][1])[:8]
    for name, (number, seconds) in calls:
        rows.append([f"a job waits for `{name}`", f"{1000 * seconds:.1f} ms in {number:.2f} calls", *empty])
    seen = sum(count for _, count in now["seen"]) or 1
    for name, count in now["seen"]:
        rows.append([f"busy sessions of PostgreSQL at: {name}", f"{count / seen:.0%}", *empty])
    return rows


def _at(ordered: Sequence[float], share: float) -> float:
    return 1000 * ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)] if ordered else math.nan


_FIGURES = {
    "jobs, from the queue to the end": ("/s", lambda f: f["jobs a second"], 1),
    "renewals alone, as fast as can be": ("/s", lambda f: f["renewals"]["rate"], 0),
    "renewal alone, p50": (" ms", lambda f: 1000 * f["renewals"]["p50"], 1),
    "renewal alone, p99": (" ms", lambda f: 1000 * f["renewals"]["p99"], 1),
    "submits, 200 to a call": ("/s", lambda f: f["submits a second"], 0),
    "lease, p50": (" ms", lambda f: _at(f["leases"], 0.5), 1),
    "lease, p99": (" ms", lambda f: _at(f["leases"], 0.99), 1),
    "from submit to lease, fleet idle, p50": (" ms", lambda f: _at(f["wakes"], 0.5), 0),
    "from submit to lease, fleet idle, p99": (" ms", lambda f: _at(f["wakes"], 0.99), 0),
    "CPU of PostgreSQL for a job": (" ms", lambda f: f["cpu"]["postgres"], 1),
    "CPU of all workers' Python for a job": (" ms", lambda f: f["cpu"]["python"], 1),
    "CPU of Redis for a job": (" ms", lambda f: f["cpu"]["redis"], 2),
    "processors busy with all that": ("", lambda f: f["busy"], 2),
    "commits for a job": ("", lambda f: f["commits"], 1),
    "PostgreSQL's CPU while one job comes every 0.1 s": (" of one", lambda f: f["idle"][0], 2),
}


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def _arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=200)
    parser.add_argument("--processes", type=int, default=20, help="that the workers share")
    parser.add_argument("--jobs", type=int, default=20_000)
    parser.add_argument("--singles", type=int, default=100, help="jobs whose wake-up is timed")
    parser.add_argument("--work", type=float, default=0.5, help="seconds that a job takes")
    parser.add_argument("--lease", type=float, default=30.0)
    parser.add_argument("--tick", type=float, default=5.0)
    parser.add_argument("--seconds", type=float, default=10.0, help="of renewals alone")
    parser.add_argument("--stop-after", type=float, default=math.inf, help="seconds of work")
    parser.add_argument("--beside", type=Path, help="another checkout, measured before")
    parser.add_argument("--json", type=Path, help="only write the figures there")
    parser.add_argument("--no-write", action="store_true", help="only print")
    return parser.parse_args(given)


if __name__ == "__main__":
    main()
