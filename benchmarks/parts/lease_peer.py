"""procrastinate, a queue of jobs on PostgreSQL: its own schema and SQL functions, called through psycopg."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import psycopg
from parts.lease_race import PRIORITIES, Runner


def schema() -> str | None:
    """Return its schema as SQL, None where it is not installed; its Python code is not loaded."""
    found = find_spec("procrastinate")
    if found is None or not found.submodule_search_locations:
        return None
    return (Path(found.submodule_search_locations[0]) / "sql" / "schema.sql").read_text()


def prepare(url: str, sql: str, ended: int, queued: int) -> None:
    """Make its tables, with jobs that have ended beside those that wait."""
    with psycopg.connect(url) as connection:
        connection.execute(sql.encode())
        make = (
            "INSERT INTO procrastinate_jobs (queue_name, task_name, priority, args, status, attempts)"
            " SELECT 'race', 'train', (%s::int[])[1 + n %% 5], jsonb_build_object('seed', n),"
            " %s::procrastinate_job_status, %s FROM generate_series(1, %s) n"
        )
        connection.execute("ALTER TABLE procrastinate_jobs DISABLE TRIGGER USER")  # events of the past
        connection.execute(make, (list(PRIORITIES), "succeeded", 1, ended))
        connection.execute("ALTER TABLE procrastinate_jobs ENABLE TRIGGER USER")
        connection.execute(make, (list(PRIORITIES), "todo", 0, queued))
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE procrastinate_jobs")


def runner_of(url: str, *, whole: bool) -> Callable[[int], Runner]:
    """Return what fetches jobs, `whole` with the finish of each."""

    def make(number: int) -> Runner:
        connection = psycopg.connect(url, autocommit=True)
        row = connection.execute("SELECT worker_id FROM procrastinate_register_worker_v1()").fetchone()
        assert row is not None
        worker = row[0]

        def step() -> tuple[str, int] | None:
            fetched = connection.execute(
                "SELECT id FROM procrastinate_fetch_job_v2(%s::varchar[], %s)", (["race"], worker)
            ).fetchone()
            if fetched is None or fetched[0] is None:
                return None
            if whole:
                connection.execute(
                    "SELECT procrastinate_finish_job_v1(%s, 'succeeded', false)", (fetched[0],)
                )
            return str(fetched[0]), 1

        return step

    return make
