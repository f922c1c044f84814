"""Remember studies with their trials, and let jobs be trials; touches ck_jobs_kind and all of studies."""

import re

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

OLD_KINDS = "kind IN ('train', 'evaluate')"
NEW_KINDS = "kind IN ('train', 'evaluate', 'trial')"
# All that hangs on a job, and falls with it.
HANGING = ("attempts", "champions", "checkpoints", "events", "outbox", "shipments", "stages")


def upgrade() -> None:
    _change_jobs(OLD_KINDS, NEW_KINDS, grow=True)
    op.drop_table("studies")  # which no program has ever written
    _make_studies()
    _make_trials()
    if op.get_bind().dialect.name == "postgresql":
        # Optuna's tables have names of ours. Who may not make a schema lets an administrator do it before.
        op.execute("CREATE SCHEMA IF NOT EXISTS optuna")


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP SCHEMA IF EXISTS optuna CASCADE")
    trials = "SELECT id FROM jobs WHERE kind = 'trial'"
    for name in HANGING:
        op.execute(f"DELETE FROM {name} WHERE job_id IN ({trials})")  # noqa: S608 - names of this file
    op.execute(f"DELETE FROM edges WHERE job_id IN ({trials}) OR need_id IN ({trials})")  # noqa: S608
    op.execute(f"UPDATE jobs SET retry_of = NULL WHERE retry_of IN ({trials})")  # noqa: S608
    op.execute("DELETE FROM jobs WHERE kind = 'trial'")
    op.drop_table("trials")
    op.drop_table("studies")
    _make_old_studies()
    _change_jobs(NEW_KINDS, OLD_KINDS, grow=False)


def _change_jobs(old: str, new: str, *, grow: bool) -> None:
    if op.get_bind().dialect.name == "sqlite":
        _rebuild_jobs(old, new, grow=grow)
        return
    op.drop_constraint(op.f("ck_jobs_kind"), "jobs", type_="check")
    op.create_check_constraint(op.f("ck_jobs_kind"), "jobs", new)
    if grow:
        op.add_column(
            "jobs", sa.Column("prune_requested", sa.Boolean(), nullable=False, server_default=sa.false())
        )
        op.alter_column("jobs", "prune_requested", server_default=None)
    else:
        op.drop_column("jobs", "prune_requested")


def _rebuild_jobs(old: str, new: str, *, grow: bool) -> None:
    """Make the table anew from its own text with another check: SQLite cannot change one in place.

    Whoever migrates has turned foreign keys off; they refer to the name, which stays.
    """
    bind = op.get_bind()
    text = bind.scalar(sa.text("SELECT sql FROM sqlite_master WHERE type = 'table' AND name = 'jobs'"))
    indexes = bind.scalars(
        sa.text(
            "SELECT sql FROM sqlite_master WHERE type = 'index' AND tbl_name = 'jobs' AND sql IS NOT NULL"
        )
    ).all()
    names = [str(column["name"]) for column in sa.inspect(bind).get_columns("jobs")]
    kept = [name for name in names if name != "prune_requested"]
    short, long = "rung_at DOUBLE", "rung_at DOUBLE, prune_requested BOOLEAN NOT NULL"
    text = text.replace(short, long) if grow else text.replace(long, short)
    assert old in text
    # A table that was renamed before has its name in quotes.
    text = re.sub(r'TABLE "?jobs"?', "TABLE new_jobs", text.replace(old, new), count=1)
    listed = ", ".join(f'"{name}"' for name in kept)
    op.execute(text)
    more, values = (", prune_requested", ", 0") if grow else ("", "")
    op.execute(f"INSERT INTO new_jobs ({listed}{more}) SELECT {listed}{values} FROM jobs")  # noqa: S608
    op.execute("DROP TABLE jobs")
    op.execute("ALTER TABLE new_jobs RENAME TO jobs")
    for index in indexes:
        op.execute(index)


def _make_studies() -> None:
    op.create_table(
        "studies",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("spec", sa.Text(), nullable=False),
        sa.Column("user", sa.Text(), nullable=False),
        sa.Column("wanted", sa.Integer(), nullable=False),
        sa.Column("parallel", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("finished_at", sa.Double(), nullable=True),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("owned_until", sa.Double(), nullable=False),
        sa.Column("summary", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("shipped_version", sa.BigInteger(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "state IN ('running', 'paused', 'stopped', 'finished')", name=op.f("ck_studies_state")
        ),
        sa.CheckConstraint("wanted >= 0 AND parallel >= 1", name=op.f("ck_studies_sizes")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_studies")),
        sa.UniqueConstraint("name", name=op.f("uq_studies_name")),
    )


def _make_trials() -> None:
    op.create_table(
        "trials",
        sa.Column("study_id", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("origin", sa.String(length=16), nullable=False),
        sa.Column("params", sa.Text(), nullable=False),
        sa.Column("values", sa.Text(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("retry_of", sa.Integer(), nullable=True),
        sa.Column("again_at", sa.Double(), nullable=True),
        sa.Column("asked_at", sa.Double(), nullable=False),
        sa.Column("ended_at", sa.Double(), nullable=True),
        sa.CheckConstraint(
            "state IN ('running', 'complete', 'pruned', 'failed')", name=op.f("ck_trials_state")
        ),
        sa.CheckConstraint(
            "origin IN ('asked', 'retry', 'warm', 'ruled-out')", name=op.f("ck_trials_origin")
        ),
        sa.CheckConstraint("(state = 'running') = (ended_at IS NULL)", name=op.f("ck_trials_ended")),
        sa.ForeignKeyConstraint(["study_id"], ["studies.id"], name=op.f("fk_trials_study_id_studies")),
        sa.PrimaryKeyConstraint("study_id", "number", name=op.f("pk_trials")),
        sa.UniqueConstraint("study_id", "retry_of", name=op.f("uq_trials_study_id_retry_of")),
    )
    op.create_index("ix_trials_state", "trials", ["study_id", "state"])


def _make_old_studies() -> None:
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
