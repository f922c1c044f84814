"""Make the tables of the first store: jobs and all that hangs on them."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# SQLite counts by itself only in a column of type INTEGER.
SEQ = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
ID = sa.String(length=16)
TABLES = (
    "catalogue",
    "holdings",
    "jobs",
    "studies",
    "workers",
    "attempts",
    "champions",
    "checkpoints",
    "edges",
    "events",
    "outbox",
    "shipments",
    "stages",
)


def upgrade() -> None:
    _make_catalogue()
    _make_holdings()
    _make_jobs()
    _make_studies()
    _make_workers()
    _make_attempts()
    _make_champions()
    _make_checkpoints()
    _make_edges()
    _make_events()
    _make_outbox()
    _make_shipments()
    _make_stages()


def downgrade() -> None:
    for name in reversed(TABLES):
        op.drop_table(name)


def _make_catalogue() -> None:
    op.create_table(
        "catalogue",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("entry", sa.Text(), nullable=False),
        sa.Column("worker", sa.Text(), nullable=False),
        sa.Column("published_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_catalogue")),
    )


def _make_holdings() -> None:
    op.create_table(
        "holdings",
        sa.Column("node", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("dataset", sa.Text(), nullable=False),
        sa.Column("category", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("node", "fingerprint", name=op.f("pk_holdings")),
    )


def _make_jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("seq", SEQ, autoincrement=True, nullable=False),
        sa.Column("id", ID, nullable=False),
        sa.Column("key", sa.Text(), nullable=True),
        sa.Column("kind", _one_of("kind", "train", "evaluate"), nullable=False),
        sa.Column("detector", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("spec", sa.Text(), nullable=False),
        sa.Column(
            "state",
            _one_of("state", "waiting", "queued", "running", "succeeded", "failed", "cancelled"),
            nullable=False,
        ),
        sa.Column("user", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("tags", sa.Text(), nullable=False),
        sa.Column("group", sa.Text(), nullable=True),
        sa.Column("queue", sa.Text(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("gpus", sa.Integer(), nullable=False),
        sa.Column("memory_mb", sa.Integer(), nullable=False),
        sa.Column("max_attempts", sa.Integer(), nullable=False),
        sa.Column("stall_after", sa.Double(), nullable=False),
        sa.Column("not_before", sa.Double(), nullable=False),
        sa.Column("retry_of", ID, nullable=True),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("worker", sa.Text(), nullable=True),
        sa.Column("lease_until", sa.Double(), nullable=True),
        sa.Column("cancel_requested", sa.Boolean(), nullable=False),
        sa.Column("progress", sa.Text(), nullable=False),
        sa.Column(
            "failure",
            _one_of(
                "failure",
                "oom",
                "crash",
                "infra",
                "lost",
                "stalled",
                "nan",
                "data",
                "config",
                "code",
                "disk",
                "needs",
            ),
            nullable=True,
        ),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("result", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("started_at", sa.Double(), nullable=True),
        sa.Column("finished_at", sa.Double(), nullable=True),
        sa.Column("rung_at", sa.Double(), nullable=True),
        sa.CheckConstraint("(state = 'running') = (lease_until IS NOT NULL)", name=op.f("ck_jobs_lease")),
        sa.CheckConstraint("failures <= max_attempts AND failures <= attempt", name=op.f("ck_jobs_failures")),
        sa.ForeignKeyConstraint(["retry_of"], ["jobs.id"], name=op.f("fk_jobs_retry_of_jobs")),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_jobs")),
        sa.UniqueConstraint("id", name=op.f("uq_jobs_id")),
        sa.UniqueConstraint("key", name=op.f("uq_jobs_key")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_jobs_group", "jobs", ["group", "seq"])
    op.create_index(
        "ix_jobs_queued",
        "jobs",
        ["queue", "priority", "seq"],
        sqlite_where=sa.text("state = 'queued'"),
        postgresql_where=sa.text("state = 'queued'"),
    )
    op.create_index("ix_jobs_retry_of", "jobs", ["retry_of"])
    op.create_index(
        "ix_jobs_running",
        "jobs",
        ["user"],
        sqlite_where=sa.text("state = 'running'"),
        postgresql_where=sa.text("state = 'running'"),
    )
    op.create_index("ix_jobs_state", "jobs", ["state", "seq"])
    op.create_index("ix_jobs_user", "jobs", ["user", "seq"])


def _make_studies() -> None:
    op.create_table(
        "studies",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("spec", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("owned_until", sa.Double(), nullable=False),
        sa.CheckConstraint(
            "state IN ('running', 'paused', 'stopped', 'finished')", name=op.f("ck_studies_state")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_studies")),
        sa.UniqueConstraint("name", name=op.f("uq_studies_name")),
    )


def _make_workers() -> None:
    op.create_table(
        "workers",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("node", sa.Text(), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("slots", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("queues", sa.Text(), nullable=False),
        sa.Column("detectors", sa.Text(), nullable=False),
        sa.Column("facts", sa.Text(), nullable=False),
        sa.Column("started_at", sa.Double(), nullable=False),
        sa.Column("seen_at", sa.Double(), nullable=False),
        sa.CheckConstraint("state IN ('online', 'draining', 'gone')", name=op.f("ck_workers_state")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_workers")),
    )


def _make_attempts() -> None:
    op.create_table(
        "attempts",
        sa.Column("job_id", ID, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("worker", sa.Text(), nullable=False),
        sa.Column(
            "outcome",
            _one_of("outcome", "running", "succeeded", "failed", "cancelled", "given_back", "lost"),
            nullable=False,
        ),
        sa.Column("started_at", sa.Double(), nullable=False),
        sa.Column("ended_at", sa.Double(), nullable=True),
        sa.Column(
            "failure",
            _one_of(
                "failure",
                "oom",
                "crash",
                "infra",
                "lost",
                "stalled",
                "nan",
                "data",
                "config",
                "code",
                "disk",
                "needs",
            ),
            nullable=True,
        ),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("facts", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_attempts_job_id_jobs")),
        sa.PrimaryKeyConstraint("job_id", "number", name=op.f("pk_attempts")),
    )
    op.create_index(
        "uq_attempts_held",
        "attempts",
        ["job_id"],
        unique=True,
        sqlite_where=sa.text("outcome = 'running'"),
        postgresql_where=sa.text("outcome = 'running'"),
    )


def _make_champions() -> None:
    op.create_table(
        "champions",
        sa.Column("seq", SEQ, autoincrement=True, nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("alias", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("job_id", ID, nullable=False),
        sa.Column("user", sa.Text(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.Column("forced", sa.Boolean(), nullable=False),
        sa.Column("published", sa.Text(), nullable=True),
        sa.CheckConstraint("revision >= 1", name=op.f("ck_champions_revision")),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_champions_job_id_jobs")),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_champions")),
        sa.UniqueConstraint("model", "alias", "revision", name=op.f("uq_champions_model_alias_revision")),
        sqlite_autoincrement=True,
    )


def _make_checkpoints() -> None:
    op.create_table(
        "checkpoints",
        sa.Column("job_id", ID, nullable=False),
        sa.Column("prefix", sa.Text(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.Column("manifest_sha256", sa.String(length=64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_checkpoints_job_id_jobs")),
        sa.PrimaryKeyConstraint("job_id", "prefix", name=op.f("pk_checkpoints")),
    )


def _make_edges() -> None:
    op.create_table(
        "edges",
        sa.Column("job_id", ID, nullable=False),
        sa.Column("need_id", ID, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_edges_job_id_jobs")),
        sa.ForeignKeyConstraint(["need_id"], ["jobs.id"], name=op.f("fk_edges_need_id_jobs")),
        sa.PrimaryKeyConstraint("job_id", "need_id", name=op.f("pk_edges")),
    )
    op.create_index("ix_edges_need_id", "edges", ["need_id"])


def _make_events() -> None:
    op.create_table(
        "events",
        sa.Column("seq", SEQ, autoincrement=True, nullable=False),
        sa.Column("job_id", ID, nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_events_job_id_jobs")),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_events")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_events_job_id", "events", ["job_id", "seq"])


def _make_outbox() -> None:
    op.create_table(
        "outbox",
        sa.Column("seq", SEQ, autoincrement=True, nullable=False),
        sa.Column("job_id", ID, nullable=False),
        sa.Column("queue", sa.Text(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_outbox_job_id_jobs")),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_outbox")),
        sa.UniqueConstraint("job_id", name=op.f("uq_outbox_job_id")),
        sqlite_autoincrement=True,
    )


def _make_shipments() -> None:
    op.create_table(
        "shipments",
        sa.Column("job_id", ID, nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("done_version", sa.BigInteger(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("claimed_until", sa.Double(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=True),
        sa.Column("shipped_step", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_shipments_job_id_jobs")),
        sa.PrimaryKeyConstraint("job_id", name=op.f("pk_shipments")),
    )
    op.create_index(
        "ix_shipments_due",
        "shipments",
        ["claimed_until"],
        sqlite_where=sa.text("version > done_version"),
        postgresql_where=sa.text("version > done_version"),
    )


def _make_stages() -> None:
    op.create_table(
        "stages",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("detector", sa.Text(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("job_id", ID, nullable=False),
        sa.Column("manifest_sha256", sa.String(length=64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_stages_job_id_jobs")),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_stages")),
    )


def _one_of(name: str, *values: str) -> sa.Enum:
    return sa.Enum(*values, name=name, native_enum=False, create_constraint=True, length=16)
