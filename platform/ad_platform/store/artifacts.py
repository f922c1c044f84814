"""What lies whole in the storage."""

from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy import delete, select

from ad_platform.errors import InvalidValue
from ad_platform.failpoints import Commit
from ad_platform.records import CheckpointRecord, Lease, StageRecord
from ad_platform.store import contract
from ad_platform.store.database import Database, Transaction
from ad_platform.store.tables import checkpoints, stages
from ad_platform.store.transitions import hold, mark_due


class SqlArtifacts(contract.Artifacts):
    """Records of checkpoints and stages in a SQL database."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def record_checkpoint(self, lease: Lease, checkpoint: CheckpointRecord) -> None:
        """Commit a checkpoint whose manifest is in the storage."""
        if (checkpoint.job_id, checkpoint.attempt) != (lease.job_id, lease.attempt):
            raise InvalidValue(
                f"attempt {lease.attempt} of job {lease.job_id} cannot record a checkpoint of"
                f" attempt {checkpoint.attempt} of job {checkpoint.job_id}"
            )
        self._db.write(lambda tx: _record_checkpoint(tx, lease, checkpoint), Commit.CHECKPOINT)

    def checkpoints(self, job_id: str) -> list[CheckpointRecord]:
        """Return the committed checkpoints of a job, the highest step first, then the newest attempt."""
        found = select(checkpoints).where(checkpoints.c.job_id == job_id)
        ordered = found.order_by(checkpoints.c.step.desc(), checkpoints.c.attempt.desc())
        return self._db.read(lambda tx: [CheckpointRecord(**row._mapping) for row in tx.rows(ordered)])

    def forget_checkpoints(self, lease: Lease, prefixes: Sequence[str]) -> None:
        """Drop records of checkpoints about to be removed from the storage."""
        self._db.write(lambda tx: _forget(tx, lease, prefixes), Commit.FORGET)

    def record_stage(self, lease: Lease, stage: StageRecord) -> None:
        """Remember a stage; the first record of a key stands."""
        self._db.write(lambda tx: _record_stage(tx, lease, stage), Commit.STAGE)

    def stage(self, key: str) -> StageRecord | None:
        """Return the record of a stage, if there is one."""
        row = self._db.read(lambda tx: tx.first(select(stages).where(stages.c.key == key)))
        return StageRecord(**row._mapping) if row else None


def _record_checkpoint(tx: Transaction, lease: Lease, checkpoint: CheckpointRecord) -> None:
    hold(tx, lease)
    values = {**asdict(checkpoint), "created_at": tx.now}
    tx.run(tx.insert(checkpoints).values(values).on_conflict_do_nothing())
    mark_due(tx, lease.job_id)


def _forget(tx: Transaction, lease: Lease, prefixes: Sequence[str]) -> None:
    hold(tx, lease)
    mine = (checkpoints.c.job_id == lease.job_id, checkpoints.c.prefix.in_(prefixes))
    tx.run(delete(checkpoints).where(*mine))


def _record_stage(tx: Transaction, lease: Lease, stage: StageRecord) -> None:
    hold(tx, lease)
    values = {**asdict(stage), "created_at": tx.now}
    tx.run(tx.insert(stages).values(values).on_conflict_do_nothing())
