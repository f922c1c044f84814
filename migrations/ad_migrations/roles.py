"""What the accounts of a client and of a worker may do in a store on PostgreSQL: no more than they need.

A client asks for work and steers it; a worker does it, takes sweeps further, and keeps house (`adctl gc`,
`adctl doctor --fix`). Both read everything. Only the owner of the tables may change them.
"""

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection, MetaData, Table, text
from sqlalchemy.exc import DBAPIError

from ad_platform.errors import InvalidRequest, InvalidValue, StoreDown, UnknownName
from ad_platform.store import facets, outbox, pushed, shares
from ad_platform.store.database import explained
from ad_platform.store.engine import backend_of, open_store
from ad_platform.store.revision import VERSION_TABLE, check_revision
from ad_platform.store.tables import metadata

_FORBIDDEN = "42501"  # PostgreSQL: insufficient privilege
_INTO, _OUT = ("INSERT",), ("INSERT", "DELETE")


class Side(StrEnum):
    """Who connects."""

    CLIENT = "client"
    WORKER = "worker"


@dataclass(frozen=True)
class Rights:
    """What may be done to a table beside reading it."""

    rows: Sequence[str] = ()  # INSERT, DELETE
    columns: Sequence[str] = ()  # that may be updated
    fixed: Sequence[str] | None = None  # or those that may not, of all


# What was asked for stays as it was asked for, whoever runs it.
_ASKED = (
    *("seq", "id", "key", "kind", "detector", "fingerprint", "spec", "user", "name", "tags", "group"),
    *("queue", "gpus", "max_attempts", "stall_after", "timeout", "retry_of", "code", "created_at"),
    *("cpu_only", "preemptible", "memory_from"),
)
# How a job ends without having succeeded: a cancel, or a lease that ran out, which any reader notices.
_ENDING = (
    *("state", "lease_until", "finished_at", "failure", "error", "failures", "not_before", "batch_divisor"),
    *("cancel_requested", "prune_requested", "rung_at", "preempted_for"),
)

RIGHTS: Mapping[Side, Mapping[str, Rights]] = {
    Side.CLIENT: {
        "jobs": Rights(_INTO, columns=_ENDING),
        "attempts": Rights(columns=("outcome", "ended_at", "failure", "error", "sequel")),
        "edges": Rights(_INTO),
        "events": Rights(_INTO),
        "facets": Rights(_INTO),
        "tags": Rights(_INTO),
        "measures": Rights(),
        "outbox": Rights(_OUT),
        "paused_queues": Rights(_OUT),
        "workers": Rights(columns=("state",)),  # to drain one
        "holdings": Rights(_INTO, columns=("dataset", "category", "path")),  # of its own machine
        "catalogue": Rights(),
        "checkpoints": Rights(),
        "stages": Rights(),
        "studies": Rights(_INTO, columns=("state", "wanted", "parallel", "finished_at", "version")),
        "trials": Rights(columns=("again_at",)),
        "benchmarks": Rights(_INTO),
        "champions": Rights(_INTO),
        "shipments": Rights(_INTO, columns=("version",)),
        "collector": Rights(),
        "collected": Rights(),
        "quotas": Rights(_OUT, fixed=("user",)),  # people's, of one another
        "held_back": Rights(),
        "peaks": Rights(),
        "pushed": Rights(_OUT, fixed=("fingerprint",)),
        "turns": Rights(),
    },
    Side.WORKER: {
        "jobs": Rights(_INTO, fixed=_ASKED),
        "attempts": Rights(_INTO, fixed=("job_id", "number", "worker", "started_at")),
        "edges": Rights(_INTO),
        "events": Rights(_INTO),
        "facets": Rights(_INTO),
        "tags": Rights(_INTO),
        "measures": Rights(_INTO),
        "outbox": Rights(_OUT),
        "paused_queues": Rights(),
        "workers": Rights(_INTO, fixed=("id",)),
        "holdings": Rights(_OUT, fixed=("node", "fingerprint")),
        "catalogue": Rights(_INTO, fixed=("name",)),
        "checkpoints": Rights(_OUT),
        "stages": Rights(_OUT),
        "studies": Rights(fixed=("id", "name", "spec", "user", "wanted", "parallel", "created_at")),
        "trials": Rights(_INTO, fixed=("study_id", "number", "origin", "params", "retry_of", "again_at")),
        "benchmarks": Rights(fixed=("id", "name", "key", "spec", "user", "created_at")),
        "champions": Rights(columns=("published",)),  # decisions are people's
        "shipments": Rights(_INTO, fixed=("job_id",)),
        "collector": Rights(_INTO, columns=("owner", "owned_until")),
        "collected": Rights(_OUT, fixed=("place",)),
        "quotas": Rights(columns=("at",)),  # PostgreSQL lets nobody else lock a row, as a lease does
        "held_back": Rights(_OUT, fixed=("worker",)),
        "peaks": Rights(_INTO, columns=("peak_mb", "runs", "at")),
        "pushed": Rights(_OUT, fixed=("fingerprint",)),
        "turns": Rights(_INTO, fixed=("name",)),
    },
}


