"""docs/deploy.md brings up a cluster as it is typed: on one machine, and on hosts of which one is cut off."""

import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import netns
import services
from ad_cli.main import run
from ad_platform.cluster import dotenv
from ad_platform.records import Job
from ad_platform.states import JobState
from ad_platform.store.contract import Store
from ad_platform.store.engine import open_store
from deploying import ADDRESS, Desk, Line, desk_in, lines
from ground import attempt_processes
from running_platform import ASK_MLFLOW, alive

pytestmark = [pytest.mark.postgres, pytest.mark.redis, pytest.mark.slow, pytest.mark.timeout(1200)]

SMALL = ("--train", "24", "--test-good", "4", "--per-defect", "1", "--size", "128", "--quiet")
MAIN = "adctl submit train --model ddad "
COMPUTING = ("second", "third")  # hosts


@pytest.fixture
def root() -> Iterator[Path]:
    for part in ("torch", "mlflow", "optuna_dashboard", "flask_wtf"):
        if find_spec(part) is None:
            services.unavailable(f"{part} is not installed")
    if shutil.which("redis-server") is None or shutil.which("psql") is None:
        services.unavailable("no redis-server or psql on the PATH")
    root = Path(tempfile.mkdtemp(prefix="adctl-deploy-", dir="/tmp"))
    assert run(["data", "synth", str(root / "cluster/data/synth/screw"), *SMALL]) == 0
    yield root
    shutil.rmtree(root, ignore_errors=True)


def test_every_line_that_is_typed_does_what_it_says(root: Path) -> None:
    desk = Desk(*desk_in(root))
    try:
        for line in lines():
            desk.do(line)
        for name in ("adctl.dump", "optuna.dump", "mlflow.dump"):
            assert (desk.folder / name).stat().st_size > 1000
        jobs = desk.running.run("client", "list", "--json").stdout
        assert '"succeeded"' in jobs, jobs
    finally:
        desk.close()


@dataclass
class Hosts(Desk):
    """Desks on several hosts, which share no folder: S3 keeps what workers leave, from the start."""

    keys: str = ""  # of S3
    others: Mapping[str, netns.Host] = field(default_factory=dict)

    def look(self, line: str, said: str) -> None:
        super().look(line, said)
        if line == "adctl cluster init":
            settings, keys = (
                dotenv.parse(line.text) for line in lines() if "s3" in line.text and line.kind == "sh"
            )
            example, given = keys["AWS_ENDPOINT_URL"], dotenv.parse(self.keys)
            assert set(keys) <= set(given)
            (self.folder / "storage.env").write_text(self.keys)
            self.set(
                {name: value.replace(example, given["AWS_ENDPOINT_URL"]) for name, value in settings.items()}
            )

    def hand_out(self) -> None:
        for name in ("worker.env", "client.env"):
            with (self.folder / name).open("a") as file:
                file.write(self.keys)

    def prefix(self, name: str) -> list[str]:
        return self.others[name].command()

    def data_of(self, name: str) -> Path:
        return self.root / "data of" / name  # where nothing is

    @property
    def store(self) -> Store:
        """Open the store as the client does."""
        return open_store(dotenv.parse((self.folder / "client.env").read_text())["ADCTL_DATABASE_URL"])

    def wait(self, condition: Callable[[], Any], what: str, seconds: float = 180.0) -> None:
        end, pause = time.monotonic() + seconds, threading.Event()
        while not condition():
            assert time.monotonic() < end, f"it never came that {what}{self.said_by_workers()}"
            pause.wait(0.2)


