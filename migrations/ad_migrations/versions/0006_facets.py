"""Keep what jobs are found by in narrow tables of their own; drops ix_jobs_user and ix_jobs_group."""

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

LONGEST = 200
AT_ONCE = 2000  # jobs
BY_KIND = ("detector", "dataset", "category", "user")
PLAIN = ("name", "group", "queue", "created_at")


def upgrade() -> None:
    _make_tables()
    _fill()
    for name in BY_KIND:
        op.create_index(f"ix_facets_{name}", "facets", [name, "kind", "owned", "place"])
    op.create_index("ix_facets_kind", "facets", ["kind", "owned", "place"])
    for name in PLAIN:
        op.create_index(f"ix_facets_{name}", "facets", [name, "place"])
    op.create_index("ix_tags_value", "tags", ["name", "value", "seq"])
    op.create_index("ix_measures_value", "measures", ["name", "kind", "value", "seq"])
    op.drop_index("ix_jobs_user", "jobs")
    op.drop_index("ix_jobs_group", "jobs")
    op.create_index("ix_jobs_worker", "jobs", ["worker", "seq"])
    for name in ("studies", "benchmarks"):
        op.create_index(f"ix_{name}_created_at", name, ["created_at"])


def downgrade() -> None:
    for name in ("studies", "benchmarks"):
        op.drop_index(f"ix_{name}_created_at", name)
    op.drop_index("ix_jobs_worker", "jobs")
    op.create_index("ix_jobs_group", "jobs", ["group", "seq"])
    op.create_index("ix_jobs_user", "jobs", ["user", "seq"])
    for name in ("measures", "tags", "facets"):
        op.drop_table(name)


def _make_tables() -> None:
    seq = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    words = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    op.create_table(
        "facets",
        sa.Column("seq", seq, autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("owned", sa.Boolean(), nullable=False),
        sa.Column("detector", words, nullable=False),
        sa.Column("dataset", words, nullable=False),
        sa.Column("category", words, nullable=False),
        sa.Column("user", words, nullable=False),
        sa.Column("name", words, nullable=False),
        sa.Column("group", words, nullable=True),
        sa.Column("queue", words, nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("place", seq, nullable=False),
        sa.ForeignKeyConstraint(["seq"], ["jobs.seq"], name=op.f("fk_facets_seq_jobs")),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_facets")),
    )
    op.create_table(
        "tags",
        sa.Column("name", words, nullable=False),
        sa.Column("seq", seq, autoincrement=False, nullable=False),
        sa.Column("value", words, nullable=False),
        sa.ForeignKeyConstraint(["seq"], ["jobs.seq"], name=op.f("fk_tags_seq_jobs")),
        sa.PrimaryKeyConstraint("name", "seq", name=op.f("pk_tags")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "measures",
        sa.Column("name", words, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("seq", seq, autoincrement=False, nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["seq"], ["jobs.seq"], name=op.f("fk_measures_seq_jobs")),
        sa.PrimaryKeyConstraint("name", "kind", "seq", name=op.f("pk_measures")),
        sqlite_with_rowid=False,
    )


# What follows is written out here, not taken from the program, whose later versions may write other rows.


def _fill() -> None:
    bind = op.get_bind()
    tables = {
        name: sa.Table(name, sa.MetaData(), autoload_with=bind) for name in ("facets", "tags", "measures")
    }
    for rows in _chunks(bind):
        found = {"facets": [_facets(row) for row in rows]}
        found["tags"] = [each for row in rows for each in _tags(row)]
        found["measures"] = [each for row in rows if row["state"] == "succeeded" for each in _measures(row)]
        for name, each in found.items():
            if each:
                bind.execute(tables[name].insert(), each)


def _chunks(bind: sa.Connection) -> Iterator[list[dict[str, Any]]]:
    names = (
        "seq",
        "kind",
        "detector",
        "spec",
        "state",
        "user",
        "name",
        "tags",
        "group",
        "queue",
        "key",
        "result",
    )
    jobs = sa.table("jobs", *map(sa.column, (*names, "created_at")))
    last = 0
    while True:
        found = sa.select(jobs).where(jobs.c.seq > last).order_by(jobs.c.seq).limit(AT_ONCE)
        rows = [dict(row._mapping) for row in bind.execute(found)]
        if not rows:
            return
        yield rows
        last = rows[-1]["seq"]


def _facets(row: Mapping[str, Any]) -> dict[str, Any]:
    data, key = json.loads(row["spec"])["dataset"], row["key"]
    return {
        "seq": row["seq"],
        "kind": row["kind"],
        "owned": "benchmark" in json.loads(row["tags"]) or (key or "").startswith(("sweep/", "stage/")),
        "detector": _text(row["detector"].lower()),
        "dataset": _text(data["dataset"].lower()),
        "category": _text(data["category"].lower()),
        "user": _text(row["user"]),
        "name": _text(row["name"].lower()),
        "group": None if row["group"] is None else _text(row["group"]),
        "queue": _text(row["queue"]),
        "created_at": row["created_at"],
        "place": row["seq"],
    }


def _tags(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = {_text(name): _text(value) for name, value in json.loads(row["tags"]).items()}
    return [{"name": name, "seq": row["seq"], "value": value} for name, value in found.items()]


def _measures(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    result = json.loads(row["result"])
    metrics = result.get("metrics")
    found = {
        _text(name): float(value)
        for name, value in (metrics if isinstance(metrics, dict) else result).items()
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    }
    of = {"kind": row["kind"], "seq": row["seq"]}
    return [{"name": name, "value": value, **of} for name, value in found.items()]


def _text(value: object) -> str:
    return str(value).replace("\0", "").encode("utf-8", "replace").decode()[:LONGEST]
