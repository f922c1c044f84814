"""Store, broker, storage and MLflow are judged by what they answer."""

import socket
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from ad_platform import settings as environment
from ad_platform.devices import Card, Devices
from ad_platform.doctor import services, stores
from ad_platform.doctor.findings import Level
from ad_platform.doctor.web import ask_mlflow
from ad_platform.queue.facts import read_info
from ad_platform.records import WorkerRecord
from ad_platform.settings import Settings
from ad_platform.stack import ports
from ad_platform.stack.places import Places
from answering import answering
from clientkit import migrated


def settings(home: Path, **more: str) -> Settings:
    return environment.load({"ADCTL_HOME": str(home), **more})


def test_a_store_that_was_never_made_is_no_problem(tmp_path):
    (found,) = stores.store(settings(tmp_path))

    assert (found.level, found.remedy) == (Level.WARNING, "adctl up makes it")
    assert list(tmp_path.iterdir()) == []


def test_a_good_store_answers_with_its_clock_and_its_workers(tmp_path):
    migrated(tmp_path)

    found = list(stores.store(settings(tmp_path)))

    assert [(each.about, each.level) for each in found] == [
        ("store", Level.OK),
        ("workers", Level.WARNING),
    ]


@pytest.mark.parametrize(
    ("revision", "words"), [("9999", "newer than this program's"), ("0001", "adctl db upgrade")]
)
def test_a_store_of_another_schema_is_a_problem_that_says_which_side_to_upgrade(tmp_path, revision, words):
    file = migrated(tmp_path)
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("UPDATE adctl_version SET version_num = ?", (revision,))

    (found,) = stores.store(settings(tmp_path))

    assert found.level is Level.PROBLEM
    assert words in found.words


def test_a_file_that_is_no_database_is_a_damaged_store(tmp_path):
    (tmp_path / "store.db").write_bytes(b"no database at all" * 100)

    (found,) = stores.store(settings(tmp_path))

    assert found.level is Level.PROBLEM
    assert "is damaged" in found.words


def test_a_store_that_does_not_answer_is_a_problem_without_its_password(tmp_path):
    pytest.importorskip("psycopg")
    away = "postgresql://adctl:geheim@127.0.0.1:1/adctl"

    (found,) = stores.store(settings(tmp_path, ADCTL_DATABASE_URL=away))

    assert found.level is Level.PROBLEM
    assert "geheim" not in found.words


def test_a_card_elsewhere_that_cannot_be_used_is_a_problem_and_one_here_is_told_once():
    facts = Devices(cards=(Card(name="H100", problem="its driver is old; update it"),)).to_json()
    roster = [
        WorkerRecord(id=f"{node}-1", node=node, pid=1, slots=2, facts=facts) for node in ("here", "far")
    ]

    found = list(stores.workers(roster, "here", "1.0"))

    assert found[0].words == "2 online with 4 slots: here-1 on here, far-1 on far"
    assert [(each.words, each.remedy) for each in found[1:]] == [
        ("H100 on node far cannot be used: its driver is old", "update it")
    ]


def test_a_worker_of_another_adctl_is_told_unless_nobody_knows_which_it_is():
    roster = [
        WorkerRecord(id=f"w{version}", node="far", pid=1, slots=1, facts={"adctl": version})
        for version in ("0.9", "1.0", "unknown")
    ]

    told = [each.words for each in stores.workers(roster, "here", "1.0")][1:]

    assert told == ["w0.9 on far runs adctl 0.9, this is 1.0"]
    assert len(list(stores.workers(roster, "here", "unknown"))) == 1


def test_without_services_the_stack_and_its_broker_are_warnings(tmp_path):
    here = settings(tmp_path)

    found = [*services.stack(here), *services.broker(here)]

    assert [each.level for each in found] == [Level.WARNING] * 2
    assert all("adctl up" in each.remedy for each in found)


