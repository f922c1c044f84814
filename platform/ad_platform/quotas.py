"""How much each user's jobs may take at a time, and how much they take."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import cast

from ad_platform.errors import UnknownName
from ad_platform.naming import match
from ad_platform.records import Job, Quota
from ad_platform.specs import Json
from ad_platform.states import JobState
from ad_platform.store.contract import Store

MOST = 10_000  # running jobs of a user that are counted


@dataclass(frozen=True, kw_only=True)
class QuotaState:
    """A user's quota, and what the user's running jobs take of it."""

    quota: Quota
    gpus: int = 0
    jobs: int = 0

    def to_json(self) -> dict[str, Json]:
        """Return it as JSON values."""
        running: Mapping[str, Json] = {"gpus": self.gpus, "jobs": self.jobs}
        return {**cast("dict[str, Json]", asdict(self.quota)), "running": dict(running)}


def states(store: Store) -> list[QuotaState]:
    """Return the quotas by user, each with what is used of it."""
    return [state(store, quota) for quota in store.quotas.all()]


def state(store: Store, quota: Quota) -> QuotaState:
    """Return a quota with what is used of it."""
    held: list[Job] = store.jobs.search(states=[JobState.RUNNING], user=quota.user, limit=MOST)
    return QuotaState(quota=quota, gpus=sum(job.cards for job in held), jobs=len(held))


def clear(store: Store, user: str) -> str:
    """Lift a user's quota, and return whose it was; raise UnknownName where there is none."""
    known = [quota.user for quota in store.quotas.all()]
    if not known:
        raise UnknownName("user with a quota", user, known)
    name = match("user with a quota", user, known)
    store.quotas.clear(name)
    return name
