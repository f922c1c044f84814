"""What jobs are found by: narrow rows beside the wide ones, written with them, and never changed.

A search walks an index of these instead of reading specs; the jobs themselves, which change with every
attempt, need no index for it. Names stand here in lower case.
"""

import math
from collections.abc import Iterator, Mapping

from sqlalchemy import (
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    String,
    Table,
    Text,
    insert,
)

from ad_platform.records import Job
from ad_platform.specs import Json
from ad_platform.states import JobKind
from ad_platform.store.database import Transaction
from ad_platform.store.tables import SEQ, metadata

LONGEST = 200  # characters that are kept of a text: PostgreSQL indexes no more than 2,700 bytes
OF_SWEEPS = ("sweep/", "stage/")  # how the submit keys of trials, and of the trainings they share, begin
OF_BENCHMARKS = "benchmark"  # the tag of their jobs; a retry of one has a key like any other's

# Sorted by code points on both databases, as Python sorts.
_Words = Text().with_variant(Text(collation="C"), "postgresql")

facets = Table(
    "facets",
    metadata,
    Column("seq", SEQ, ForeignKey("jobs.seq"), primary_key=True, autoincrement=False),
    Column("kind", String(16), nullable=False),
    Column("owned", Boolean, nullable=False),  # a sweep or benchmark has submitted it
    Column("detector", _Words, nullable=False),
    Column("dataset", _Words, nullable=False),
    Column("category", _Words, nullable=False),
    Column("user", _Words, nullable=False),
    Column("name", _Words, nullable=False),
    Column("group", _Words),
    Column("queue", _Words, nullable=False),
    Column("created_at", Double, nullable=False),
    # The seq once more, for indexes to end in. Asked for the order of the seq, PostgreSQL may read along the
    # primary key, past every job if none fits; this order only the right index has.
    Column("place", SEQ, nullable=False),
)
# With kind and owner between, a search that asks for one of them skips the many of the other at once; one
# that asks for neither walks each of the few combinations.
for _name in ("detector", "dataset", "category", "user"):
    Index(f"ix_facets_{_name}", facets.c[_name], facets.c.kind, facets.c.owned, facets.c.place)
Index("ix_facets_kind", facets.c.kind, facets.c.owned, facets.c.place)
for _name in ("name", "group", "queue", "created_at"):
    Index(f"ix_facets_{_name}", facets.c[_name], facets.c.place)

tags = Table(
    "tags",
    metadata,
    Column("name", _Words, primary_key=True),
    Column("seq", SEQ, ForeignKey("jobs.seq"), primary_key=True, autoincrement=False),
    Column("value", _Words, nullable=False),
    Index("ix_tags_value", "name", "value", "seq"),
    sqlite_with_rowid=False,
)

measures = Table(
    "measures",
    metadata,
    Column("name", _Words, primary_key=True),
    Column("kind", String(16), primary_key=True),  # of the job: hardly two kinds measure the same
    Column("seq", SEQ, ForeignKey("jobs.seq"), primary_key=True, autoincrement=False),
    Column("value", Double, nullable=False),
    Index("ix_measures_value", "name", "kind", "value", "seq"),
    sqlite_with_rowid=False,
)


def kept(text: str) -> str:
    """Return a text as it stands in these tables."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()[:LONGEST]


def lower(text: str) -> str:
    """Return a name as it stands in these tables."""
    return kept(text.lower())


def owned(key: str | None, tagged: Mapping[str, str]) -> bool:
    """Say whether a sweep or benchmark has submitted a job of this key and these tags."""
    return OF_BENCHMARKS in tagged or (key is not None and key.startswith(OF_SWEEPS))


def facets_of(job: Job) -> dict[str, object]:
    """Return the row of a job."""
    data = job.spec.dataset
    return {
        "seq": job.seq,
        "kind": job.kind.value,
        "owned": owned(job.key, job.tags),
        "detector": lower(job.spec.detector),
        "dataset": lower(data.dataset),
        "category": lower(data.category),
        "user": kept(job.user),
        "name": lower(job.name),
        "group": None if job.group is None else kept(job.group),
        "queue": kept(job.queue),
        "created_at": job.created_at,
        "place": job.seq,
    }


def tags_of(seq: int, tagged: Mapping[str, str]) -> list[dict[str, object]]:
    """Return the rows of a job's tags."""
    found = {kept(name): kept(str(value)) for name, value in tagged.items()}
    return [{"name": name, "seq": seq, "value": value} for name, value in found.items()]


def numbers_of(result: Mapping[str, Json]) -> Iterator[tuple[str, float]]:
    """Yield the measures of a result, or else its other numbers: what a list can be sorted by."""
    metrics = result.get("metrics")
    for name, value in (metrics if isinstance(metrics, Mapping) else result).items():
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            yield name, float(value)


def measures_of(seq: int, kind: JobKind, result: Mapping[str, Json]) -> list[dict[str, object]]:
    """Return the rows of what a job has measured."""
    found = {kept(name): value for name, value in numbers_of(result)}
    return [{"name": name, "kind": kind.value, "seq": seq, "value": value} for name, value in found.items()]


def remember(tx: Transaction, job: Job) -> None:
    """Write what a new job is found by."""
    tx.run(insert(facets).values(**facets_of(job)))
    if job.tags:
        tx.run(insert(tags), tags_of(job.seq, job.tags))


def remember_measures(tx: Transaction, job: Job, result: Mapping[str, Json]) -> None:
    """Write what a job that succeeds has measured."""
    if rows := measures_of(job.seq, job.kind, result):
        # What is returned is not wanted: only so are all rows one statement, and not one each.
        tx.run(insert(measures).returning(measures.c.seq), rows)
