"""Remember what was pushed, and count attempts fast; touches all of pushed, and ix_attempts_outcome."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "pushed",
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("dataset", sa.Text(), nullable=False),
        sa.Column("category", sa.Text(), nullable=False),
        sa.Column("files", sa.Integer(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("user", sa.Text(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("fingerprint", name=op.f("pk_pushed")),
    )
    op.create_index("ix_attempts_outcome", "attempts", ["outcome", "failure"])


def downgrade() -> None:
    op.drop_index("ix_attempts_outcome", table_name="attempts")
    op.drop_table("pushed")  # what lies in the storage stays there; pushing it again notes it
