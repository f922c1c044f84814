"""However many promote at once, and wherever who tells MLflow dies: one champion, and both say the same."""

import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from threading import Event

import psutil
import pytest

import ad_migrations
from ad_platform import settings as settings_of
from ad_platform.failpoints import Edge
from ad_platform.records import Champion
from ad_platform.registry.projection import Projection
from ad_platform.registry.promotion import promote
from ad_platform.settings import Settings
from ad_platform.storage import open_storage
from ad_platform.tracking.mlflow import MlflowTracker, open_tracker
from ad_platform.tracking.models import MlflowModels
from host_cluster import cluster_of_hosts
from job_stories import Stories
from mlflow_home import QUIET, child_environment, mlflow_home
from mortal_mlflow import mortal_mlflow
from racing import DONE, KILLED, REFUSED, Race, Racing, racing

pytestmark = [pytest.mark.filterwarnings(words) for words in QUIET]
RACERS = 20
ON_ONE_DATABASE = pytest.mark.parametrize(
    "place", ["sqlite", pytest.param("hosts", marks=[pytest.mark.postgres, pytest.mark.slow])], indirect=True
)


@dataclass(frozen=True)
class Place:
    """Where store, storage and MLflow are, and a program that races there."""

    new_url: Callable[[], str]  # of a store for one test; "" is a file of its own
    storage_url: str  # "" is a folder of its own
    settings: Settings  # name MLflow
    environment: Mapping[str, str] = field(default_factory=dict)  # of the program, if it is not here


@pytest.fixture(
    scope="module",
    params=[
        "sqlite",
        pytest.param("postgres", marks=pytest.mark.postgres),
        pytest.param("hosts", marks=[pytest.mark.postgres, pytest.mark.slow]),
    ],
)
def place(request: pytest.FixtureRequest, folder: Path) -> Iterator[Place]:
    """Give this machine with a database of either kind, or hosts: of the store, of the storage, of MLflow."""
    settings = mlflow_home("promotions")[0]
    if request.param == "sqlite":
        yield Place(lambda: "", "", settings)
    elif request.param == "postgres":
        yield Place(request.getfixturevalue("postgres").new_database, "", settings)
    else:
        with (
            cluster_of_hosts(folder / "hosts") as hosts,
            mortal_mlflow(folder / "mlflow", hosts.mlflow) as server,
        ):
            server.start()
            more = {**hosts.environment, "MLFLOW_TRACKING_URI": server.url}
            environment = {**child_environment(folder), **more}
            storage = more["ADCTL_STORAGE_URL"]
            yield Place(hosts.new_database, storage, settings_of.load(environment), environment)


@pytest.fixture
def stories(place: Place, tmp_path: Path) -> Iterator[Stories]:
    url = place.new_url()
    if url:
        ad_migrations.upgrade(url)
    made = Stories(tmp_path, url)
    if place.storage_url:
        made.storage = open_storage(place.storage_url)
    yield made
    made.store.close()


@pytest.fixture(scope="module")
def program_here() -> Iterator[Racing]:
    """Give the program on this machine, for stores of either kind: it takes seconds to load."""
    with racing(child_environment(mlflow_home("promotions")[0].home)) as made:
        yield made


@pytest.fixture(scope="module")
def program(request: pytest.FixtureRequest, place: Place) -> Iterator[Racing]:
    if not place.environment:
        yield request.getfixturevalue("program_here")
        return
    with racing(dict(place.environment)) as made:
        yield made


@pytest.fixture
def tracker(place: Place) -> MlflowTracker:
    return open_tracker(place.settings)


@pytest.fixture
def race(place: Place, stories: Stories, program: Racing) -> Race:
    storage = place.storage_url or str(stories.folder / "storage")
    places = {"ADCTL_DATABASE_URL": stories.url, "ADCTL_STORAGE_URL": storage}
    return Race(program, {**places, "ADCTL_FAILPOINT": ""})


@pytest.fixture
def category(request: pytest.FixtureRequest) -> str:
    """A registered model of this test's own: all tests share one MLflow."""
    return "".join(char for char in request.node.name if char.isalnum())


def check_decisions(stories: Stories, model: str) -> list[Champion]:
    """Check that each decision was judged against the one before, without gaps; return them, oldest first."""
    decisions = stories.store.champions.history(model)[::-1]
    assert [one.revision for one in decisions] == list(range(1, len(decisions) + 1))
    assert [one.evidence["against"] for one in decisions] == [None, *range(1, len(decisions))]
    for before, after in pairwise(decisions):
        gate = next(g for g in after.evidence["gates"] if g["gate"] == "no worse")  # type: ignore[union-attr,index,call-overload]
        assert gate["evidence"].get("against", before.job_id) == before.job_id  # type: ignore[union-attr,index,call-overload]
    return decisions


def check_agreement(stories: Stories, tracker: MlflowTracker, model: str) -> None:
    """Check that MLflow's alias names the one version of the decision in force, which the store knows."""
    current = stories.store.champions.current(model, "champion")
    assert current is not None
    version = tracker.client.get_model_version_by_alias(model, "champion")
    assert current.published == str(version.version)
    assert (version.tags["adctl.job_id"], version.tags["adctl.revision"]) == (
        current.job_id,
        str(current.revision),
    )
    found = tracker.client.search_model_versions(f"name = '{model}'")
    marks = [one.tags["adctl.decision"] for one in found]
    assert len(marks) == len(set(marks)), "a decision has two versions"
    assert stories.store.champions.unpublished() == []
    uploads = tracker.client.list_artifacts(version.run_id, "registered")
    used = {one.source.rpartition("/")[2] for one in found}
    assert {file.path.rpartition("/")[2] for file in uploads} <= used, "an upload is left over"