def test_a_port_that_somebody_took_is_told_and_up_takes_another(tmp_path):
    here = settings(tmp_path)
    places = Places(here)
    places.stack.mkdir()
    first = ports.choose(places)
    assert ports.choose(places) == first == ports.kept(places)

    with socket.create_server(("127.0.0.1", first)):
        told = [each for each in services.stack(here) if each.about == "port"]
        assert [(each.level, each.words) for each in told] == [
            (Level.WARNING, f"{first}, where MLflow's pages were, is taken")
        ]
        assert ports.choose(places) not in (None, first)


def test_a_broker_elsewhere_that_does_not_answer_is_a_problem_without_its_password(tmp_path):
    (found,) = services.broker(settings(tmp_path, ADCTL_BROKER_URL="redis://:geheim@127.0.0.1:1/0"))

    assert found.level is Level.PROBLEM
    assert "geheim" not in found.words


def test_what_a_broker_says_of_itself_is_read():
    valkey = read_info(
        {
            "redis_version": "7.2.4",
            "valkey_version": "9.1.0",
            "maxmemory_policy": "noeviction",
            "aof_enabled": 1,
        }
    )
    cache = read_info({"redis_version": "6.0.16", "maxmemory_policy": "allkeys-lru", "maxmemory": 10**8})

    assert (valkey.program, valkey.version, valkey.evicts, valkey.keeps) == (
        "Valkey 9.1.0",
        (7, 2, 4),
        False,
        True,
    )
    assert (cache.program, cache.version < services.OLDEST, cache.evicts, cache.keeps) == (
        "Redis 6.0.16",
        True,
        True,
        False,
    )
    assert (
        read_info({"redis_version": "7.0.0", "maxmemory_policy": "allkeys-lru", "maxmemory": 0}).evicts
        is False
    )


def test_a_storage_folder_is_judged_without_making_it(tmp_path):
    (fresh,) = services.storage(settings(tmp_path, ADCTL_STORAGE_URL=str(tmp_path / "new" / "one")))
    (tmp_path / "file").write_text("")
    (wrong,) = services.storage(settings(tmp_path, ADCTL_STORAGE_URL=f"file://{tmp_path}/file"))

    assert fresh.level is Level.OK
    assert wrong.level is Level.PROBLEM
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_a_remote_storage_is_tried_and_left_as_it_was(tmp_path):
    pytest.importorskip("fsspec")
    (found,) = services.storage(settings(tmp_path, ADCTL_STORAGE_URL="memory://doctor-test"))
    import fsspec

    assert found.level is Level.OK
    assert fsspec.filesystem("memory").find("/doctor-test") == []


@pytest.mark.parametrize("uri", ["./mlruns", "file:///tmp/mlruns", "/tmp/mlruns"])
def test_a_folder_for_mlflow_is_a_problem(tmp_path, uri):
    (found,) = services.tracking(settings(tmp_path, MLFLOW_TRACKING_URI=uri))

    assert found.level is Level.PROBLEM


Serve = Callable[[int, bytes], str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    with answering() as start:
        yield lambda code, body: start(code, body, account="Basic a2ltOmdlaGVpbQ==")


def test_an_mlflow_that_answers_is_fine_and_each_refusal_says_what_to_do(serve):
    account = {"MLFLOW_TRACKING_USERNAME": "kim", "MLFLOW_TRACKING_PASSWORD": "geheim"}
    assert ask_mlflow(serve(200, b'{"experiments": []}'), {}).level is Level.OK
    assert ask_mlflow(serve(401, b"{}"), account).level is Level.OK
    assert "MLFLOW_TRACKING_PASSWORD" in ask_mlflow(serve(401, b"{}"), {}).remedy
    assert "--allowed-hosts" in ask_mlflow(serve(403, b"{}"), {}).remedy
    assert "does not answer as MLflow" in ask_mlflow(serve(200, b"<html>"), {}).words
    assert ask_mlflow("http://127.0.0.1:1", {}).level is Level.PROBLEM
