"""Find who is next without reading the whole queue; touches ix_jobs_queued, and brings turns."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _index(["queue", "priority", "user", "seq"])
    op.create_table(
        "turns",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("owned_until", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_turns")),
    )


def downgrade() -> None:
    op.drop_table("turns")
    _index(["queue", "priority", "seq"])


def _index(columns: list[str]) -> None:
    op.drop_index("ix_jobs_queued", table_name="jobs")
    queued = sa.text("state = 'queued'")
    op.create_index("ix_jobs_queued", "jobs", columns, sqlite_where=queued, postgresql_where=queued)
