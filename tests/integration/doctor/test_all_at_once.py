"""Whatever was damaged together, whoever was killed while mending: nothing mendable is left in the end."""

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread

import pytest
from sqlalchemy import update

from ad_platform.doctor.findings import Finding
from ad_platform.doctor.mending import mend
from ad_platform.queue.celery import CeleryQueue, own_queue
from ad_platform.states import AttemptOutcome, JobState
from ad_platform.storage.layout import checkpoint_prefix
from ad_platform.store.tables import jobs
from ad_platform.tracking.mlflow import open_tracker
from mlflow_home import QUIET, mlflow_home
from mortal_broker import MortalBroker, mortal_broker
from ward import HOUR, Ward, aged, copied, killed

pytestmark = [pytest.mark.redis, *(pytest.mark.filterwarnings(words) for words in QUIET)]


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MortalBroker]:
    with mortal_broker(tmp_path_factory.mktemp("broker")) as made:
        yield made


@pytest.fixture
def ward(broker: MortalBroker, tmp_path: Path) -> Iterator[Ward]:
    broker.flush()
    copied(mlflow_home("doctor")[0].home / "mlflow.db", tmp_path / "mlflow.db")
    made = Ward(tmp_path, {"ADCTL_BROKER_URL": broker.url})
    yield made
    made.close()


def dead_holder(ward: Ward) -> None:
    ward.register("w1", killed())
    ward.stories.lease(ward.stories.submit())


def expired(ward: Ward) -> None:
    ward.stories.lease(ward.stories.submit())
    ward.wait(200)


def unheard(ward: Ward) -> None:
    ward.stories.submit()
    ward.heard()
    ward.wait(300)


def ended_needs(ward: Ward) -> None:
    need = ward.stories.submit()
    ward.stories.submit_evaluation(ward.stories.submit_evaluation(need), needs=(need.id,))
    how = random.choice([JobState.SUCCEEDED, JobState.FAILED])
    ward.sql(update(jobs).where(jobs.c.id == need.id).values(state=how, finished_at=ward.stories.time))


def open_attempt(ward: Ward) -> None:
    job = ward.stories.submit()
    ward.stories.lease(job)
    ward.sql(update(jobs).where(jobs.c.id == job.id).values(state=JobState.QUEUED, lease_until=None))


def attempt_number(ward: Ward) -> None:
    job = ward.stories.submit()
    ward.store.leases.give_back(ward.stories.lease(job), "drained")
    ward.sql(update(jobs).where(jobs.c.id == job.id).values(attempt=0))


def lost_checkpoint(ward: Ward) -> None:
    lease = ward.stories.lease(ward.stories.submit())
    manifest = ward.stories.checkpoint(lease, 3)
    ward.store.leases.give_back(lease, "drained")
    ward.storage.remove(manifest.prefix)


def unfinished(ward: Ward) -> None:
    job = ward.stories.trained(None)
    prefix = checkpoint_prefix(job.id, 50, 1)
    ward.storage.write(f"{prefix}/v-0/state.safetensors", b"half")
    part = aged_part(ward, f"jobs/{job.id}/model/a1/.writing-1")
    assert part.exists()


def aged_part(ward: Ward, name: str) -> Path:
    path = ward.folder / "storage" / name
    path.write_text("half")
    return aged(path, 3 * HOUR)


def scratch(ward: Ward) -> None:
    folder = ward.settings.home / "scratch" / f"{ward.stories.submit().id}-a1"
    folder.mkdir(parents=True)
    aged(folder, HOUR)


def silent_worker(ward: Ward) -> None:
    ward.register(f"far-{random.random()}", 1, node="n2")
    ward.wait(1000)


def dead_queue(ward: Ward) -> None:
    CeleryQueue(ward.settings.broker_url).ring("", own_queue(f"gone-{random.random()}"), 0)


def endless_run(ward: Ward) -> None:
    job = ward.stories.trained(None)
    ward.ship_all()
    open_tracker(ward.settings).client.update_run(ward.store.shipments.run_of(job.id), status="RUNNING")


def lost_run(ward: Ward) -> None:
    job = ward.stories.trained(None)
    ward.ship_all()
    open_tracker(ward.settings).client.delete_run(ward.store.shipments.run_of(job.id))


def late_shipment(ward: Ward) -> None:
    ward.stories.trained(None)
    ward.wait(500)


DAMAGES: tuple[Callable[[Ward], None], ...] = (
    *(dead_holder, expired, unheard, ended_needs, open_attempt, attempt_number, lost_checkpoint, unfinished),
    *(scratch, silent_worker, dead_queue, endless_run, lost_run, late_shipment),
)


def fixable(ward: Ward) -> list[Finding]:
    return [finding for finding in ward.look() if finding.mending]


def check_whole(ward: Ward) -> None:
    """Check that nothing mendable is left, and that no promise was broken on the way."""
    assert fixable(ward) == []
    for job in ward.store.jobs.search(limit=1000):
        attempts = ward.store.jobs.attempts(job.id)
        open_ = [each for each in attempts if each.outcome is AttemptOutcome.RUNNING]
        assert len(open_) == (job.state is JobState.RUNNING)
        assert [each.number for each in attempts] == list(range(1, job.attempt + 1))
        if job.state is JobState.QUEUED:
            ward.stories.lease(job)


@pytest.mark.parametrize("seed", range(2))
def test_after_random_damage_of_several_kinds_nothing_mendable_is_left(ward: Ward, seed: int) -> None:
    random.seed(seed)
    for damage in random.choices(DAMAGES, k=10):
        damage(ward)
    assert fixable(ward)
    ward.fix()
    check_whole(ward)


class Killed(BaseException):
    """What no handler of a mending may swallow."""


def test_a_doctor_that_is_killed_in_the_middle_leaves_nothing_worse(ward: Ward) -> None:
    for damage in DAMAGES:
        damage(ward)
    for die_at in (1, 3, 6):
        mended: list[Finding] = []

        def tell(finding: Finding, die_at: int = die_at, mended: list[Finding] = mended) -> None:
            mended.append(finding)
            if len(mended) == die_at:
                raise Killed

        with pytest.raises(Killed):
            mend(ward.look, ward.look(), tell)
    ward.fix()
    check_whole(ward)


def test_two_doctors_at_once_mend_everything_once(ward: Ward) -> None:
    random.seed(9)
    for damage in DAMAGES:
        damage(ward)
    doctors = [Thread(target=ward.fix) for _ in range(2)]
    for doctor in doctors:
        doctor.start()
    for doctor in doctors:
        doctor.join()
    ward.fix()
    check_whole(ward)
