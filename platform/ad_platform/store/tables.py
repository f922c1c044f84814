"""The tables of the store, as declared; the migrations lead to exactly this."""

import json
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ColumnElement,
    Dialect,
    Double,
    Enum,
    ForeignKey,
    FromClause,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    exists,
    literal_column,
)
from sqlalchemy.types import TypeDecorator

from ad_platform.specs import Json
from ad_platform.states import (
    AttemptOutcome,
    CollectedState,
    FailureClass,
    JobKind,
    JobState,
    Sequel,
    StudyState,
    TrialOrigin,
    TrialState,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    },
)


class JsonText(TypeDecorator[Json]):
    """JSON kept as text: a metric that became NaN or a NUL in a message must not stop a write."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Json, dialect: Dialect) -> str | None:
        """Write a value as JSON."""
        return json.dumps(value, separators=(",", ":"))

    def process_result_value(self, value: Any, dialect: Dialect) -> Json:
        """Read a value back."""
        loaded: Json = json.loads(value)
        return loaded


def _one_of(states: type[StrEnum], name: str) -> Enum:
    """Return the type of a column that holds one of an enum's values, checked by the database too."""
    return Enum(
        states,
        name=name,
        native_enum=False,
        create_constraint=True,
        length=16,
        values_callable=lambda enum: [member.value for member in enum],
    )


# SQLite counts by itself only in a column of type INTEGER.
SEQ = BigInteger().with_variant(Integer, "sqlite")
ID = String(16)

