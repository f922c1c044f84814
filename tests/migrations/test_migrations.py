"""The migrations lead up, down and to exactly the declared tables, on both databases."""

import multiprocessing
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, select, text

import ad_migrations
from ad_migrations.steps import _config
from ad_platform.errors import InvalidValue, StoreDown, StoreMismatch, UnknownName
from ad_platform.records import Outcome
from ad_platform.specs import PictureAsk
from ad_platform.states import AttemptOutcome, Directive, FailureClass, JobKind
from ad_platform.store.engine import backend_of, open_store
from ad_platform.store.revision import HEAD, READABLE_FROM, REVISIONS, VERSION_TABLE, saying
from ad_platform.store.tables import metadata
from store_cases import SPEC, failed, holding, submit, take


@contextmanager
def connected(url: str) -> Iterator[Connection]:
    engine = backend_of(url, create=True).engine()
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def plain(value: object) -> str:
    """Return something reflected as text without the addresses of objects."""
    if isinstance(value, dict):
        return str(sorted((key, plain(inner)) for key, inner in value.items()))
    return str(value)


def shape(connection: Connection) -> dict[str, object]:
    """Return all that a comparison of metadata leaves out: checks, keys, the conditions of indexes."""
    look = inspect(connection)
    return {
        name: {
            "checks": sorted((c["name"] or "", c["sqltext"]) for c in look.get_check_constraints(name)),
            "indexes": sorted(plain(i) for i in look.get_indexes(name)),
            "unique": sorted(plain(u) for u in look.get_unique_constraints(name)),
            "foreign": sorted(plain(f) for f in look.get_foreign_keys(name)),
            "primary": plain(look.get_pk_constraint(name)),
            "columns": [(c["name"], str(c["type"]), c["nullable"]) for c in look.get_columns(name)],
        }
        for name in look.get_table_names()
        if name != VERSION_TABLE
    }


def test_there_is_one_head_and_the_platform_knows_it_and_all_before_it() -> None:
    scripts = ScriptDirectory.from_config(_config())
    assert scripts.get_heads() == [HEAD]
    assert ad_migrations.head() == HEAD
    known = [script.revision for script in scripts.walk_revisions()]
    assert tuple(reversed(known)) == REVISIONS


def test_the_migrated_schema_is_the_declared_schema(empty_url: str) -> None:
    ad_migrations.upgrade(empty_url)
    with connected(empty_url) as connection:
        options = {"compare_type": True, "version_table": VERSION_TABLE}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, metadata) == []


def test_migrated_and_created_tables_agree_in_checks_keys_and_partial_indexes(empty_url: str) -> None:
    ad_migrations.upgrade(empty_url)
    with connected(empty_url) as connection:
        migrated = shape(connection)
        # Undone at the end on PostgreSQL; on SQLite the file goes with the test.
        metadata.drop_all(connection)
        metadata.create_all(connection)
        assert shape(connection) == migrated


def test_up_down_and_up_again_leaves_the_same_schema(empty_url: str) -> None:
    ad_migrations.upgrade(empty_url)
    with connected(empty_url) as connection:
        before = shape(connection)
    ad_migrations.downgrade(empty_url, "base")
    assert ad_migrations.revision_of(empty_url) is None
    with connected(empty_url) as connection:
        assert shape(connection) == {}
    ad_migrations.upgrade(empty_url)
    with connected(empty_url) as connection:
        assert shape(connection) == before


def test_each_step_goes_up_and_down_by_itself(empty_url: str) -> None:
    for revision in REVISIONS:
        ad_migrations.upgrade(empty_url, revision)
        assert ad_migrations.revision_of(empty_url) == revision
    for revision in [*reversed(REVISIONS[:-1]), "base"]:
        ad_migrations.downgrade(empty_url, revision)
        assert ad_migrations.revision_of(empty_url) == (None if revision == "base" else revision)


def test_jobs_survive_the_way_back_and_up_again_and_a_pause_does_not(empty_url: str) -> None:
    ad_migrations.upgrade(empty_url)
    with closing(open_store(empty_url)) as store:
        job = submit(store)
        store.queues.pause("default", "ann")
    ad_migrations.downgrade(empty_url, "0001")
    ad_migrations.upgrade(empty_url)
    with closing(open_store(empty_url)) as store:
        assert store.jobs.get(job.id) == job
        assert store.queues.paused() == []


