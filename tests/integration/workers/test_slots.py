"""Two slots run two attempts side by side, remote control sees them, and a dead zygote costs one attempt."""

import pytest

from ad_detectors import cpus
from ad_platform.queue.celery import make_app
from ground import Ground

pytestmark = [pytest.mark.redis, pytest.mark.timeout(200)]


def active(land: Ground) -> list[list[str]]:
    """Return the arguments of what Celery says is running, over all workers."""
    app = make_app(land.platform.settings.broker_url)
    with app.connection_for_read() as connection:
        found = app.control.inspect(timeout=2.0, connection=connection).active() or {}
    app.close()
    return sorted(task["args"] for tasks in found.values() for task in tasks)


def test_two_jobs_run_at_once_on_their_share_of_the_threads_and_celery_shows_their_ids(land: Ground, worker):
    jobs = [land.submit(steps=10_000) for _ in range(2)]
    for job in jobs:
        land.reaches(job, 2)
    share = max(1, cpus.usable() // 2)
    assert [land.attempts(job)[0].facts["threads"] for job in jobs] == [share, share]
    land.platform.wait(lambda: active(land) == sorted([job] for job in jobs), "celery shows both", 20)
    assert {record.busy for record in land.client.workers() if record.pid == worker.pid} == {2}