jobs = Table(
    "jobs",
    metadata,
    Column("seq", SEQ, primary_key=True, autoincrement=True),
    Column("id", ID, nullable=False, unique=True),
    Column("key", Text, unique=True),
    Column("kind", _one_of(JobKind, "kind"), nullable=False),
    Column("detector", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("spec", JsonText, nullable=False),
    Column("state", _one_of(JobState, "state"), nullable=False),
    Column("user", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("tags", JsonText, nullable=False),
    Column("group", Text),
    Column("queue", Text, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("gpus", Integer, nullable=False),
    Column("memory_mb", Integer, nullable=False),
    Column("max_attempts", Integer, nullable=False),
    Column("stall_after", Double, nullable=False),
    Column("not_before", Double, nullable=False),
    Column("retry_of", ID, ForeignKey("jobs.id")),
    Column("code", JsonText, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("worker", Text),
    Column("lease_until", Double),
    Column("cancel_requested", Boolean, nullable=False),
    Column("progress", JsonText, nullable=False),
    Column("failure", _one_of(FailureClass, "failure")),
    Column("error", Text, nullable=False),
    Column("result", JsonText, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("started_at", Double),
    Column("finished_at", Double),
    Column("rung_at", Double),  # when a worker was last woken for it
    Column("prune_requested", Boolean, nullable=False),
    Column("timeout", Double),  # seconds that its attempts may run, all together
    Column("batch_divisor", Integer, nullable=False),  # parts in which a batch is computed
    Column("cpu_only", Boolean, nullable=False),  # it computes on the CPU whatever cards there are
    Column("cards", Integer, nullable=False),  # that its newest attempt was given
    Column("preemptible", Boolean, nullable=False),
    Column("preempted_for", ID),  # while it runs: the job it is asked to make room for
    Column("memory_from", Text, nullable=False),  # in words, where memory_mb comes from if nobody asked
    CheckConstraint("(state = 'running') = (lease_until IS NOT NULL)", name="lease"),
    CheckConstraint("failures <= max_attempts AND failures <= attempt", name="failures"),
    sqlite_autoincrement=True,
)


def is_state(state: JobState, of: FromClause = jobs) -> ColumnElement[bool]:
    """Return the condition that a job is in a state, spelt out so that a partial index can serve it."""
    return of.c.state == literal_column(f"'{state.value}'")


# The few live jobs stay cheap to find among any number of ended ones. The times are left out of the
# indexes on purpose: a renewal then touches no index. PostgreSQL's module gives it the same conditions.
for _state, _name, _columns in (
    (JobState.QUEUED, "ix_jobs_queued", (jobs.c.queue, jobs.c.priority, jobs.c.user, jobs.c.seq)),
    (JobState.RUNNING, "ix_jobs_running", (jobs.c.user, jobs.c.cards)),
):
    Index(_name, *_columns, sqlite_where=is_state(_state))
wide = is_state(JobState.QUEUED) & (jobs.c.gpus > literal_column("1"))
Index("ix_jobs_wide", jobs.c.gpus, sqlite_where=wide)
Index("ix_jobs_state", jobs.c.state, jobs.c.seq)
Index("ix_jobs_worker", jobs.c.worker, jobs.c.seq)
Index("ix_jobs_retry_of", jobs.c.retry_of)

attempts = Table(
    "attempts",
    metadata,
    Column("job_id", ID, ForeignKey("jobs.id"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("worker", Text, nullable=False),
    Column("outcome", _one_of(AttemptOutcome, "outcome"), nullable=False),
    Column("started_at", Double, nullable=False),
    Column("ended_at", Double),
    Column("failure", _one_of(FailureClass, "failure")),
    Column("error", Text, nullable=False),
    Column("facts", JsonText, nullable=False),
    Column("sequel", _one_of(Sequel, "sequel")),  # what was made of its failure
)
# The database itself refuses a second holder.
_held = attempts.c.outcome == literal_column("'running'")
Index("ix_attempts_outcome", attempts.c.outcome, attempts.c.failure)  # counts them without reading them
Index("uq_attempts_held", attempts.c.job_id, unique=True, sqlite_where=_held)

edges = Table(
    "edges",
    metadata,
    Column("job_id", ID, ForeignKey("jobs.id"), primary_key=True),
    Column("need_id", ID, ForeignKey("jobs.id"), primary_key=True),
    Column("position", Integer, nullable=False),
    Index("ix_edges_need_id", "need_id"),
)

events = Table(
    "events",
    metadata,
    Column("seq", SEQ, primary_key=True, autoincrement=True),
    Column("job_id", ID, ForeignKey("jobs.id"), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("at", Double, nullable=False),
    Column("kind", String(32), nullable=False),
    Column("data", JsonText, nullable=False),
    Index("ix_events_job_id", "job_id", "seq"),
    sqlite_autoincrement=True,
)

outbox = Table(
    "outbox",
    metadata,
    # Never used twice: a relay that forgets an old ring must not forget a newer one.
    Column("seq", SEQ, primary_key=True, autoincrement=True),
    Column("job_id", ID, ForeignKey("jobs.id"), nullable=False, unique=True),
    Column("queue", Text, nullable=False),
    Column("priority", Integer, nullable=False),
    sqlite_autoincrement=True,
)

paused_queues = Table(
    "paused_queues",
    metadata,
    Column("name", Text, primary_key=True),
    Column("user", Text, nullable=False),
    Column("at", Double, nullable=False),
    Column("reason", Text, nullable=False),
)


def is_paused(of: FromClause = jobs) -> ColumnElement[bool]:
    """Return the condition that a job lies in a queue that somebody has paused."""
    return exists().where(paused_queues.c.name == of.c.queue)


workers = Table(
    "workers",
    metadata,
    Column("id", Text, primary_key=True),
    Column("node", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("slots", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("queues", JsonText, nullable=False),
    Column("detectors", JsonText, nullable=False),
    Column("facts", JsonText, nullable=False),
    Column("started_at", Double, nullable=False),
    Column("seen_at", Double, nullable=False),
    Column("load", JsonText, nullable=False),  # what it had to give with its last beat
    CheckConstraint("state IN ('online', 'draining', 'gone')", name="state"),
)

holdings = Table(
    "holdings",
    metadata,
    Column("node", Text, primary_key=True),
    Column("fingerprint", Text, primary_key=True),
    Column("dataset", Text, nullable=False),
    Column("category", Text, nullable=False),
    Column("path", Text, nullable=False),
)

catalogue = Table(
    "catalogue",
    metadata,
    Column("name", Text, primary_key=True),
    Column("entry", JsonText, nullable=False),
    Column("worker", Text, nullable=False),
    Column("published_at", Double, nullable=False),
)

checkpoints = Table(
    "checkpoints",
    metadata,
    Column("job_id", ID, ForeignKey("jobs.id"), primary_key=True),
    Column("prefix", Text, primary_key=True),
    Column("attempt", Integer, nullable=False),
    Column("step", BigInteger, nullable=False),
    Column("manifest_sha256", String(64), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("created_at", Double, nullable=False),
)

stages = Table(
    "stages",
    metadata,
    Column("key", Text, primary_key=True),
    Column("detector", Text, nullable=False),
    Column("stage", Text, nullable=False),
    Column("job_id", ID, ForeignKey("jobs.id"), nullable=False),
    Column("manifest_sha256", String(64), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("created_at", Double, nullable=False),
)

studies = Table(
    "studies",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("state", _one_of(StudyState, "state"), nullable=False),
    Column("spec", JsonText, nullable=False),
    Column("user", Text, nullable=False),
    Column("wanted", Integer, nullable=False),
    Column("parallel", Integer, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("finished_at", Double),
    Column("owner", Text),  # who advances it, until when
    Column("owned_until", Double, nullable=False),
    Column("summary", JsonText, nullable=False),
    Column("version", BigInteger, nullable=False),  # grows with every change worth shipping
    Column("shipped_version", BigInteger, nullable=False),  # up to which the tracking server was told
    Column("run_id", Text),
    CheckConstraint("wanted >= 0 AND parallel >= 1", name="sizes"),
    Index("ix_studies_created_at", "created_at"),
)

trials = Table(
    "trials",
    metadata,
    Column("study_id", Text, ForeignKey("studies.id"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("state", _one_of(TrialState, "state"), nullable=False),
    Column("origin", _one_of(TrialOrigin, "origin"), nullable=False),
    Column("params", JsonText, nullable=False),
    Column("values", JsonText, nullable=False),
    Column("error", Text, nullable=False),
    Column("retry_of", Integer),
    Column("again_at", Double),  # when somebody asked for this failed one to be run once more
    Column("asked_at", Double, nullable=False),
    Column("ended_at", Double),
    CheckConstraint("(state = 'running') = (ended_at IS NULL)", name="ended"),
    Index("ix_trials_state", "study_id", "state"),
    # A failed trial is run again once: whoever asks twice gets the same one.
    UniqueConstraint("study_id", "retry_of"),
)

benchmarks = Table(
    "benchmarks",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("key", Text, unique=True),
    Column("spec", JsonText, nullable=False),
    Column("user", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("finished_at", Double),
    # The newest of its jobs that its results take into account: one that comes later opens it again.
    Column("seen_seq", BigInteger, nullable=False),
    Column("owner", Text),  # who puts its results together, until when
    Column("owned_until", Double, nullable=False),
    Column("summary", JsonText, nullable=False),
    Column("version", BigInteger, nullable=False),  # grows with every change worth shipping
    Column("shipped_version", BigInteger, nullable=False),  # up to which the tracking server was told
    Column("run_id", Text),
    Index("ix_benchmarks_created_at", "created_at"),
)

champions = Table(
    "champions",
    metadata,
    Column("seq", SEQ, primary_key=True, autoincrement=True),
    Column("model", Text, nullable=False),
    Column("alias", Text, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("job_id", ID, ForeignKey("jobs.id"), nullable=False),
    Column("user", Text, nullable=False),
    Column("at", Double, nullable=False),
    Column("reason", Text, nullable=False),
    Column("evidence", JsonText, nullable=False),
    Column("forced", Boolean, nullable=False),
    Column("published", Text),
    UniqueConstraint("model", "alias", "revision"),
    CheckConstraint("revision >= 1", name="revision"),
    sqlite_autoincrement=True,
)

collector = Table(
    "collector",
    metadata,
    Column("id", Text, primary_key=True),  # "storage": there is one row
    Column("store", Text, nullable=False),  # made up at random: it names this store
    Column("owner", Text),  # who collects what nobody needs, until when
    Column("owned_until", Double, nullable=False),
)

collected = Table(
    "collected",
    metadata,
    Column("place", Text, primary_key=True),  # in the storage: "jobs/<id>", "stages/<key>"
    Column("state", _one_of(CollectedState, "state"), nullable=False),
    Column("user", Text, nullable=False),
    Column("at", Double, nullable=False),
)

shipments = Table(
    "shipments",
    metadata,
    Column("job_id", ID, ForeignKey("jobs.id"), primary_key=True),
    Column("version", BigInteger, nullable=False),  # grows with every change worth shipping
    Column("done_version", BigInteger, nullable=False),  # up to which the tracking server was told
    Column("owner", Text),
    Column("claimed_until", Double, nullable=False),
    Column("run_id", Text),
    Column("shipped_step", BigInteger, nullable=False),
)
due = shipments.c.version > shipments.c.done_version
Index("ix_shipments_due", shipments.c.claimed_until, sqlite_where=due)
