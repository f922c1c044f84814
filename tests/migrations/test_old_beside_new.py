"""A newer store beside older programs: which may go on, who leaves first, and what expanding means."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import pytest
from sqlalchemy import Connection, inspect, text

import ad_migrations
from ad_migrations import rolling, steps
from ad_platform.errors import Conflict, StoreMismatch
from ad_platform.records import WorkerRecord
from ad_platform.states import Directive
from ad_platform.store.engine import backend_of, open_store
from ad_platform.store.revision import EXPANDING, HEAD, READABLE_FROM, REVISIONS, VERSION_TABLE, saying
from store_cases import holding, submit, take

NEWER = "9999"  # a revision that this program does not know: it is the older one


@contextmanager
def connected(url: str) -> Iterator[Connection]:
    engine = backend_of(url).engine()
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def outgrow(url: str, readable_from: str | None, *statements: str) -> None:
    """Do to a store what a newer program's upgrade would do."""
    with connected(url) as connection, connection.begin():
        for statement in statements:
            connection.execute(text(statement))
        said = "NULL" if readable_from is None else f"'{saying(readable_from, NEWER)}'"
        connection.execute(
            text(f"UPDATE {VERSION_TABLE} SET version_num = '{NEWER}', {READABLE_FROM} = {said}")
        )


def test_an_upgraded_store_says_which_programs_may_use_it(empty_url: str) -> None:
    assert ad_migrations.readers_of(empty_url) is None
    for revision in ("0009", "0010"):
        ad_migrations.upgrade(empty_url, revision)
        assert ad_migrations.readers_of(empty_url) == EXPANDING.get(revision, revision)
    ad_migrations.downgrade(empty_url, "0009")
    assert ad_migrations.readers_of(empty_url) == "0009"


def test_a_program_goes_on_with_a_newer_store_that_is_for_it_too(empty_url: str) -> None:
    ad_migrations.upgrade(empty_url)
    with closing(open_store(empty_url)) as store:
        store.workers.hold([holding()])
        first, second = submit(store), submit(store)
        lease = take(store)
        outgrow(
            empty_url,
            HEAD,
            "ALTER TABLE jobs ADD COLUMN news TEXT",
            "ALTER TABLE attempts ADD COLUMN news INTEGER NOT NULL DEFAULT 0",
            "CREATE TABLE more (id TEXT PRIMARY KEY)",
        )
        store.require_schema()
        assert store.leases.renew(lease).directive is Directive.CONTINUE
        store.leases.give_back(lease, "it leaves")
    with closing(open_store(empty_url)) as store:  # one that starts now
        assert ad_migrations.check(empty_url) == NEWER
        assert take(store).job_id in {first.id, second.id}
        assert submit(store).seq > second.seq


@pytest.mark.parametrize("readable_from", ["9998", NEWER, None])
def test_a_program_is_refused_by_a_newer_store_that_is_not_for_it(
    empty_url: str, readable_from: str | None
) -> None:
    ad_migrations.upgrade(empty_url)
    with closing(open_store(empty_url)) as store:
        outgrow(empty_url, readable_from)
        with pytest.raises(StoreMismatch, match=r"newer.*upgrade adctl"):
            store.require_schema()
    with pytest.raises(StoreMismatch, match=r"newer.*upgrade adctl"):
        open_store(empty_url)


def test_what_was_said_of_another_revision_says_nothing(empty_url: str) -> None:
    ad_migrations.upgrade(empty_url)
    with connected(empty_url) as connection, connection.begin():  # as by a developer's alembic
        connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '{NEWER}'"))
    with pytest.raises(StoreMismatch, match="newer"):
        open_store(empty_url)


def test_a_column_that_must_have_a_value_is_a_newer_schema_and_no_fault(empty_url: str) -> None:
    ad_migrations.upgrade(empty_url)
    with closing(open_store(empty_url)) as store:
        more = "ALTER TABLE jobs ADD COLUMN news TEXT NOT NULL DEFAULT ''"
        with connected(empty_url) as connection, connection.begin():
            if connection.dialect.name == "sqlite":
                pytest.skip("SQLite takes no default away from a column")
            connection.execute(text(more))
            connection.execute(text("ALTER TABLE jobs ALTER COLUMN news DROP DEFAULT"))
        with pytest.raises(StoreMismatch, match="asks for more than this adctl knows"):
            submit(store)


def registered(url: str, *ids: str, schema: str | None = None) -> None:
    with closing(open_store(url)) as store:
        for name in ids:
            facts = {"schema": schema} if schema else {}
            store.workers.register(WorkerRecord(id=name, node="n1", pid=1, slots=1, facts=facts))