@pytest.fixture
def hosts(root: Path) -> Iterator[Hosts]:
    from contract.storage.s3_server import CREDENTIALS, make_bucket, s3_server

    if why := netns.why_not():
        pytest.skip(why)
    with ExitStack() as stack:
        net = stack.enter_context(netns.network("first"))
        assert net.hosts[0].address == ADDRESS
        others = {name: net.add(name) for name in (*COMPUTING, "client", "storage")}
        with others["storage"].inside():
            endpoint = stack.enter_context(s3_server(others["storage"].address))
        make_bucket(endpoint, "bucket")
        keys = {**CREDENTIALS, "AWS_ENDPOINT_URL": endpoint}
        desk = Hosts(
            *desk_in(root),
            address=ADDRESS,
            workers=COMPUTING,
            keys="".join(f"{name}={value}\n" for name, value in keys.items()),
            others=others,
        )
        stack.callback(desk.close)
        yield desk


def test_the_main_job_of_the_page_outlives_that_a_host_is_cut_off_and_the_host_is_as_good_as_new(
    hosts: Hosts,
) -> None:
    typed = lines()
    last = max(place for place, line in enumerate(typed) if line.who == "client")
    done = 0
    for line in typed[: last + 1]:
        if line.text.startswith(MAIN):
            cut_off_on_the_way(hosts, line)
            done += 1
        else:
            hosts.do(line)
    assert done == 1


def cut_off_on_the_way(desk: Hosts, line: Line) -> None:
    """Type the main job, cut off who runs it, and heal; then have that host take the next job."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    with (
        closing(desk.store) as store,
        subprocess.Popen(  # type: ignore[call-overload]
            desk.shell(line.text, line.who), cwd=desk.folder, env=desk.plain(), **pipes
        ) as waiting,
    ):
        nodes = {one.id: one.node for one in store.workers.roster()}

        def begun() -> list[Job]:
            assert waiting.poll() is None, waiting.stdout.read()
            running = store.jobs.search(states=[JobState.RUNNING])
            return [
                job for job in running if job.spec.detector == "ddad" and store.artifacts.checkpoints(job.id)
            ]

        desk.wait(begun, "it commits a checkpoint")
        (job,) = begun()
        first = nodes[str(job.worker)]
        children = attempt_processes(desk.units[first].pid)
        assert children
        desk.others[first].cut()
        desk.wait(lambda: not alive(children), "who is cut off ends what it runs by itself")
        said, _ = waiting.communicate(timeout=400)
        assert waiting.returncode == 0, said + desk.said_by_workers()
        attempts = store.jobs.attempts(job.id)
        assert [one.outcome.value for one in attempts] == ["lost", "succeeded"]
        (second,) = set(COMPUTING) - {first}
        assert [nodes[one.worker] for one in attempts] == [first, second]
        assert int(str(attempts[1].facts["resumed_step"])) >= 5
        back_at = store.jobs.get(job.id).finished_at
        desk.others[first].heal()
        desk.wait(
            lambda: any(one.node == first and one.seen_at > back_at for one in store.workers.roster()),
            "who was cut off is back",
        )
        # It takes the next job, while nobody else is there to.
        desk.end_unit(second)
        desk.bash(
            "adctl submit train --model pixel_mean --data /data/synth/screw --no-evaluate --wait",
            who="client",
        )
        next_one = max(store.jobs.search(), key=lambda one: one.created_at)
        assert [nodes[one.worker] for one in store.jobs.attempts(next_one.id)] == [first]
        desk.start_unit(second)
        shown(desk, job.id)


def shown(desk: Hosts, job: str) -> None:
    """Check that MLflow shows each step of the job once, whoever made it."""
    given = dotenv.parse((desk.folder / "client.env").read_text())
    env = {**desk.plain(), **given}

    def runs() -> Any:
        asked = [sys.executable, "-W", "ignore", "-c", ASK_MLFLOW, given["MLFLOW_TRACKING_URI"], job, ""]
        done = subprocess.run(asked, env=env, capture_output=True, text=True, check=True)
        return json.loads(done.stdout.splitlines()[-1])

    desk.wait(lambda: [run["status"] for run in runs()] == ["FINISHED"], "MLflow shows it")
    (run,) = runs()
    assert run["steps"] == list(range(1, len(run["steps"]) + 1))
    assert len(run["steps"]) == int(run["params"]["steps"])
