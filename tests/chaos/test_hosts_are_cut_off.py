"""Several hosts whose links are cut, slowed and healed lose and double nothing (network namespaces).

The promises' own tests on such hosts are those with [hosts] in their names; this is what only a cable can do.
"""

import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import netns
from ad_platform.curves import committed
from ad_platform.failpoints import Commit, Edge
from ad_platform.states import AttemptOutcome, JobState
from ground import Ground, alive, attempt_processes, ground
from host_cluster import Hosts, cluster_of_hosts
from running_platform import family

pytestmark = [pytest.mark.slow, pytest.mark.redis, pytest.mark.postgres, pytest.mark.timeout(600)]
LEASE = "5"
STEPS = 200


@dataclass
class Cluster:
    """The ground on hosts, and the workers that a test has started on some."""

    ground: Ground
    hosts: Hosts
    workers: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)

    def host(self) -> netns.Host:
        return self.hosts.worker_host()

    def start(self, host: netns.Host, trap: str = "", *, slowly: bool = False) -> "subprocess.Popen[bytes]":
        """Start a worker on a host; slowly, it knows the services by what dawdles on its loopback."""
        seat = self.hosts.seat_on(host)
        env = {**self.ground.platform.env, **seat.env, "ADCTL_FAILPOINT": trap}
        for address, port in self.servers if slowly else ():
            env = {name: each.replace(f"{address}:{port}", f"127.0.0.1:{port}") for name, each in env.items()}
        with (Path(env["ADCTL_HOME"]) / "worker.log").open("ab") as log:
            worker = subprocess.Popen(
                [*seat.prefix, sys.executable, "-m", "ad_cli", "worker", "start"],
                env=env,
                stdout=log,
                stderr=log,
            )
        self.workers[host.name] = worker
        self.wait(lambda: self.online(host) or worker.poll() is not None, f"{host.name} is online", 90)
        return worker

    @property
    def servers(self) -> tuple[tuple[str, int], ...]:
        return (*self.hosts.servers, (self.ground.broker.address, self.ground.broker.port))

    def online(self, host: netns.Host) -> bool:
        roster = self.ground.client.store.workers.roster(silence=10.0)
        return any(one.node == host.name and one.state == "online" for one in roster)

    def wait(self, condition: object, what: str, seconds: float) -> None:
        try:
            self.ground.platform.wait(condition, what, seconds)  # type: ignore[arg-type]
        except AssertionError as error:
            logs = "".join(
                f"\n--- {file}\n{file.read_text(errors='replace')[-3000:]}"
                for file in self.hosts.folder.glob("*/worker.log")
            )
            raise AssertionError(f"{error}{logs}") from None

    def whole(self, job: str, steps: int) -> None:
        """Check that a job succeeded once, with each step once."""
        attempts = self.ground.attempts(job)
        assert [one.outcome for one in attempts].count(AttemptOutcome.SUCCEEDED) == 1
        curve = committed(self.ground.client.store, self.ground.storage, job)
        assert [point.step for point in curve.points] == list(range(1, steps + 1))
        assert not curve.problems

    def stop(self) -> None:
        everybody = [
            one for worker in self.workers.values() if worker.poll() is None for one in family(worker.pid)
        ]
        for process in everybody:
            if process.is_running():
                process.kill()
        for worker in self.workers.values():
            worker.wait()
        self.workers.clear()
        self.ground.die(everybody, 15)


@pytest.fixture(scope="module")
def cluster(folder: Path) -> Iterator[Cluster]:
    with (
        cluster_of_hosts(folder / "hosts") as hosts,
        ground(folder / "hosts", hosts=hosts, ADCTL_LEASE=LEASE, **hosts.environment) as given,
    ):
        made = Cluster(given, hosts)
        given.pictures()
        yield made
        made.stop()


@pytest.fixture
def land(cluster: Cluster) -> Iterator[Cluster]:
    yield cluster
    cluster.hosts.heal()
    cluster.ground.idle()
    cluster.stop()


def test_a_host_cut_off_at_work_fences_itself_and_another_goes_on_from_the_storage(land: Cluster) -> None:
    first, second = land.host(), land.host()
    worker = land.start(first)
    job = land.ground.submit(steps=STEPS, pause=0.1)
    land.ground.reaches(job, 6)
    children = attempt_processes(worker.pid)  # `ip netns exec` has become the worker
    assert children
    first.cut()
    land.wait(lambda: not alive(children), "the cut-off worker ends its child by itself", 30)
    land.start(second)
    land.wait(lambda: land.ground.job(job).state.terminal, "the other host ends the job", 120)
    first.heal()
    land.wait(lambda: land.online(first), "the first host is back", 60)
    assert land.ground.outcomes(job) == ["lost", "succeeded"]
    attempts = land.ground.attempts(job)
    assert attempts[0].worker.startswith(f"{first.name}-")
    assert attempts[1].worker.startswith(f"{second.name}-")
    assert int(str(attempts[1].facts["resumed_step"])) >= 6
    land.whole(job, STEPS)
    # The one that was cut off is as good as new.
    again = land.ground.submit(steps=6)
    assert land.ground.ended(again).state is JobState.SUCCEEDED


