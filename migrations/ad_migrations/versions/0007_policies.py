"""Limit the time of jobs and keep what was made of failures; touches ck_jobs_failure and ck_attempts_failure.

Both let `timeout` in; ck_attempts_sequel is new.
"""

import re

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0005"
branch_labels = None
depends_on = None

_FIRST, _LAST = (
    "'oom', 'crash', 'infra', 'lost', 'stalled'",
    "'nan', 'data', 'config', 'code', 'disk', 'needs'",
)
OLD_FAILURES = f"failure IN ({_FIRST}, {_LAST})"
NEW_FAILURES = f"failure IN ({_FIRST}, 'timeout', {_LAST})"
SEQUELS = "sequel IN ('retry', 'halve', 'stop', 'exhausted')"
SEQUEL_CHECK = f"CONSTRAINT ck_attempts_sequel CHECK ({SEQUELS}), "
# As SQLite keeps them: the last column of a table as it was, and what follows it now.
LAST = {"jobs": "prune_requested BOOLEAN NOT NULL", "attempts": "facts TEXT NOT NULL"}
MORE = {
    "jobs": ", timeout DOUBLE, batch_divisor INTEGER NOT NULL",
    "attempts": ", sequel VARCHAR(16)",
}
FILLED = {"jobs": {"batch_divisor": "1"}, "attempts": {}}


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for name in ("jobs", "attempts"):
            _rebuild(name, grow=True)
        return
    op.add_column("jobs", sa.Column("timeout", sa.Double(), nullable=True))
    op.add_column("jobs", sa.Column("batch_divisor", sa.Integer(), nullable=False, server_default="1"))
    op.alter_column("jobs", "batch_divisor", server_default=None)
    op.add_column("attempts", sa.Column("sequel", sa.String(length=16), nullable=True))
    op.create_check_constraint(op.f("ck_attempts_sequel"), "attempts", SEQUELS)
    _change_failures(NEW_FAILURES)


def downgrade() -> None:
    for name in ("jobs", "attempts"):
        # The nearest there was: it ran longer than somebody wanted to wait.
        op.execute(f"UPDATE {name} SET failure = 'stalled' WHERE failure = 'timeout'")  # noqa: S608
    if op.get_bind().dialect.name == "sqlite":
        for name in ("jobs", "attempts"):
            _rebuild(name, grow=False)
        return
    op.drop_column("jobs", "timeout")
    op.drop_column("jobs", "batch_divisor")
    op.drop_constraint(op.f("ck_attempts_sequel"), "attempts", type_="check")
    op.drop_column("attempts", "sequel")
    _change_failures(OLD_FAILURES)


def _change_failures(condition: str) -> None:
    for name in ("jobs", "attempts"):
        op.drop_constraint(op.f(f"ck_{name}_failure"), name, type_="check")
        op.create_check_constraint(op.f(f"ck_{name}_failure"), name, condition)


def _rebuild(name: str, *, grow: bool) -> None:
    """Make a table anew from its own text: SQLite cannot change a check in place.

    Whoever migrates has turned foreign keys off; they refer to the name, which stays.
    """
    bind = op.get_bind()
    text = bind.scalar(
        sa.text("SELECT sql FROM sqlite_master WHERE type = 'table' AND name = :name"), {"name": name}
    )
    indexes = bind.scalars(
        sa.text(
            "SELECT sql FROM sqlite_master WHERE type = 'index' AND tbl_name = :name AND sql IS NOT NULL"
        ),
        {"name": name},
    ).all()
    before = [str(column["name"]) for column in sa.inspect(bind).get_columns(name)]
    gone = () if grow else tuple(re.findall(r", (\w+)", MORE[name]))
    kept = ", ".join(f'"{column}"' for column in before if column not in gone)
    text = _changed(name, text, grow=grow)
    # A table that was renamed before has its name in quotes.
    op.execute(re.sub(rf'TABLE "?{name}"?', f"TABLE new_{name}", text, count=1))
    filled = FILLED[name] if grow else {}
    names, values = (", ".join([kept, *each]) for each in (filled, filled.values()))
    op.execute(f"INSERT INTO new_{name} ({names}) SELECT {values} FROM {name}")  # noqa: S608
    op.execute(f"DROP TABLE {name}")
    op.execute(f"ALTER TABLE new_{name} RENAME TO {name}")
    for index in indexes:
        op.execute(index)


def _changed(name: str, text: str, *, grow: bool) -> str:
    """Return the text of a table with, or again without, what this migration brings."""
    checks = (OLD_FAILURES, NEW_FAILURES) if grow else (NEW_FAILURES, OLD_FAILURES)
    short, long = LAST[name], LAST[name] + MORE[name]
    changes = [checks, (short, long) if grow else (long, short)]
    if name == "attempts":
        first = f"CONSTRAINT ck_{name}_failure"
        both = SEQUEL_CHECK + first
        changes.append((first, both) if grow else (both, first))
    for old, new in changes:
        assert old in text, f"{name} lacks {old}"
        text = text.replace(old, new, 1)
    return text