def test_trials_fall_on_the_way_down_and_nothing_else_does(empty_url: str) -> None:
    ad_migrations.upgrade(empty_url)
    with closing(open_store(empty_url)) as store:
        store.workers.hold([holding()])
        job = submit(store)
        trial = submit(store, spec=replace(SPEC, kind=JobKind.TRIAL), needs=(job.id,))
        lease = take(store)
        kept = store.jobs.get(job.id)
    ad_migrations.downgrade(empty_url, "0002")
    ad_migrations.upgrade(empty_url)
    with closing(open_store(empty_url)) as store:
        assert store.jobs.get(job.id) == replace(kept, cards=0)  # an older program does not count them
        assert store.leases.look(lease).directive is Directive.CONTINUE
        with pytest.raises(UnknownName):
            store.jobs.get(trial.id)
        assert submit(store).seq > job.seq


def test_predictions_fall_on_the_way_down_with_their_listings_and_nothing_else_does(empty_url: str) -> None:
    ad_migrations.upgrade(empty_url)
    with closing(open_store(empty_url)) as store:
        job = submit(store)
        asked = replace(SPEC, kind=JobKind.PREDICT, source=job.id, pictures=PictureAsk(count=3))
        prediction = submit(store, spec=asked)
        assert store.jobs.get(prediction.id).spec == asked
        listing = replace(holding(), fingerprint="listed", dataset="", category="")
        store.workers.hold([holding(), listing])
    ad_migrations.downgrade(empty_url, "0003")
    ad_migrations.upgrade(empty_url)
    with closing(open_store(empty_url)) as store:
        assert store.jobs.get(job.id) == job
        with pytest.raises(UnknownName):
            store.jobs.get(prediction.id)
        assert [one.fingerprint for one in store.workers.holdings()] == [holding().fingerprint]
        assert store.workers.holdings(fingerprint="listed") == []


def test_an_upgrade_of_an_upgraded_store_changes_nothing(empty_url: str) -> None:
    ad_migrations.upgrade(empty_url)
    ad_migrations.upgrade(empty_url)
    assert ad_migrations.check(empty_url) == HEAD


