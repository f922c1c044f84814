"""How much memory of a card jobs of one sort were seen to take."""

from sqlalchemy import ColumnElement, case, select

from ad_platform.records import Job, Peak
from ad_platform.specs import JobSpec, Json
from ad_platform.store import quota_contract
from ad_platform.store.database import Database, Transaction
from ad_platform.store.shares import peaks

FACT = "peak_card_mb"  # of an attempt: the most that it held of one card
FADES = 8  # the share of the difference by which a peak falls with each attempt that took less
LARGEST = 2**31 - 1
ATTACKED = "attack"  # in place of its kind, an evaluation that tries attacks


class SqlPeaks(quota_contract.Peaks):
    """Peaks in a SQL database."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def of(self, spec: JobSpec, batch_divisor: int = 1) -> Peak | None:
        """Return what jobs like this one took; None where nobody has told."""
        found = select(peaks.c.peak_mb, peaks.c.runs).where(*_same(_sort(spec, batch_divisor)))
        row = self._db.read(lambda tx: tx.first(found))
        return None if row is None else Peak(**row._mapping)


def learn(tx: Transaction, job: Job, told: Json) -> None:
    """Remember what an attempt of a job has told; anything but a sensible number is no news."""
    if isinstance(told, bool) or not isinstance(told, int | float) or not 0 < told < LARGEST:
        return
    mb, sort = round(told), _sort(job.spec, job.batch_divisor)
    faded = peaks.c.peak_mb - (peaks.c.peak_mb - mb) / FADES
    values = {
        "peak_mb": case((peaks.c.peak_mb <= mb, mb), else_=faded),
        "runs": peaks.c.runs + 1,
        "at": tx.now,
    }
    fresh = tx.insert(peaks).values(**sort, peak_mb=mb, runs=1, at=tx.now)
    tx.run(fresh.on_conflict_do_update(index_elements=list(sort), set_=values))


def _sort(spec: JobSpec, batch_divisor: int) -> dict[str, str | int]:
    """Return what jobs have in common that are expected to take the same."""
    batch = next((whole for name in ("batch_size", "batch") if (whole := _whole(spec, name))), 0)
    return {
        "kind": ATTACKED if spec.attacks else spec.kind.value,  # gradients take more than scores
        "detector": spec.detector,
        "preset": spec.preset,
        "image_size": _whole(spec, "image_size"),
        "batch": -(-batch // batch_divisor),
    }


def _whole(spec: JobSpec, name: str) -> int:
    value = spec.config.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**31 else 0


def _same(sort: dict[str, str | int]) -> list[ColumnElement[bool]]:
    return [peaks.c[name] == value for name, value in sort.items()]