def test_of_many_who_promote_at_once_one_is_champion_and_mlflow_says_so(
    stories: Stories, race: Race, tracker: MlflowTracker, category: str
) -> None:
    model = f"ddad-mvtec-{category}"
    jobs = [stories.trained(0.5 + place / 2 / RACERS, category=category) for place in range(RACERS)]
    ended = race.promote([job.id for job in jobs])
    assert set(ended) <= {DONE, REFUSED}
    decisions = check_decisions(stories, model)
    assert len(decisions) == ended.count(DONE) >= 1
    assert {one.job_id for one in decisions} == {
        job.id for job, code in zip(jobs, ended, strict=True) if code == DONE
    }
    assert race.project(count=3) == [DONE] * 3
    check_agreement(stories, tracker, model)


def kill_at_every_step(stories: Stories, race: Race, tracker: MlflowTracker, category: str) -> int:
    """Decide, let a process die at a step of telling it, let another go on; return how many died."""
    jobs = [stories.trained(0.9, category=category) for _ in range(2)]
    for step in range(1, 100):
        promote(stories.store, stories.storage, jobs[step % 2], "champion", "ann")
        if race.project(die_at=step) == [DONE]:
            return step - 1
        assert race.project() == [DONE]
        check_agreement(stories, tracker, f"ddad-mvtec-{category}")
    raise AssertionError("it never came to an end")


@ON_ONE_DATABASE
def test_a_kill_at_every_step_leaves_store_and_mlflow_in_agreement(
    stories: Stories, race: Race, tracker: MlflowTracker, category: str
) -> None:
    model = f"ddad-mvtec-{category}"
    died = kill_at_every_step(stories, race, tracker, category)
    # Upload, version, alias and note, each before and after; of the first decision the model's name too.
    assert died >= 8
    check_agreement(stories, tracker, model)
    assert len(check_decisions(stories, model)) == died + 1


def test_who_dies_while_promoting_has_decided_or_has_not(stories: Stories, race: Race, category: str) -> None:
    job = stories.trained(0.9, category=category)
    assert race.promote([job.id], die_at=1) == [KILLED]
    assert stories.store.champions.history() == []
    assert race.promote([job.id], die_at=2) == [KILLED]
    (decision,) = stories.store.champions.unpublished()
    assert race.promote([job.id]) == [DONE]
    assert stories.store.champions.history() == [decision]


@contextmanager
def stopped_at(edge: Edge, file: Path, act: Callable[[str], list[int]]) -> Iterator[list[int]]:
    """Have a process stop at an edge and go on afterwards; the list then says how it ended."""
    ended: list[int] = []
    with ThreadPoolExecutor(1) as aside:
        racing = aside.submit(act, f"{edge}:stop={file}")
        end = time.monotonic() + 60
        while not (file.exists() and file.read_text().endswith("\n")):
            assert time.monotonic() < end
            assert not racing.done(), racing.result()
            Event().wait(0.02)
        process = psutil.Process(int(file.read_text()))
        try:
            while process.status() != psutil.STATUS_STOPPED:
                Event().wait(0.02)
            yield ended
        finally:
            os.kill(process.pid, signal.SIGCONT)
        ended += racing.result(60)


def test_who_was_stopped_before_the_decision_and_overtaken_decides_nothing(
    stories: Stories, race: Race, tmp_path: Path, category: str
) -> None:
    worse, better = (stories.trained(auroc, category=category) for auroc in (0.7, 0.9))
    with stopped_at(
        Edge.DECIDE, tmp_path / "s", lambda trap: race.trapped(trap).promote([worse.id])
    ) as ended:
        won = promote(stories.store, stories.storage, better, "champion", "ann")
    # It was told that the champion changed, asked the gates again, of this one, and was refused.
    assert ended == [REFUSED]
    assert stories.store.champions.history() == [won]


@ON_ONE_DATABASE
@pytest.mark.parametrize("edge", [Edge.REGISTER, Edge.REGISTERED])
def test_who_was_stopped_while_telling_mlflow_and_overtaken_leaves_the_newest_decision(
    stories: Stories, race: Race, tracker: MlflowTracker, tmp_path: Path, category: str, edge: Edge
) -> None:
    jobs = [stories.trained(0.9, category=category) for _ in range(2)]
    promote(stories.store, stories.storage, jobs[0], "champion", "ann")
    with stopped_at(edge, tmp_path / "s", lambda trap: race.trapped(trap).project()) as ended:
        newest = promote(stories.store, stories.storage, jobs[1], "champion", "ann")
        assert Projection(stories.store, stories.storage, MlflowModels(tracker))() == 1
        check_agreement(stories, tracker, newest.model)
    assert ended == [DONE]
    check_agreement(stories, tracker, newest.model)
    assert [one.revision for one in stories.store.champions.in_force()] == [2]


@pytest.mark.slow
def test_of_equals_all_are_champion_once_one_after_the_other(
    stories: Stories, race: Race, tracker: MlflowTracker, category: str
) -> None:
    model = f"ddad-mvtec-{category}"
    jobs = [stories.trained(0.9, category=category) for _ in range(RACERS)]
    assert race.promote([job.id for job in jobs]) == [DONE] * RACERS
    assert len(check_decisions(stories, model)) == RACERS
    died = kill_at_every_step(stories, race, tracker, category)
    assert died >= 8
    for step in range(1, 9):
        promote(stories.store, stories.storage, jobs[step], "champion", "ann")
        race.project(die_at=step, count=4)
        assert race.project(count=4) == [DONE] * 4
        check_agreement(stories, tracker, model)
