"""A worker whose store is upgraded while it works: it goes on where it may, and leaves where not."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from ad_platform.store.engine import backend_of
from ad_platform.store.revision import HEAD, READABLE_FROM, VERSION_TABLE, saying
from ground import Ground, ground
from running_platform import alive, family

pytestmark = [pytest.mark.redis, pytest.mark.slow, pytest.mark.timeout(240)]
NEWER, MISMATCH = "9999", 5


@pytest.fixture
def own(folder: Path) -> Iterator[Ground]:
    with ground(folder / "newer") as given:
        yield given


def outgrow(land: Ground, readable_from: str, *statements: str) -> None:
    """Do to the store what a newer program's upgrade would do."""
    engine = backend_of(land.platform.settings.database_url).engine()
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))
        said = f"version_num = '{NEWER}', {READABLE_FROM} = '{saying(readable_from, NEWER)}'"
        connection.execute(text(f"UPDATE {VERSION_TABLE} SET {said}"))
    engine.dispose()


def test_a_worker_goes_on_until_the_store_is_not_for_it_and_then_gives_its_job_back(own: Ground) -> None:
    worker = own.platform.start_worker(slots=1)
    job = own.submit(steps=400, pause=0.05)
    own.reaches(job, 2)
    outgrow(own, HEAD, "ALTER TABLE jobs ADD COLUMN news TEXT", "CREATE TABLE more (id TEXT PRIMARY KEY)")
    before = own.committed(job)
    own.reaches(job, before + 10)
    assert worker.poll() is None
    assert own.outcomes(job) == ["running"]

    everybody = family(worker.pid)
    outgrow(own, NEWER)
    assert worker.wait(60) == MISMATCH
    assert not alive(everybody)
    (attempt,) = own.attempts(job)
    assert attempt.outcome.value == "given_back"
    assert (own.job(job).state.value, own.job(job).failures) == ("queued", 0)
    assert own.committed(job) > before
    log = own.platform.logs()
    assert "is for programs that know schema 9999" in log
    assert "gives back what it runs, and leaves" in log

    assert "upgrade adctl" in own.platform.trapped("", "worker", "start").stderr
    own.platform("worker", "start", code=MISMATCH)
