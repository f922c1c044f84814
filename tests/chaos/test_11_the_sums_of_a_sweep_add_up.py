"""A sweep while workers, children, sweepers, the broker and the database's connections die at random."""

import contextlib
import os
import random
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from sqlalchemy import text

from ad_platform import datasets
from ad_platform.client import Client
from ad_platform.failpoints import Commit, Edge
from ad_platform.records import Study
from ad_platform.requests import Scheduling, TrainRequest
from ad_platform.states import JobKind, JobState, StudyState, TrialState
from ad_platform.store.engine import backend_of
from ad_platform.sweeps.asking import SweepRequest
from ad_platform.sweeps.optuna_study import close_storage, open_storage
from ad_platform.sweeps.steering import Sweeps
from ground import Ground
from mortal_broker import MortalBroker
from running_platform import Platform, alive, family

EVERYDAY = "clustered"

SWEEPER = "ad_workers.sweeping"
OF_THE_SWEEPER = [Edge.ASKED, Commit.BEGIN_TRIAL.after, Edge.TOLD]
PATIENCE = 120.0  # seconds for what is left once nobody strikes any more


@dataclass
class Battlefield:
    """A platform with two workers, and everything on it that can be struck."""

    ground: Ground
    dice: random.Random

    @property
    def platform(self) -> Platform:
        return self.ground.platform

    @property
    def broker(self) -> MortalBroker:
        return self.ground.broker

    @property
    def client(self) -> Client:
        return self.ground.client

    @property
    def blows(self) -> dict[str, Callable[[], None]]:
        """Return what can be struck, by name."""
        of_a_server = {} if self.platform.settings.embedded else {"connections": self._cut_connections}
        return {
            "worker": self._kill_worker,
            "child": lambda: self._kill("ad_workers.zygote", below=True),
            "zygote": lambda: self._kill("ad_workers.zygote"),
            "sweeper": lambda: self._kill(SWEEPER),
            "broker": self._kill_broker,
            "messages": self.broker.flush,
            **of_a_server,
        }

    def _kill_worker(self) -> None:
        worker = self.dice.choice(self.platform.workers)
        worker.kill()
        worker.wait()
        self.platform.workers.remove(worker)
        self.platform.start_worker(slots=2)

    def _kill(self, module: str, *, below: bool = False) -> None:
        """Kill a process that a worker keeps, or one that this has forked."""
        for worker in self.dice.sample(self.platform.workers, len(self.platform.workers)):
            with contextlib.suppress(psutil.NoSuchProcess):
                kept = [each for each in psutil.Process(worker.pid).children() if module in each.cmdline()]
                found = [child for each in kept for child in each.children()] if below else kept
                if found:
                    self.dice.choice(found).send_signal(signal.SIGKILL)
                    return

    def _kill_broker(self) -> None:
        self.broker.kill()
        self.broker.start()

    def _cut_connections(self) -> None:
        import psycopg

        url = self.platform.settings.database_url
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )


@pytest.fixture
def field(stack: Ground, tmp_path: Path) -> Iterator[Battlefield]:
    """Give the stack with two workers, of whose sweepers one dies at each edge; the fight ends them."""
    stack.platform.workers.clear()
    trap = ",".join(f"{edge}:kill={tmp_path / edge}" for edge in OF_THE_SWEEPER)
    for _ in range(2):
        stack.platform.start_worker(slots=2, trap=trap)
    dice = random.Random(os.environ.get("ADCTL_FIRE", "7"))
    yield Battlefield(stack, dice)
    stack.platform.close()
    assert {path.name for path in tmp_path.iterdir()} == set(OF_THE_SWEEPER)


def submit(field: Battlefield, trials: int) -> Study:
    """Submit a sweep over the scores of the mean picture, on noise."""
    import numpy as np
    from PIL import Image

    # Other pictures for another number of trials: a second sweep on one stack would find its stage computed.
    folder = field.platform.home / "data" / "made" / f"noise-{trials}"
    for number in range(24):
        file = folder / "train" / "good" / f"{number:02d}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng([trials, number]).integers(90, 160, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(noise).save(file)
    found = datasets.find(field.client, folder, None, None)
    field.ground.hold(found.ref)
    sweeps = Sweeps(field.client)
    request = SweepRequest(
        train=TrainRequest(
            detector="pixel_mean",
            dataset=found.ref,
            preset="tiny",
            holdout="25/25",
            device="cpu",
            scheduling=Scheduling(max_attempts=20),
        ),
        params=["floor=0.5:50:log", "blur_sigma=0:3"],
        trials=trials,
        parallel=6,
        tested=False,
    )
    return sweeps.submit(sweeps.plan(request))


