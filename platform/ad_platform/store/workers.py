"""Who is there to work, and what data lies where."""

from collections.abc import Mapping, Sequence

from sqlalchemy import Row, case, delete, func, select, update

from ad_platform.errors import InvalidValue, UnknownName
from ad_platform.records import Holding, WorkerRecord
from ad_platform.specs import Json
from ad_platform.states import JobState
from ad_platform.store import contract
from ad_platform.store.database import Database, Transaction
from ad_platform.store.tables import catalogue, holdings, is_state, jobs, workers

_STATES = ("online", "draining", "gone")


class SqlWorkers(contract.Workers):
    """Workers, holdings and the catalogue in a SQL database."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def register(self, worker: WorkerRecord) -> None:
        """Remember a worker that starts; the same id again replaces it."""
        if worker.state not in _STATES:
            raise InvalidValue(f"a worker is {', '.join(_STATES)}, not '{worker.state}'")
        self._db.write(lambda tx: _register(tx, worker))

    def beat(self, worker_id: str, load: Mapping[str, Json] | None = None) -> str:
        """Note that a worker lives, and what it has to give now if it says so; return its state."""
        told = {} if load is None else {"load": dict(load)}
        return self._db.write(lambda tx: _set(tx, worker_id, seen_at=tx.now, **told))

    def drain(self, worker_id: str) -> None:
        """Tell a worker to stop leasing and give back what it runs."""
        draining = case((workers.c.state == "online", "draining"), else_=workers.c.state)
        self._db.write(lambda tx: _set(tx, worker_id, state=draining))

    def leave(self, worker_id: str) -> None:
        """Note that a worker ended in good order."""
        self._db.write(lambda tx: _set(tx, worker_id, state="gone"))

    def roster(self, silence: float = 30.0) -> list[WorkerRecord]:
        """Return the workers, newest first; one not seen for `silence` seconds has state `gone`."""
        return self._db.read(lambda tx: roster(tx, silence))

    def hold(self, holdings: Sequence[Holding]) -> None:
        """Remember which categories lie on which node."""
        if holdings:
            self._db.write(lambda tx: _hold(tx, holdings))

    def release(self, node: str, fingerprint: str) -> None:
        """Forget a holding."""
        gone = delete(holdings).where(holdings.c.node == node, holdings.c.fingerprint == fingerprint)
        self._db.write(lambda tx: tx.run(gone))

    def holdings(
        self,
        *,
        node: str | None = None,
        fingerprint: str | None = None,
        dataset: str | None = None,
        category: str | None = None,
    ) -> list[Holding]:
        """Return the known holdings that match; without a fingerprint, those of categories alone."""
        wanted = {"node": node, "fingerprint": fingerprint, "dataset": dataset, "category": category}
        found = select(holdings).order_by(*(holdings.c[name] for name in ("dataset", "category", "node")))
        for name, value in wanted.items():
            if value is not None:
                found = found.where(holdings.c[name] == value)
        if fingerprint is None:  # a listing of pictures to predict is of no dataset, and nobody looks for it
            found = found.where(holdings.c.dataset != "")
        return self._db.read(lambda tx: [Holding(**row._mapping) for row in tx.rows(found)])

    def publish(self, entries: Mapping[str, Json], worker_id: str) -> None:
        """Add detectors to the catalogue by name; the newest description of a name stands."""
        self._db.write(lambda tx: _publish(tx, entries, worker_id))

    def catalogue(self) -> dict[str, Json]:
        """Return the published descriptions by detector name."""
        found = select(catalogue.c.name, catalogue.c.entry).order_by(catalogue.c.name)
        return self._db.read(lambda tx: {row.name: row.entry for row in tx.rows(found)})


def _register(tx: Transaction, worker: WorkerRecord) -> None:
    values = {
        "node": worker.node,
        "pid": worker.pid,
        "slots": worker.slots,
        "state": worker.state,
        "queues": list(worker.queues),
        "detectors": list(worker.detectors),
        "facts": dict(worker.facts),
        "started_at": tx.now,
        "seen_at": tx.now,
        "load": dict(worker.load),
    }
    fresh = tx.insert(workers).values(id=worker.id, **values)
    tx.run(fresh.on_conflict_do_update(index_elements=["id"], set_=values))


def _set(tx: Transaction, worker_id: str, **values: object) -> str:
    row = tx.first(
        update(workers).where(workers.c.id == worker_id).values(**values).returning(workers.c.state)
    )
    if row is None:
        raise UnknownName("worker", worker_id, [row.id for row in tx.rows(select(workers.c.id))])
    state: str = row.state
    return state


def roster(tx: Transaction, silence: float) -> list[WorkerRecord]:
    """Return the workers, newest first; one not seen for `silence` seconds has state `gone`."""
    slots = case((jobs.c.cards > 1, jobs.c.cards), else_=1)
    held = select(jobs.c.worker, func.sum(slots).label("busy")).where(is_state(JobState.RUNNING))
    load = held.group_by(jobs.c.worker).subquery("load")
    silent = workers.c.seen_at < tx.now - silence
    found = (
        select(workers, silent.label("silent"), func.coalesce(load.c.busy, 0).label("busy"))
        .join(load, load.c.worker == workers.c.id, isouter=True)
        .order_by(workers.c.started_at.desc(), workers.c.id)
    )
    return [_worker(row) for row in tx.rows(found)]


def _worker(row: Row[tuple[object, ...]]) -> WorkerRecord:
    values = dict(row._mapping)
    if values.pop("silent"):
        values["state"] = "gone"
    for name in ("queues", "detectors"):
        values[name] = tuple(values[name])
    return WorkerRecord(**values)


def _hold(tx: Transaction, held: Sequence[Holding]) -> None:
    # Sorted, so that two nodes' clients write in one order and never wait for each other in a circle.
    for one in sorted(held, key=lambda holding: (holding.node, holding.fingerprint)):
        values = {"dataset": one.dataset, "category": one.category, "path": one.path}
        fresh = tx.insert(holdings).values(node=one.node, fingerprint=one.fingerprint, **values)
        tx.run(fresh.on_conflict_do_update(index_elements=["node", "fingerprint"], set_=values))


def _publish(tx: Transaction, entries: Mapping[str, Json], worker_id: str) -> None:
    for name, entry in sorted(entries.items()):
        values = {"entry": entry, "worker": worker_id, "published_at": tx.now}
        fresh = tx.insert(catalogue).values(name=name, **values)
        tx.run(fresh.on_conflict_do_update(index_elements=["name"], set_=values))
