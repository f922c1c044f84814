"""What decides between jobs beside their order: quotas, cards held back, and what others took."""

from sqlalchemy import Column, Double, ForeignKey, Integer, String, Table, Text, UniqueConstraint

from ad_platform.store.tables import ID, metadata

quotas = Table(
    "quotas",
    metadata,
    Column("user", Text, primary_key=True),
    Column("gpus", Integer),  # cards that the user's running jobs may hold together; None is no limit
    Column("jobs", Integer),  # that may run at a time
    Column("set_by", Text, nullable=False),
    Column("at", Double, nullable=False),
)

held_back = Table(
    "held_back",
    metadata,
    Column("worker", Text, primary_key=True),
    Column("job_id", ID, ForeignKey("jobs.id"), nullable=False),  # for which it leaves cards free
    Column("since", Double, nullable=False),
    UniqueConstraint("job_id"),  # one worker is enough
)

peaks = Table(
    "peaks",
    metadata,
    Column("kind", String(16), primary_key=True),
    Column("detector", Text, primary_key=True),
    Column("preset", Text, primary_key=True),
    Column("image_size", Integer, primary_key=True, autoincrement=False),
    Column("batch", Integer, primary_key=True, autoincrement=False),  # 0 where there is none to choose
    Column("peak_mb", Integer, nullable=False),  # of one card
    Column("runs", Integer, nullable=False),
    Column("at", Double, nullable=False),
)
