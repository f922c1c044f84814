"""A long fight: many short jobs on several workers while everything that can die is killed at random."""

import random
import signal
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import psutil

from ad_platform.curves import committed
from ad_platform.records import Job
from ad_platform.states import AttemptOutcome, JobState
from ground import Ground
from mortal_mlflow import MortalMlflow
from running_platform import family

SLOTS = 2
PAUSE = 1.5  # seconds between two blows, on average
AWAY = 4.0  # seconds at most that the broker or MLflow stays away
CANCELLED = 0.3  # of the blows come with a cancel
WEIGHTS = {  # MLflow takes long to come back
    "child": 5,
    "zygote": 1,
    "worker": 3,
    "drained worker": 2,
    "shipper": 1,
    "broker": 2,
    "messages": 2,
    "mlflow": 1,
}
LENGTHY = ("worker", "drained worker", "mlflow")
AHEAD = 20  # jobs that wait at a time
RUN_STATES = {JobState.SUCCEEDED: "FINISHED", JobState.FAILED: "FAILED", JobState.CANCELLED: "KILLED"}


@dataclass
class Soak:
    """The platform, who strikes it, and what was struck how often; every choice comes from one seed."""

    ground: Ground
    server: MortalMlflow
    dice: random.Random
    struck: Counter[str] = field(default_factory=Counter)
    everybody: dict[int, psutil.Process] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # What takes long to come back must not keep the others from being struck.
        self.lengthy = ThreadPoolExecutor(1)
        self.under_way: Future[None] | None = None
        self.ended_before = self._ended()  # jobs of an earlier fight on the same ground

    @property
    def blows(self) -> Mapping[str, Callable[[], None]]:
        """Return what can be struck, by name."""
        return {
            "child": lambda: self._strike("ad_workers.zygote", below=True),
            "zygote": lambda: self._strike("ad_workers.zygote"),
            "worker": self._strike_worker,
            "drained worker": self._drain_worker,
            "shipper": lambda: self._strike("ad_platform.tracking"),
            "broker": self._strike_broker,
            "messages": self.ground.broker.flush,
            "mlflow": self._strike_mlflow,
        }

    def fight(self, count: int, workers: int) -> list[str]:
        """Submit jobs while everything is struck, until every one has ended; return them."""
        quiet = threading.Event()
        for _ in range(workers):
            self.ground.platform.start_worker(SLOTS)
        jobs: list[str] = []
        asking = threading.Thread(target=self._submit, args=(jobs, count, random.Random(self.dice.random())))
        asking.start()
        while asking.is_alive() or self._left(jobs):
            self._remember()
            quiet.wait(self.dice.uniform(0.5, 1.5) * PAUSE)
            if jobs and self.dice.random() < CANCELLED:
                self.ground.client.store.jobs.cancel(jobs[-1])
            if asking.is_alive() or self._left(jobs) > SLOTS * workers:  # the last ones are to end in peace
                (name,) = self.dice.choices(list(WEIGHTS), list(WEIGHTS.values()))
                self._blow(name)
        self.lengthy.shutdown()
        if self.under_way is not None:
            self.under_way.result()
        self._remember()
        assert len(jobs) == count
        return jobs

    def _blow(self, name: str) -> None:
        """Strike, unless something of the kind that takes long is still on its way back."""
        if name in LENGTHY:
            if self.under_way is not None and not self.under_way.done():
                return
            if self.under_way is not None:
                self.under_way.result()
            self.under_way = self.lengthy.submit(self.blows[name])
        else:
            self.blows[name]()
        self.struck[name] += 1

    def _submit(self, jobs: list[str], count: int, dice: random.Random) -> None:
        """Submit jobs of every kind of fate, as fast as they run: most succeed, some are poison."""
        quiet = threading.Event()
        for number in range(count):
            fate = number % 20
            if fate == 7:
                jobs.append(self.ground.submit(steps=4, trouble="raise", at=2))
            elif fate == 13:
                jobs.append(self.ground.submit(steps=4, trouble="abort", at=2, max_attempts=2))
            else:
                steps, pause = dice.randint(2, 12), dice.uniform(0.02, 0.2)
                jobs.append(self.ground.submit(steps=steps, pause=pause, max_attempts=50))
            while self._left(jobs) > AHEAD:
                quiet.wait(0.2)

    def _left(self, jobs: list[str]) -> int:
        return len(jobs) - (self._ended() - self.ended_before)

    def _ended(self) -> int:
        counts = self.ground.client.store.jobs.count()
        return sum(number for state, number in counts.items() if state.terminal)

    def _remember(self) -> None:
        """Note every process there is, to look for it in the end."""
        for worker in [*self.ground.platform.workers]:
            with suppress(psutil.NoSuchProcess):
                self.everybody.update({each.pid: each for each in family(worker.pid)})

    def _strike(self, module: str, *, below: bool = False) -> None:
        workers = [*self.ground.platform.workers]
        for worker in self.dice.sample(workers, len(workers)):
            with suppress(psutil.NoSuchProcess):
                kept = [each for each in psutil.Process(worker.pid).children() if module in each.cmdline()]
                found = [child for each in kept for child in each.children()] if below else kept
                if found:
                    self.dice.choice(found).send_signal(signal.SIGKILL)
                    return

    def _strike_worker(self) -> None:
        self._replace(signal.SIGKILL)

    def _drain_worker(self) -> None:
        self._replace(signal.SIGTERM)

    def _replace(self, by: signal.Signals) -> None:
        platform = self.ground.platform
        worker = self.dice.choice(platform.workers)
        worker.send_signal(by)
        worker.wait(60)
        platform.workers.remove(worker)
        platform.start_worker(SLOTS)

    def _strike_broker(self) -> None:
        self.ground.broker.kill()
        threading.Event().wait(self.dice.uniform(0.0, AWAY))
        self.ground.broker.start()

    def _strike_mlflow(self) -> None:
        self.server.leave()
        threading.Event().wait(self.dice.uniform(0.0, AWAY))
        self.server.come_back()

    # What must be so in the end

    def check(self, jobs: list[str]) -> dict[str, Any]:
        """Check every job in the store and in MLflow, row by row; return figures."""
        ground = self.ground
        # A fight in which nobody struck would prove nothing.
        assert sum(self.struck.values()) >= max(4, len(jobs) // 50), self.struck
        ended = [ground.job(job) for job in jobs]
        states = Counter(job.state for job in ended)
        assert sum(number for state, number in states.items() if state.terminal) == len(jobs)
        for job in ended:
            self._check_attempts(job)
        ground.platform.wait(lambda: self._shown(ended), "MLflow shows all", 60 + len(jobs))
        runs = self._runs()
        assert set(runs) >= set(jobs)
        for job in ended:
            (run,) = runs[job.id]
            self._check_run(job, run)
        ground.platform.close()
        ground.platform.workers.clear()
        ground.die(list(self.everybody.values()), 60)
        attempts = Counter(one.outcome.value for job in jobs for one in ground.attempts(job))
        return {"jobs": dict(states), "attempts": dict(attempts), "struck": dict(self.struck)}

    def _check_attempts(self, job: Job) -> None:
        attempts = self.ground.attempts(job.id)
        assert [one.number for one in attempts] == list(range(1, job.attempt + 1))
        effective = [one for one in attempts if one.outcome is AttemptOutcome.SUCCEEDED]
        assert len(effective) == (job.state is JobState.SUCCEEDED), job
        assert not any(one.outcome is AttemptOutcome.RUNNING for one in attempts), job
        bad = [one for one in attempts if one.outcome in (AttemptOutcome.FAILED, AttemptOutcome.LOST)]
        # A cancelled job's last attempt may have been lost: its end is the cancel, and no failure.
        uncounted = job.state is JobState.CANCELLED and attempts[-1:] == bad[-1:]
        assert len(bad) - uncounted <= job.failures <= min(len(bad), job.max_attempts), job
        trouble = job.spec.config.get("trouble")
        if job.state is JobState.SUCCEEDED:
            assert trouble == "none"
            steps = [
                point.step
                for point in committed(self.ground.client.store, self.ground.storage, job.id).points
            ]
            assert steps == list(range(1, int(str(job.spec.config["steps"])) + 1)), job
        elif job.state is JobState.FAILED:
            assert trouble in ("raise", "abort"), job

    def _runs(self) -> dict[str, list[Any]]:
        """Return the runs of each job; a shipper that dies may leave a second one for its heir to remove."""
        from ad_platform.tracking.mlflow import open_client

        client = open_client(self.server.url)
        runs: dict[str, list[Any]] = {}
        for experiment in client.search_experiments():
            token = None
            while True:
                page = client.search_runs([experiment.experiment_id], page_token=token, max_results=1000)
                for run in page:
                    job = run.data.tags.get("adctl.job_id")
                    if job is not None:
                        runs.setdefault(job, []).append(run)
                token = page.token
                if not token:
                    break
        return runs

    def _shown(self, jobs: list[Job]) -> bool:
        runs = self._runs()
        return all(
            [run.info.status for run in runs.get(job.id, [])] == [RUN_STATES[job.state]] for job in jobs
        )

    def _check_run(self, job: Job, run: Any) -> None:
        from ad_platform.tracking.mlflow import open_client

        assert run.info.status == RUN_STATES[job.state]
        assert run.data.params.get("steps") == str(job.spec.config["steps"])
        told = open_client(self.server.url).get_metric_history(run.info.run_id, "train/loss")
        curve = committed(self.ground.client.store, self.ground.storage, job.id)
        mine = [(point.step, point.metrics["train/loss"]) for point in curve.points]
        assert [(point.step, point.value) for point in told] == mine, job
