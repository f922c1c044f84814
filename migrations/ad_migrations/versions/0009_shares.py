"""Share cards and slots; touches ix_jobs_running, and brings ix_jobs_wide, quotas, held_back and peaks."""

import re

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

WIDE = "state = 'queued' AND gpus > 1"
RUNNING = "state = 'running'"
# Columns at the end of a table: name, type, what stands in the rows that are there.
MORE = {
    "jobs": (
        ("cpu_only", sa.Boolean(), "false"),
        ("cards", sa.Integer(), "0"),
        ("preemptible", sa.Boolean(), "false"),
        ("preempted_for", sa.String(16), None),
        ("memory_from", sa.Text(), "''"),
    ),
    "workers": (("load", sa.Text(), "'{}'"),),
}
# As SQLite keeps them: the last column of a table as it was, and what follows it now.
LAST = {"jobs": "batch_divisor INTEGER NOT NULL", "workers": "seen_at DOUBLE NOT NULL"}
FOLLOWS = {
    "jobs": ", cpu_only BOOLEAN NOT NULL, cards INTEGER NOT NULL, preemptible BOOLEAN NOT NULL, "
    "preempted_for VARCHAR(16), memory_from TEXT NOT NULL",
    "workers": ", load TEXT NOT NULL",
}


def upgrade() -> None:
    op.drop_index("ix_jobs_running", "jobs")
    for name in MORE:
        _grow(name)
    # What has ended asks for nothing any more, and there may be a million of it.
    op.execute(
        "UPDATE jobs SET cpu_only = true WHERE state IN ('waiting', 'queued', 'running') "
        """AND spec LIKE '%"device":"cpu"%'"""
    )
    _index("ix_jobs_running", ["user", "cards"], RUNNING)
    _index("ix_jobs_wide", ["gpus"], WIDE)
    op.create_table(
        "quotas",
        sa.Column("user", sa.Text(), nullable=False),
        sa.Column("gpus", sa.Integer(), nullable=True),
        sa.Column("jobs", sa.Integer(), nullable=True),
        sa.Column("set_by", sa.Text(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("user", name=op.f("pk_quotas")),
    )
    op.create_table(
        "held_back",
        sa.Column("worker", sa.Text(), nullable=False),
        sa.Column("job_id", sa.String(16), nullable=False),
        sa.Column("since", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_held_back_job_id_jobs")),
        sa.PrimaryKeyConstraint("worker", name=op.f("pk_held_back")),
        sa.UniqueConstraint("job_id", name=op.f("uq_held_back_job_id")),
    )
    op.create_table(
        "peaks",
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("detector", sa.Text(), nullable=False),
        sa.Column("preset", sa.Text(), nullable=False),
        sa.Column("image_size", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("batch", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("peak_mb", sa.Integer(), nullable=False),
        sa.Column("runs", sa.Integer(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "detector", "preset", "image_size", "batch", name=op.f("pk_peaks")),
    )


def downgrade() -> None:
    for name in ("peaks", "held_back", "quotas"):
        op.drop_table(name)
    op.drop_index("ix_jobs_wide", "jobs")
    op.drop_index("ix_jobs_running", "jobs")
    for name in MORE:
        _shrink(name)
    _index("ix_jobs_running", ["user"], RUNNING)


def _index(name: str, columns: list[str], where: str) -> None:
    condition = sa.text(where)
    op.create_index(name, "jobs", columns, sqlite_where=condition, postgresql_where=condition)


def _grow(name: str) -> None:
    if op.get_bind().dialect.name == "sqlite":
        _rebuild(name, grow=True)
        return
    for column, kind, usual in MORE[name]:
        op.add_column(name, sa.Column(column, kind, nullable=usual is None, server_default=_default(usual)))
        if usual is not None:
            op.alter_column(name, column, server_default=None)


def _default(usual: str | None) -> sa.TextClause | None:
    return None if usual is None else sa.text(usual)


def _shrink(name: str) -> None:
    if op.get_bind().dialect.name == "sqlite":
        _rebuild(name, grow=False)
        return
    for column, _, _ in MORE[name]:
        op.drop_column(name, column)


def _rebuild(name: str, *, grow: bool) -> None:
    """Make a table anew from its own text: a column of SQLite's cannot come without a default, if not NULL.

    Whoever migrates has turned foreign keys off; they refer to the name, which stays.
    """
    bind = op.get_bind()
    text, *indexes = bind.scalars(
        sa.text(
            "SELECT sql FROM sqlite_master WHERE tbl_name = :name AND sql IS NOT NULL ORDER BY type = 'index'"
        ),
        {"name": name},
    ).all()
    new = [column for column, _, _ in MORE[name]]
    before = [str(column["name"]) for column in sa.inspect(bind).get_columns(name)]
    kept = ", ".join(f'"{column}"' for column in before if column not in new)
    short, long = LAST[name], LAST[name] + FOLLOWS[name]
    old, changed = (short, long) if grow else (long, short)
    assert old in text, f"{name} lacks {old}"
    # A table that was renamed before has its name in quotes.
    text = re.sub(rf'TABLE "?{name}"?', f"TABLE new_{name}", text.replace(old, changed, 1), count=1)
    op.execute(text)
    filled = [(column, usual or "NULL") for column, _, usual in MORE[name]] if grow else []
    names, values = (", ".join([kept, *(each[place] for each in filled)]) for place in (0, 1))
    op.execute(f"INSERT INTO new_{name} ({names}) SELECT {values} FROM {name}")  # noqa: S608
    op.execute(f"DROP TABLE {name}")
    op.execute(f"ALTER TABLE new_{name} RENAME TO {name}")
    for index in indexes:
        op.execute(index)