def strike(field: Battlefield, study: Study, times: int, pause: float) -> dict[str, int]:
    """Strike something at random again and again, each kind at least once; return how often each was.

    More trials are asked for each time, of a sweep that may have ended meanwhile.
    """
    sweeps = Sweeps(field.client)
    blows, struck = field.blows, dict.fromkeys(field.blows, 0)
    order = [*blows, *field.dice.choices(list(blows), k=max(0, times - len(blows)))]
    field.dice.shuffle(order)
    quiet = threading.Event()
    for name in order:
        quiet.wait(pause * field.dice.uniform(0.5, 1.5))
        sweeps.extend(study.name, trials=2)  # so that there is something to strike
        blows[name]()
        struck[name] += 1
    return struck


def check_sums(field: Battlefield, study: Study, trials: int) -> None:
    """Check that everything adds up, in the store and in Optuna."""
    import optuna

    view = Sweeps(field.client).view(field.client.store.studies.get(study.id))
    assert view.asked == trials == view.complete + view.pruned + view.failed
    storage = open_storage(field.platform.settings)
    found = optuna.load_study(study_name=study.name, storage=storage).get_trials(deepcopy=False)
    theirs = [trial.state.name for trial in found]
    close_storage(storage)
    assert theirs.count("RUNNING") == theirs.count("WAITING") == 0
    assert theirs.count("COMPLETE") == view.complete
    assert theirs.count("PRUNED") == view.pruned
    assert len(theirs) == view.asked + view.ruled_out
    numbers = [trial.number for trial in field.client.store.studies.trials(study.id)]
    assert numbers == list(range(len(numbers)))
    jobs = field.client.store.jobs.search(group=study.name, limit=100_000)
    assert all(job.state.terminal for job in jobs)
    trainings = [job for job in jobs if str(job.key).startswith("stage/")]
    assert [job.state for job in trainings] == [JobState.SUCCEEDED]
    # At most one attempt of a job had effect: a trial ended once, by one job.
    ended = [job for job in jobs if job.kind is JobKind.TRIAL]
    assert len(ended) == view.asked
    assert view.complete > 0
    for trial in field.client.store.studies.trials(study.id, [TrialState.FAILED]):
        assert trial.error


def free_claims(field: Battlefield) -> None:
    """Let the claims of sweepers that are dead run out now, as if their minute were over."""
    alive_now = [each.pid for worker in field.platform.workers for each in family(worker.pid)]
    backend = backend_of(field.platform.settings.database_url)
    engine = backend.engine()
    # SQLite does not wait for its turn in a transaction that has begun with reading.
    with engine.connect() as plain, (connection := backend.writing(plain)).begin():
        for row in connection.execute(text("SELECT id, owner FROM studies WHERE owner IS NOT NULL")).all():
            if int(row.owner.rsplit("-", 2)[1]) not in alive_now:
                free = text("UPDATE studies SET owned_until = 0 WHERE id = :id AND owner = :owner")
                connection.execute(free, {"id": row.id, "owner": row.owner})
    engine.dispose()


def fight(field: Battlefield, trials: int, strikes: int, pause: float) -> None:
    study = submit(field, trials)
    sweeps = Sweeps(field.client)

    def begun() -> bool:
        free_claims(field)
        return sweeps.view(study).asked > 0

    field.platform.wait(begun, "the first trials are asked for", 60)
    struck = strike(field, study, strikes, pause)
    print(f"struck: {struck}")

    def ended() -> bool:
        free_claims(field)
        return field.client.store.studies.get(study.id).state is StudyState.FINISHED

    field.platform.wait(ended, f"the sweep ends, struck {struck}", PATIENCE)
    assert all(struck.values())
    check_sums(field, study, trials + 2 * strikes)
    kept = [each for worker in field.platform.workers for each in family(worker.pid)]
    field.platform.close()
    field.platform.wait(lambda: not alive(kept), "nothing is left", 60)


@pytest.mark.timeout(420)
def test_a_sweep_adds_up_whatever_is_killed(field: Battlefield) -> None:
    fight(field, trials=8, strikes=7, pause=1.2)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_long_sweep_adds_up_whatever_is_killed(field: Battlefield) -> None:
    fight(field, trials=20, strikes=80, pause=4.0)