def tables() -> MetaData:
    """Return the declared tables, those that jobs are found by among them."""
    for table in (facets.facets, pushed.pushed, shares.quotas, outbox.turns):
        assert table.metadata is metadata  # declared with the others, but in modules of their own
    return metadata


def statements(side: Side, role: str, database: str) -> list[str]:
    """Return what gives an account its rights and takes all others away; both names are quoted already."""
    lines = [
        f"REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {role}",
        f"REVOKE ALL ON ALL SEQUENCES IN SCHEMA public FROM {role}",
        f"REVOKE ALL ON SCHEMA public FROM {role}",
        f"GRANT CONNECT ON DATABASE {database} TO {role}",
        f"GRANT USAGE ON SCHEMA public TO {role}",
        f"GRANT SELECT ON {_named(VERSION_TABLE)} TO {role}",
    ]
    for name, table in sorted(tables().tables.items()):
        lines += _of_table(table, RIGHTS[side][name], role)
    return lines


def _of_table(table: Table, rights: Rights, role: str) -> list[str]:
    name = _named(table.name)
    lines = [f"GRANT {', '.join(('SELECT', *rights.rows))} ON {name} TO {role}"]
    columns = list(rights.columns)
    if rights.fixed is not None:
        columns = [column.name for column in table.columns if column.name not in rights.fixed]
    if columns:
        lines.append(f"GRANT UPDATE ({', '.join(map(_named, columns))}) ON {name} TO {role}")
    counting = [column.name for column in table.primary_key if column is table.autoincrement_column]
    if "INSERT" in rights.rows and counting:
        lines.append(f"GRANT USAGE ON SEQUENCE {_named(f'{table.name}_{counting[0]}_seq')} TO {role}")
    return lines


def grant(url: str, roles: Mapping[Side, str]) -> None:
    """Give accounts that exist their rights, all or none; may be repeated, and is to be after every upgrade.

    Raises InvalidRequest for a store that is no PostgreSQL or not the caller's own, UnknownName for an
    account that does not exist, StoreMismatch for another schema, StoreDown.
    """
    backend = backend_of(url, create=True)
    if backend.file is not None:
        raise InvalidRequest("a store in a file knows no accounts: its rights are those of the file")
    engine = backend.engine()
    try:
        with engine.begin() as connection:
            _check(connection, backend.where, roles)
            database = _named(connection.execute(text("SELECT current_database()")).scalar_one())
            for side, role in roles.items():
                for line in statements(side, _named(role), database):
                    connection.exec_driver_sql(line)
    except DBAPIError as error:
        raise _told(error, backend.where) from error
    finally:
        engine.dispose()
    with closing(open_store(url)) as store:
        store.retention.identity()  # which pushed pictures bear: no client may make it up


def _check(connection: Connection, where: str, roles: Mapping[Side, str]) -> None:
    there = connection.execute(text("SELECT to_regclass(:name)"), {"name": VERSION_TABLE}).scalar_one()
    found = there and connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar_one()  # noqa: S608
    check_revision(found, where)  # the rights are those of just this schema
    names = [str(name) for name in connection.execute(text("SELECT rolname FROM pg_roles")).scalars()]
    mine = connection.execute(text("SELECT current_user")).scalar_one()
    for role in roles.values():
        if role == mine:
            raise InvalidValue(f"'{role}' owns the store, and can be given no less than everything")
        if role not in names:
            raise UnknownName(
                "account of PostgreSQL", role, [name for name in names if not name.startswith("pg_")]
            )
    if len({*roles.values()}) < len(roles):
        raise InvalidValue("a client and a worker need an account each")


def _told(error: DBAPIError, where: str) -> Exception:
    if getattr(error.orig, "sqlstate", None) == _FORBIDDEN:
        return InvalidRequest(f"only who owns the tables of {where} can give rights to them")
    told = explained(error, where)
    return told if told is not error else StoreDown(f"the store {where} refuses: {error.orig}")


def _named(name: str) -> str:
    """Return a name as SQL has it."""
    quoted = name.replace('"', '""')
    return f'"{quoted}"'
