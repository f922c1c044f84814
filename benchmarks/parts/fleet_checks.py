"""After a fleet has worked: was every job done, and done once?"""

from collections import Counter
from collections.abc import Sequence

import psycopg

_ODD = {
    "jobs that have not ended": "state IN ('waiting', 'queued', 'running')",
    "jobs that did not succeed": "state <> 'succeeded'",
    "jobs without just one attempt that succeeded": (
        "(SELECT count(*) FROM attempts a WHERE a.job_id = jobs.id AND a.outcome = 'succeeded') <> 1"
    ),
    "jobs whose number is not that of their attempts": (
        "(SELECT count(*) FROM attempts a WHERE a.job_id = jobs.id) <> attempt"
    ),
    "jobs without just one last event": (
        "(SELECT count(*) FROM events e WHERE e.job_id = jobs.id AND e.kind = 'succeeded') <> 1"
    ),
    "jobs not leased as often as they had attempts": (
        "(SELECT count(*) FROM events e WHERE e.job_id = jobs.id AND e.kind = 'leased') <> attempt"
    ),
    # Not job by job: measures are found by name.
    "jobs whose measures are not all there": (
        "seq NOT IN (SELECT seq FROM measures GROUP BY seq HAVING count(*) = 12)"
    ),
}


def check(url: str, submitted: int, leased: Sequence[tuple[str, int]], *, ended: bool) -> list[str]:
    """Return what is wrong, in words; where the fleet was stopped early, of the jobs that have ended."""
    wrong = [f"{job} attempt {n} leased twice" for (job, n), count in Counter(leased).items() if count > 1]
    only = "" if ended else " AND state = 'succeeded'"
    with psycopg.connect(url) as connection:
        for words, condition in _ODD.items():
            found = connection.execute(f"SELECT count(*) FROM jobs WHERE {condition}{only}".encode())
            if (row := found.fetchone()) and row[0]:
                wrong.append(f"{row[0]} {words}")
        sums = connection.execute(
            "SELECT (SELECT count(*) FROM jobs), (SELECT count(*) FROM attempts WHERE outcome = 'succeeded'),"
            " (SELECT count(*) FROM jobs WHERE state = 'succeeded')"
        ).fetchone()
    assert sums is not None
    if sums[0] != submitted:
        wrong.append(f"{sums[0]} jobs in the store, {submitted} submitted")
    if sums[1] != sums[2]:
        wrong.append(f"{sums[1]} attempts succeeded, but {sums[2]} jobs")
    return wrong
