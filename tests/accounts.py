"""A store on PostgreSQL, used as on a cluster: by the account of a client and by that of a worker."""

from dataclasses import dataclass
from functools import cache

import psycopg

import ad_migrations
from ad_migrations import Side
from ad_platform.store import contract
from ad_platform.store.database import Clock
from ad_platform.store.engine import SqlStore, open_store

# What a client calls, by part; the rest is a worker's.
CLIENTS: dict[str, frozenset[str]] = {
    "jobs": frozenset({"submit", "search", "find", "get", "measures", "attempts", "events", "cancel"})
    | {"of_keys", "retry", "count"},
    "leases": frozenset({"reap"}),
    "outbox": frozenset({"owed", "rung", "remind"}),
    "queues": frozenset({"pause", "resume", "paused", "loads", "line", "held_back"}),
    "quotas": frozenset({"set", "clear", "all"}),
    "peaks": frozenset({"of"}),
    "pushed": frozenset({"record", "get", "all", "forget"}),
    "telemetry": frozenset(),  # what Prometheus asks for, by a worker's account
    "workers": frozenset({"drain", "roster", "hold", "holdings", "catalogue"}),
    "artifacts": frozenset({"checkpoints", "stage"}),
    "champions": frozenset({"promote", "current", "history", "in_force"}),
    "studies": frozenset({"create", "get", "search", "find", "names", "steer", "retry", "trials", "counts"}),
    "benchmarks": frozenset({"create", "get", "of_key", "search", "find", "names", "settled"}),
    "shipments": frozenset({"run_of"}),
    "retention": frozenset({"check", "jobs", "stages", "marks", "untold", "holder"}),
    "audit": frozenset({"held", "unheard", "stuck", "waits", "open_attempts", "miscounted", "silent"})
    | {"claimed_studies", "claimed_benchmarks", "standings", "newest", "late", "checkpoints", "stages"},
}


@dataclass(frozen=True)
class Accounts:
    """The addresses of a store for those who may not do everything."""

    client: str
    worker: str


@cache
def accounts(url: str) -> Accounts:
    """Make two accounts for a migrated store and give them their rights, once."""
    name = url.rsplit("/", 1)[1]
    roles = {side: f"{name}_{side}" for side in Side}
    with psycopg.connect(url, autocommit=True) as connection:
        for role in roles.values():
            if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone():
                connection.execute(f'CREATE ROLE "{role}" LOGIN')
    ad_migrations.grant(url, roles)
    return Accounts(*(url.replace("//adctl@", f"//{roles[side]}@") for side in (Side.CLIENT, Side.WORKER)))


class _Part:
    """One part of the store: each method goes to whoever calls it in life."""

    def __init__(self, name: str, client: SqlStore, worker: SqlStore) -> None:
        self._name, self._client, self._worker = name, client, worker

    def __getattr__(self, method: str) -> object:
        who = self._client if method in CLIENTS[self._name] else self._worker
        return getattr(getattr(who, self._name), method)


class TwoAccounts(contract.Store):
    """A store of which a client and a worker, each by its own account, do what is theirs."""

    def __init__(self, given: Accounts, clock: Clock | None = None) -> None:
        self.client = open_store(given.client, clock=clock)
        self.worker = open_store(given.worker, clock=clock)
        for name in CLIENTS:
            setattr(self, name, _Part(name, self.client, self.worker))

    def now(self) -> float:
        return self.client.now()

    def require_schema(self) -> None:
        self.client.require_schema()
        self.worker.require_schema()

    def close(self) -> None:
        self.client.close()
        self.worker.close()
