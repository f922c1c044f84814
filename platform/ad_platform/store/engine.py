"""Opening the store: the right database, the right schema, and the contract's parts over it."""

import secrets

from sqlalchemy import URL, make_url, select, table, text
from sqlalchemy.exc import ArgumentError

from ad_platform.errors import InvalidValue, StoreMismatch
from ad_platform.store import contract
from ad_platform.store.artifacts import SqlArtifacts
from ad_platform.store.audit import SqlAudit
from ad_platform.store.benchmarks import SqlBenchmarks
from ad_platform.store.champions import SqlChampions
from ad_platform.store.database import Backend, Clock, Database
from ad_platform.store.jobs import SqlJobs
from ad_platform.store.leases import SqlLeases
from ad_platform.store.outbox import SqlOutbox
from ad_platform.store.peaks import SqlPeaks
from ad_platform.store.pushed import SqlPushed
from ad_platform.store.queues import SqlQueues
from ad_platform.store.quotas import SqlQuotas
from ad_platform.store.retention import SqlRetention
from ad_platform.store.revision import READABLE_FROM, VERSION_TABLE, check_revision, said_by
from ad_platform.store.sealing import refuse_sealed
from ad_platform.store.shipments import SqlShipments
from ad_platform.store.sqlite import SqliteBackend
from ad_platform.store.studies import SqlStudies
from ad_platform.store.submissions import NewId
from ad_platform.store.telemetry import SqlTelemetry
from ad_platform.store.workers import SqlWorkers


def _random_id() -> str:
    return secrets.token_hex(8)


class SqlStore(contract.Store):
    """The store in a SQL database."""

    def __init__(self, database: Database, new_id: NewId = _random_id) -> None:
        self._db = database
        self.jobs = SqlJobs(database, new_id)
        self.leases = SqlLeases(database)
        self.outbox = SqlOutbox(database)
        self.queues = SqlQueues(database)
        self.quotas = SqlQuotas(database)
        self.peaks = SqlPeaks(database)
        self.workers = SqlWorkers(database)
        self.artifacts = SqlArtifacts(database)
        self.champions = SqlChampions(database)
        self.shipments = SqlShipments(database)
        self.studies = SqlStudies(database, new_id)
        self.benchmarks = SqlBenchmarks(database, new_id)
        self.retention = SqlRetention(database)
        self.audit = SqlAudit(database)
        self.pushed = SqlPushed(database)
        self.telemetry = SqlTelemetry(database)

    def now(self) -> float:
        """Return the database's clock, seconds since the epoch."""
        return self._db.read(lambda tx: float(tx.run(select(tx.now)).scalar_one()))

    def schema(self) -> str:
        """Return the revision that the store has."""
        found, _ = _revision(self._db)
        return found or ""

    def require_schema(self) -> None:
        """Raise StoreMismatch once this program may not work with the store any more; see the contract."""
        check_schema(self._db)
        refuse_sealed(self._db)

    def close(self) -> None:
        """Close every connection."""
        self._db.close()


def open_store(
    url: str, *, clock: Clock | None = None, new_id: NewId = _random_id, sealed: bool = False
) -> SqlStore:
    """Open the store at an address; it must have been migrated to this program's schema.

    Raises InvalidValue for an address of another kind, MissingExtra without the driver, StoreDown when the
    database does not answer, StoreMismatch when there is no store, or one of another schema, StoreMoved for
    one that went elsewhere, unless `sealed` says that it is wanted all the same, to be read.
    """
    database = Database(backend_of(url), clock)
    try:
        check_schema(database)
        if not sealed:
            refuse_sealed(database)
    except BaseException:
        database.close()
        raise
    return SqlStore(database, new_id)


def backend_of(url: str, *, create: bool = False) -> Backend:
    """Return what knows the database of an address; `create` lets SQLite make its file."""
    parsed = _parse(url)
    kind = parsed.drivername.split("+")[0]
    if kind == "sqlite":
        return SqliteBackend(parsed, create=create)
    if kind in ("postgresql", "postgres"):
        # Its dialect takes a tenth of what it takes to load SQLAlchemy, which the embedded mode need not pay.
        from ad_platform.store.postgres import PostgresBackend

        return PostgresBackend(parsed)
    raise InvalidValue(f"a store lies in sqlite:///FILE or postgresql://HOST/NAME, not {kind}://")


def _parse(url: str) -> URL:
    try:
        return make_url(url)
    except (ArgumentError, ValueError) as error:
        # The address is not repeated: it may hold a password.
        raise InvalidValue("ADCTL_DATABASE_URL is no address like postgresql://user@host/name") from error


def check_schema(database: Database) -> None:
    """Raise StoreMismatch unless this program may work with a store of that schema."""
    found, readable_from = _revision(database)
    check_revision(found, database.where, readable_from)


def _revision(database: Database) -> tuple[str | None, str | None]:
    # All columns, since a store that no newer program has touched lacks one of them.
    every = select(text("*")).select_from(table(VERSION_TABLE))
    try:
        row = database.read(lambda tx: tx.first(every))
    except StoreMismatch:
        return None, None
    if row is None:
        return None, None
    return row.version_num, said_by(row._mapping.get(READABLE_FROM), row.version_num)
