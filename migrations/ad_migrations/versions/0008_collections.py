"""Remember what was collected from the storage; touches all of collector and collected."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "collector",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("store", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("owned_until", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_collector")),
    )
    op.create_table(
        "collected",
        sa.Column("place", sa.Text(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("user", sa.Text(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("place", name=op.f("pk_collected")),
        sa.CheckConstraint(
            "state IN ('condemned', 'trashed', 'purged', 'restored')", name=op.f("ck_collected_state")
        ),
    )


def downgrade() -> None:
    op.drop_table("collected")  # what lies in the trash stays there
    op.drop_table("collector")