@pytest.mark.parametrize(
    "edge",
    [
        Commit.LEASE.after,
        f"child/{Edge.UPLOAD}",
        f"child/{Edge.MANIFEST}",
        Commit.CHECKPOINT.before,
        Commit.FINISH.before,
        Commit.FINISH.after,
    ],
)
def test_a_host_cut_off_at_an_edge_and_healed_after_its_lease_changes_nothing(
    land: Cluster, edge: str, tmp_path: Path
) -> None:
    first, second = land.host(), land.host()
    reached = tmp_path / "reached"
    land.start(first, trap=f"{edge}@1:trace={reached},{edge}@1:sleep=3")
    job = land.ground.submit(steps=20, pause=0.05)
    land.wait(reached.exists, f"it is at {edge}", 90)
    first.cut()
    land.start(second)
    land.wait(lambda: land.ground.job(job).state.terminal, "it ends", 120)
    first.heal()
    land.wait(lambda: land.online(first), "the first host is back", 90)
    assert land.ground.job(job).state is JobState.SUCCEEDED
    assert set(land.ground.outcomes(job)) <= {"lost", "succeeded"}
    land.whole(job, 20)


def test_the_host_of_store_and_broker_cut_off_for_longer_than_a_lease_loses_nothing(land: Cluster) -> None:
    worker = land.start(land.host())
    job = land.ground.submit(steps=STEPS, pause=0.1)
    land.ground.reaches(job, 6)
    children = attempt_processes(worker.pid)
    land.hosts.store.cut()
    land.wait(lambda: not alive(children), "what cannot renew its lease ends by itself", 30)
    threading.Event().wait(float(LEASE))
    land.hosts.store.heal()
    land.wait(lambda: land.ground.job(job).state.terminal, "it ends", 150)
    assert land.ground.outcomes(job) == ["lost", "succeeded"]
    assert int(str(land.ground.attempts(job)[1].facts["resumed_step"])) >= 6
    land.whole(job, STEPS)
    assert worker.poll() is None


def test_the_storage_cut_off_while_checkpoints_are_written_costs_an_attempt_at_most(land: Cluster) -> None:
    land.start(land.host())
    job = land.ground.submit(steps=60, pause=0.1)
    land.ground.reaches(job, 6)
    land.hosts.storage.cut()
    threading.Event().wait(8.0)
    land.hosts.storage.heal()
    land.wait(lambda: land.ground.job(job).state.terminal, "it ends", 200)
    assert land.ground.job(job).state is JobState.SUCCEEDED, land.ground.job(job).error
    assert set(land.ground.outcomes(job)) <= {"failed", "succeeded"}
    land.whole(job, 60)


@pytest.mark.parametrize("edge", [Commit.SUBMIT.before, Commit.SUBMIT.after, Edge.RING])
def test_a_client_cut_off_while_it_submits_has_one_job_once_it_asks_again(
    land: Cluster, edge: str, tmp_path: Path
) -> None:
    desk, reached = land.hosts.net.add(f"desk-{len(land.hosts.net.hosts)}"), tmp_path / "reached"
    pictures = land.ground.pictures()
    arguments = (
        *("submit", "train", "--model", "troublesome", "--data", str(pictures), "--device", "cpu"),
        *("-S", "steps=3", "--holdout", "none", "--no-evaluate", "--key", f"cut-{edge}", "--quiet"),
    )
    command = desk.command(sys.executable, "-m", "ad_cli", *arguments)
    env = {**land.ground.platform.env, "ADCTL_NODE": desk.name}
    land.start(land.host())  # which publishes the detector

    def asking(trap: str = "") -> "subprocess.Popen[str]":
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(command, env={**env, "ADCTL_FAILPOINT": trap}, **pipes)  # type: ignore[call-overload,no-any-return]

    with asking(f"{edge}:trace={reached},{edge}:sleep=2") as first:
        land.wait(lambda: reached.exists() or first.poll() is not None, f"it is at {edge}", 60)
        desk.cut()
        said, why = first.communicate(timeout=120)
    # It was told of its job, or that it cannot know, in words that are no traceback.
    assert (first.returncode == 0) == bool(said), why
    assert "Traceback" not in why
    desk.heal()
    with asking() as second:
        again, why = second.communicate(timeout=120)
    assert second.returncode == 0, why
    assert said in ("", again)
    job = again.strip()
    assert land.ground.ended(job).state is JobState.SUCCEEDED
    kept = land.ground.client.store.jobs.search(limit=1000)
    assert [one.id for one in kept if one.key == f"cut-{edge}"] == [job]


def test_a_short_cut_within_the_lease_costs_nothing(land: Cluster) -> None:
    host = land.host()
    land.start(host)
    job = land.ground.submit(steps=120, pause=0.1)
    land.ground.reaches(job, 6)
    host.cut()
    threading.Event().wait(1.0)
    host.heal()
    land.wait(lambda: land.ground.job(job).state.terminal, "it ends", 120)
    assert land.ground.outcomes(job) == ["succeeded"]
    land.whole(job, 120)


def test_a_slow_network_is_slow_and_nothing_else(land: Cluster) -> None:
    host = land.host()
    host.dawdle(0.02, *land.servers)
    land.start(host, slowly=True)
    job = land.ground.submit(steps=20, pause=0.05)
    land.wait(lambda: land.ground.job(job).state.terminal, "it ends", 200)
    assert land.ground.outcomes(job) == ["succeeded"]
    land.whole(job, 20)
