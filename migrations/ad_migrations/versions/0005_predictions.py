"""Let jobs be predictions; touches ck_jobs_kind."""

import re

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

OLD_KINDS = "kind IN ('train', 'evaluate', 'trial')"
NEW_KINDS = "kind IN ('train', 'evaluate', 'trial', 'predict')"
# All that hangs on a job, and falls with it.
HANGING = ("attempts", "champions", "checkpoints", "events", "outbox", "shipments", "stages")


def upgrade() -> None:
    _change_jobs(OLD_KINDS, NEW_KINDS)


def downgrade() -> None:
    fallen = "SELECT id FROM jobs WHERE kind = 'predict'"
    for name in HANGING:
        op.execute(f"DELETE FROM {name} WHERE job_id IN ({fallen})")  # noqa: S608 - names of this file
    op.execute(f"DELETE FROM edges WHERE job_id IN ({fallen}) OR need_id IN ({fallen})")  # noqa: S608
    op.execute(f"UPDATE jobs SET retry_of = NULL WHERE retry_of IN ({fallen})")  # noqa: S608
    op.execute("DELETE FROM jobs WHERE kind = 'predict'")
    op.execute("DELETE FROM holdings WHERE dataset = ''")  # listings of pictures
    _change_jobs(NEW_KINDS, OLD_KINDS)


def _change_jobs(old: str, new: str) -> None:
    if op.get_bind().dialect.name == "sqlite":
        _rebuild_jobs(old, new)
        return
    op.drop_constraint(op.f("ck_jobs_kind"), "jobs", type_="check")
    op.create_check_constraint(op.f("ck_jobs_kind"), "jobs", new)


def _rebuild_jobs(old: str, new: str) -> None:
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
    assert old in text
    # A table that was renamed before has its name in quotes.
    text = re.sub(r'TABLE "?jobs"?', "TABLE new_jobs", text.replace(old, new), count=1)
    names = ", ".join(f'"{column["name"]}"' for column in sa.inspect(bind).get_columns("jobs"))
    op.execute(text)
    op.execute(f"INSERT INTO new_jobs ({names}) SELECT {names} FROM jobs")  # noqa: S608 - names of a table
    op.execute("DROP TABLE jobs")
    op.execute("ALTER TABLE new_jobs RENAME TO jobs")
    for index in indexes:
        op.execute(index)