def test_several_processes_may_upgrade_one_fresh_store_at_once(empty_url: str) -> None:
    processes = [
        multiprocessing.get_context("spawn").Process(target=ad_migrations.upgrade, args=(empty_url,))
        for _ in range(3)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    open_store(empty_url).close()


def set_revision(url: str, revision: str, readable_from: str) -> None:
    """Make a store what a newer program would have made of it."""
    said = f"version_num = '{revision}', {READABLE_FROM} = '{saying(readable_from, revision)}'"
    with connected(url) as connection, connection.begin():
        connection.execute(text(f"UPDATE {VERSION_TABLE} SET {said}"))


def test_a_newer_store_asks_for_a_newer_program(empty_url: str) -> None:
    ad_migrations.upgrade(empty_url)
    set_revision(empty_url, "9999", "9998")
    with pytest.raises(StoreMismatch, match=r"become newer, .* upgrade adctl"):
        open_store(empty_url)
    with pytest.raises(StoreMismatch, match="upgrade adctl"):
        ad_migrations.upgrade(empty_url)
    with pytest.raises(StoreMismatch, match="upgrade adctl"):
        ad_migrations.check(empty_url)


def test_an_older_store_asks_to_be_upgraded(empty_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ad_migrations.upgrade(empty_url)
    monkeypatch.setattr("ad_platform.store.revision.REVISIONS", (*REVISIONS, "9998"))
    monkeypatch.setattr("ad_platform.store.revision.HEAD", "9998")
    with pytest.raises(StoreMismatch, match="this program needs 9998: adctl db upgrade"):
        open_store(empty_url)


def test_a_store_never_made_asks_to_be_made(empty_url: str) -> None:
    with pytest.raises(StoreMismatch, match="make one: adctl db upgrade"):
        open_store(empty_url)
    with pytest.raises(StoreMismatch, match="make one: adctl db upgrade"):
        ad_migrations.check(empty_url)
    assert ad_migrations.revision_of(empty_url) is None


def test_looking_for_a_store_does_not_make_one(tmp_path: Path) -> None:
    file = tmp_path / "store.db"
    assert ad_migrations.revision_of(f"sqlite:///{file}") is None
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_revision_is_named_with_those_there_are(empty_url: str) -> None:
    with pytest.raises(InvalidValue, match=r"'nonsense'.*0001"):
        ad_migrations.upgrade(empty_url, "nonsense")


def test_an_upgrade_makes_the_folder_of_its_file(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'a 100% new' / 'folder' / 'store.db'}"
    ad_migrations.upgrade(url)
    open_store(url).close()


def test_a_server_that_does_not_answer_is_one_line() -> None:
    with pytest.raises(StoreDown, match=r"postgresql://a:\*\*\*@127.0.0.1:1/x does not answer") as caught:
        ad_migrations.upgrade("postgresql://a:secret@127.0.0.1:1/x")
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


def test_what_jobs_are_found_by_is_read_from_those_that_are_there(empty_url: str) -> None:
    names = ("facets", "tags", "measures")

    def rows() -> dict[str, list[tuple[object, ...]]]:
        with connected(empty_url) as connection:
            tables = {name: metadata.tables[name] for name in names}
            return {name: sorted(map(tuple, connection.execute(select(of)))) for name, of in tables.items()}

    ad_migrations.upgrade(empty_url)
    with closing(open_store(empty_url)) as store:
        store.workers.hold([holding()])
        spec = replace(SPEC, dataset=replace(SPEC.dataset, dataset="MVTec", category='nu"T%'))
        submit(store, spec=spec, name="Night " + "x" * 300, tags={"a": "1", "benchmark": "b"}, group="g")
        submit(store, key="sweep/1/2/0", user="Zoë", queue="gold")
        lease = take(store)
        result = {"metrics": {"test/image_auroc": 0.9, "rate": float("nan")}, "images": 3}
        store.leases.finish(lease, Outcome(outcome=AttemptOutcome.SUCCEEDED, result=result))
    before = rows()
    assert [len(before[name]) for name in names] == [2, 2, 1]

    ad_migrations.downgrade(empty_url, "0005")
    ad_migrations.upgrade(empty_url)

    assert rows() == before


def test_a_job_whose_time_was_up_counts_as_stalled_on_the_way_down(empty_url: str) -> None:
    ad_migrations.upgrade(empty_url)
    with closing(open_store(empty_url)) as store:
        store.workers.hold([holding()])
        job = submit(store, timeout=60.0)
        store.leases.finish(take(store), failed(FailureClass.TIMEOUT, "too long"))
        other = submit(store)
        store.leases.finish(take(store), failed(FailureClass.OOM))
    ad_migrations.downgrade(empty_url, "0005")
    ad_migrations.upgrade(empty_url)
    with closing(open_store(empty_url)) as store:
        kept, halved = store.jobs.get(job.id), store.jobs.get(other.id)
        assert (kept.failure, kept.error, kept.timeout) == (FailureClass.STALLED, "too long", None)
        (attempt,) = store.jobs.attempts(job.id)
        assert (attempt.failure, attempt.sequel) == (FailureClass.STALLED, None)
        assert (halved.failure, halved.batch_divisor) == (FailureClass.OOM, 1)


def test_what_is_queued_for_the_cpu_is_known_by_its_spec_after_the_upgrade(empty_url: str) -> None:
    ad_migrations.upgrade(empty_url)
    with closing(open_store(empty_url)) as store:
        on_cpu = submit(store, spec=replace(SPEC, device="cpu"), memory_mb=500, preemptible=True)
        anywhere = submit(store, memory_from="learned")
    ad_migrations.downgrade(empty_url, "0008")
    ad_migrations.upgrade(empty_url)
    with connected(empty_url) as connection:
        jobs = metadata.tables["jobs"]
        rows = connection.execute(select(jobs.c.id, jobs.c.cpu_only, jobs.c.preemptible, jobs.c.memory_from))
        assert sorted(map(tuple, rows)) == sorted(
            [(on_cpu.id, True, False, ""), (anywhere.id, False, False, "")]
        )
