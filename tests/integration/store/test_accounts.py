"""On PostgreSQL a client cannot do what workers do, nor a worker what people decide; each can do its own."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import psycopg
import pytest
from typer.testing import CliRunner

import ad_migrations
from accounts import TwoAccounts, accounts
from ad_cli.main import app, run
from ad_migrations import Side
from ad_migrations.roles import RIGHTS, tables
from ad_platform.errors import Forbidden, InvalidRequest, StoreMismatch, UnknownName
from ad_platform.records import Champion, CheckpointRecord, Outcome, Progress, PushedData, StageRecord, Study
from ad_platform.states import AttemptOutcome, CollectedState, JobState, StudyState
from ad_platform.store.engine import SqlStore
from services import PostgresServer
from store_cases import CAN, SUCCESS, failed, holding, submit, take, worker

pytestmark = pytest.mark.postgres
STUDY = Study(id="s1", name="night", user="ann", spec={}, wanted=3, parallel=1, state=StudyState.RUNNING)


@pytest.fixture(scope="module")
def url(postgres: PostgresServer) -> str:
    made = postgres.new_database()
    ad_migrations.upgrade(made)
    return made


@pytest.fixture
def both(url: str) -> Iterator[TwoAccounts]:
    store = TwoAccounts(accounts(url))
    store.workers.register(worker("w1"))
    store.workers.hold([holding()])
    yield store
    for job in store.jobs.search(states=(JobState.RUNNING, JobState.QUEUED, JobState.WAITING)):
        store.jobs.cancel(job.id)
    with psycopg.connect(url) as connection:
        connection.execute("UPDATE jobs SET state = 'cancelled', lease_until = NULL WHERE state = 'running'")
        connection.execute("UPDATE attempts SET outcome = 'lost' WHERE outcome = 'running'")
    store.close()


def succeeded(both: TwoAccounts) -> str:
    submit(both)
    return both.leases.finish(take(both), SUCCESS).id


def decision(job_id: str, model: str) -> Champion:
    return Champion(
        model=model, alias="champion", revision=1, job_id=job_id, user="ann", reason="", evidence={}
    )


def test_every_table_says_what_each_side_may_do_and_names_columns_that_there_are() -> None:
    for side in Side:
        assert set(RIGHTS[side]) == set(tables().tables), (
            f"a table without rights for the {side}, or too many"
        )
        for name, rights in RIGHTS[side].items():
            columns = set(tables().tables[name].columns.keys())
            assert {*rights.columns, *(rights.fixed or ())} <= columns, name


def test_a_job_a_study_and_a_promotion_pass_through_the_hands_of_both(both: TwoAccounts, url: str) -> None:
    job = submit(both, tags={"a": "b"})
    both.queues.pause("default", "ann")
    both.queues.resume("default")
    both.outbox.rung([entry.seq for entry in both.outbox.owed()])
    lease = take(both)
    both.leases.renew(lease, Progress(step=1, of=2))
    both.leases.note(lease, {"threads": 1})
    both.artifacts.record_checkpoint(lease, checkpoint(lease.job_id, lease.attempt))
    both.leases.finish(lease, failed())
    with psycopg.connect(url) as connection:
        connection.execute("UPDATE jobs SET not_before = 0")
    done = both.leases.finish(take(both), SUCCESS)
    assert (done.id, done.state) == (job.id, JobState.SUCCEEDED)
    assert both.jobs.measures() == ["auroc"]
    both.champions.promote(decision(job.id, "handed-on"))
    both.champions.published(both.champions.unpublished()[0], "1")
    shipment = both.shipments.claim("me", 60.0)[0]
    both.shipments.done(shipment, "run", 1)

    both.studies.create(STUDY)
    assert both.studies.claim("s1", "me", 60.0)
    both.studies.summarise("s1", "me", {"best": 1}, finished=True)
    both.studies.release("s1", "me")
    assert both.studies.steer("s1", wanted=5).wanted == 5
    assert both.retention.claim("me", 60.0)
    assert both.retention.condemn("me", "ann", [job.id]) == {job.id}
    both.retention.settle("me", "ann", {f"jobs/{job.id}": CollectedState.TRASHED})


def test_a_client_pushes_pictures_to_a_store_that_nobody_has_used(postgres: PostgresServer) -> None:
    fresh = postgres.new_database()
    ad_migrations.upgrade(fresh)
    store = TwoAccounts(accounts(fresh))
    assert (
        store.client.retention.identity() == store.worker.retention.identity()
    )  # the list of a set bears it
    note = PushedData(fingerprint="f" * 64, dataset="d", category="c", files=1, size=1, user="ann")
    assert store.client.pushed.record(note).user == "ann"
    store.close()
    postgres.drop(fresh)


def test_a_client_notices_a_lease_that_ran_out_when_all_workers_are_gone(both: TwoAccounts) -> None:
    job = submit(both)
    take(both, seconds=1e-6)
    assert [one.id for one in both.client.leases.reap()] == [job.id]
    assert both.client.jobs.get(job.id).state is JobState.QUEUED


def checkpoint(job_id: str, attempt: int = 1) -> CheckpointRecord:
    return CheckpointRecord(
        job_id=job_id, attempt=attempt, step=1, prefix="p", manifest_sha256="a" * 64, size=1
    )


CLIENT_MAY_NOT: dict[str, Callable[[SqlStore, TwoAccounts], object]] = {
    "lease": lambda store, _: store.leases.lease(CAN, 60.0),
    "renew": lambda store, both: store.leases.renew(take(both), Progress(step=1, of=2)),
    "note": lambda store, both: store.leases.note(take(both), {"a": 1}),
    "succeed": lambda store, both: store.leases.finish(
        take(both), Outcome(outcome=AttemptOutcome.SUCCEEDED, result={"metrics": {"auroc": 1.0}})
    ),
    "record a checkpoint": lambda store, both: store.artifacts.record_checkpoint(
        lease := take(both), checkpoint(lease.job_id, lease.attempt)
    ),
    "record a stage": lambda store, both: store.artifacts.record_stage(
        lease := take(both),
        StageRecord(key="k", detector="ddad", stage="s", job_id=lease.job_id, manifest_sha256="a", size=1),
    ),
    "be a worker": lambda store, _: store.workers.register(worker("mine")),
    "beat for one": lambda store, _: store.workers.beat("w1"),
    "publish a detector": lambda store, _: store.workers.publish({"ddad": {"evil": True}}, "w1"),
    "ship": lambda store, _: store.shipments.claim("me", 60.0),
    "publish a champion": lambda store, both: store.champions.published(
        decision(both.jobs.find("@last").id, "m"), "9"
    ),
    "advance a study": lambda store, _: store.studies.claim("s1", "me", 60.0),
    "collect": lambda store, _: store.retention.claim("me", 60.0),
    "forget a stage": lambda store, _: store.audit.forget_stage("k", "a"),
}
WORKER_MAY_NOT: dict[str, Callable[[SqlStore, TwoAccounts], object]] = {
    "promote": lambda store, both: store.champions.promote(decision(succeeded(both), "mine")),
    "pause a queue": lambda store, _: store.queues.pause("other", "ann"),
    "begin a study": lambda store, _: store.studies.create(replace(STUDY, id="s2", name="mine")),
    "enlarge a study": lambda store, both: (
        both.studies.create(STUDY),
        store.studies.steer("s1", wanted=999),
    ),
}
# What no statement of adctl's says, said by somebody who has got hold of the account.
NEITHER_MAY = (
    "UPDATE jobs SET spec = '{}'",
    "UPDATE jobs SET \"user\" = 'somebody'",
    "UPDATE jobs SET id = 'x'",
    "DELETE FROM jobs",
    "DELETE FROM events",
    "UPDATE events SET data = '{}'",
    "DELETE FROM champions",
    "UPDATE champions SET job_id = 'x'",
    "UPDATE adctl_version SET version_num = '0001'",
    "TRUNCATE outbox",
    "DROP TABLE outbox",
    "ALTER TABLE jobs ADD COLUMN x int",
    "CREATE TABLE mine (x int)",
    "CREATE SCHEMA mine",
    "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
)


@pytest.mark.parametrize("what", CLIENT_MAY_NOT)
def test_a_client_may_not(what: str, both: TwoAccounts) -> None:
    submit(both)
    with pytest.raises(Forbidden, match=r"may not do this .*permission denied"):
        CLIENT_MAY_NOT[what](both.client, both)


@pytest.mark.parametrize("what", WORKER_MAY_NOT)
def test_a_worker_may_not(what: str, both: TwoAccounts) -> None:
    with pytest.raises(Forbidden, match="may not do this"):
        WORKER_MAY_NOT[what](both.worker, both)


@pytest.mark.parametrize("statement", NEITHER_MAY)
def test_neither_may(statement: str, url: str) -> None:
    for address in (accounts(url).client, accounts(url).worker):
        with psycopg.connect(address) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(statement)


def test_a_client_may_not_write_results_by_hand(url: str) -> None:
    for statement in (
        "UPDATE jobs SET result = '{}'",
        "UPDATE jobs SET attempt = 9",
        "UPDATE jobs SET worker = 'me'",
        "INSERT INTO measures VALUES ('auroc', 'train', 1, 1.0)",
        "INSERT INTO checkpoints SELECT * FROM checkpoints",
        "INSERT INTO attempts SELECT * FROM attempts",
        "INSERT INTO trials SELECT * FROM trials",
        "UPDATE trials SET values = '[1]'",
    ):
        with (
            psycopg.connect(accounts(url).client) as connection,
            pytest.raises(psycopg.errors.InsufficientPrivilege),
        ):
            connection.execute(statement)


def test_rights_are_given_again_after_whatever_was_granted_before(url: str) -> None:
    given = accounts(url)
    role = psycopg.conninfo.conninfo_to_dict(given.client)["user"]
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f'GRANT ALL ON jobs TO "{role}"')
        connection.execute(f'GRANT UPDATE (result) ON jobs TO "{role}"')
    accounts.__wrapped__(url)
    with psycopg.connect(given.client) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("UPDATE jobs SET result = '{}'")


def test_what_cannot_be_granted_is_said(url: str, postgres: PostgresServer, tmp_path) -> None:
    with pytest.raises(UnknownName, match="no account of PostgreSQL named 'nobody1'"):
        ad_migrations.grant(url, {Side.CLIENT: "nobody1"})
    with pytest.raises(InvalidRequest, match="owns the store"):
        ad_migrations.grant(url, {Side.CLIENT: "adctl"})
    role = str(psycopg.conninfo.conninfo_to_dict(accounts(url).client)["user"])
    with pytest.raises(InvalidRequest, match="an account each"):
        ad_migrations.grant(url, {Side.CLIENT: role, Side.WORKER: role})
    with pytest.raises(InvalidRequest, match="only who owns the tables"):
        ad_migrations.grant(accounts(url).worker, {Side.CLIENT: role})
    with pytest.raises(InvalidRequest, match="a store in a file"):
        ad_migrations.grant(f"sqlite:///{tmp_path}/store.db", {Side.CLIENT: role})
    bare = postgres.new_database()
    with pytest.raises(StoreMismatch, match="adctl db upgrade"):
        ad_migrations.grant(bare, {Side.CLIENT: role})


def test_the_command_gives_the_rights_and_a_refusal_is_a_line(
    url: str, monkeypatch, capsys, tmp_path
) -> None:
    monkeypatch.setenv("ADCTL_HOME", str(tmp_path))
    given = accounts(url)
    names = [str(psycopg.conninfo.conninfo_to_dict(one)["user"]) for one in (given.client, given.worker)]
    monkeypatch.setenv("ADCTL_DATABASE_URL", url)
    assert run(["db", "grant", "--client", names[0], "--worker", names[1]]) == 0
    assert f"{names[0]} may ask for work" in capsys.readouterr().err
    monkeypatch.setenv("ADCTL_DATABASE_URL", given.client)
    assert run(["db", "upgrade"]) == 0  # it is up to date: nothing is written
    capsys.readouterr()
    assert run(["worker", "drain", "w1"]) in (0, 2)  # allowed, be one there or not
    assert run(["gc"]) == 2
    told = capsys.readouterr().err
    assert "may not do this" in told
    assert "Traceback" not in told
    assert CliRunner().invoke(app, ["db", "grant", "--help"]).exit_code == 0