def one_before(url: str) -> None:
    """Leave a store one revision back, at which its workers are."""
    ad_migrations.downgrade(url, REVISIONS[-2])


def gone(url: str, name: str) -> None:
    with connected(url) as connection, connection.begin():
        connection.execute(text("UPDATE workers SET state = 'gone' WHERE id = :id"), {"id": name})


@pytest.fixture
def taking_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the newest revision be one that older programs cannot work with."""
    monkeypatch.setattr("ad_platform.store.revision.EXPANDING", {})


@pytest.mark.usefixtures("taking_away")
def test_workers_that_are_too_old_leave_before_the_schema_changes(empty_url: str) -> None:
    ad_migrations.upgrade(empty_url)
    registered(empty_url, "old", "older")
    registered(empty_url, "new", schema=HEAD)
    one_before(empty_url)
    told: list[str] = []
    waits = iter(("old", "older"))

    left = rolling.make_way(empty_url, told.append, pause=lambda _: gone(empty_url, next(waits)))

    assert [each.id for each in left] == ["old", "older"]
    assert "old on n1, older on n1" in told[0]
    assert ad_migrations.revision_of(empty_url) == REVISIONS[-2]
    assert ad_migrations.readers_of(empty_url) == HEAD  # none of them comes back
    with connected(empty_url) as connection:
        states = dict(connection.execute(text("SELECT id, state FROM workers")).all())
    assert states == {"old": "gone", "older": "gone", "new": "online"}
    assert rolling.make_way(empty_url, told.append) == []


@pytest.mark.usefixtures("taking_away")
def test_workers_that_do_not_leave_are_named_and_nothing_changes(empty_url: str) -> None:
    ad_migrations.upgrade(empty_url)
    registered(empty_url, "deaf")
    one_before(empty_url)
    with pytest.raises(Conflict, match=r"deaf on n1 did not leave in 0 s.*--now"):
        rolling.make_way(empty_url, lambda words: None, patience=0.0)
    assert ad_migrations.revision_of(empty_url) == REVISIONS[-2]


def test_nobody_leaves_for_a_schema_that_only_adds_or_is_there(empty_url: str) -> None:
    ad_migrations.upgrade(empty_url)
    registered(empty_url, "w1")
    assert rolling.make_way(empty_url, lambda words: None) == []
    one_before(empty_url)
    assert HEAD in EXPANDING, "the newest revision takes away: have this test use one that adds"
    assert rolling.make_way(empty_url, lambda words: None) == []


def test_the_announcement_alone_keeps_older_programs_out(empty_url: str) -> None:
    ad_migrations.upgrade(empty_url)
    with steps.alone(empty_url) as connection:
        steps.note_readers(connection, NEWER)
    with pytest.raises(StoreMismatch, match="or is about to"):
        open_store(empty_url)


@pytest.mark.parametrize(("newer", "older"), EXPANDING.items())
def test_a_revision_that_expands_takes_nothing_away(empty_url: str, newer: str, older: str) -> None:
    ad_migrations.upgrade(empty_url, older)
    with connected(empty_url) as connection:
        before = shapes(connection)
    ad_migrations.upgrade(empty_url, newer)
    with connected(empty_url) as connection:
        after = shapes(connection)
    for name, table in before.items():
        assert name in after, f"{name} is gone"
        lost = set(table["columns"]) - set(after[name]["columns"])
        assert not lost, f"{name} has lost {lost}"
        for column, must in after[name]["columns"].items():
            if column not in table["columns"]:
                assert not must, f"{name}.{column} must have a value, and older programs give none"
            else:
                assert must == table["columns"][column], f"{name}.{column} has become stricter"
        for kind in ("checks", "unique"):
            assert table[kind] == after[name][kind], f"the {kind} of {name} have changed"


def shapes(connection: Connection) -> dict[str, dict[str, object]]:
    """Return the columns of each table, with whether a value must be given, and what rows must be like."""
    look = inspect(connection)

    def sure(names: list[dict[str, object]], key: Callable[[dict[str, object]], str]) -> list[str]:
        return sorted(map(key, names))

    return {
        name: {
            "columns": {
                each["name"]: not each["nullable"]
                and each["default"] is None
                and not each.get("autoincrement")
                for each in look.get_columns(name)
            },
            "checks": sure(look.get_check_constraints(name), lambda each: str(each["sqltext"])),
            "unique": sure(look.get_unique_constraints(name), lambda each: str(each["column_names"])),
        }
        for name in look.get_table_names()
        if name != VERSION_TABLE
    }
