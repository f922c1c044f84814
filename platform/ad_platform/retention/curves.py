"""Keeps the curve of a job whose checkpoints go: of which segments it consists only their manifests say."""

from ad_platform.curves import keep_curve
from ad_platform.retention.graph import Extent
from ad_platform.retention.plan import Plan
from ad_platform.retention.units import UnitKind
from ad_platform.storage.contract import Storage
from ad_platform.store.contract import Store


def keep_curves(store: Store, storage: Storage, plan: Plan) -> None:
    """Write down the curve of every job that is needed and loses checkpoints."""
    losing = {
        each.unit.job_id for each in plan.taken if each.unit.kind is UnitKind.CHECKPOINT and each.unit.job_id
    }
    for job_id in sorted(losing):
        if (plan.reached.extent(job_id) or 0) >= Extent.CURVE:
            keep_curve(store, storage, job_id)
