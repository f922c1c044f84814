"""Which jobs a worker understands: those that a newer adctl has asked for may say what it does not know."""

import logging
import re
from functools import cache

from ad_platform import catalogue
from ad_platform.code_version import package_version
from ad_platform.errors import InvalidRequest
from ad_platform.offers import LEFT
from ad_platform.records import Job
from ad_platform.specs import Json
from ad_workers import describing

log = logging.getLogger(__name__)

TOLD = 200  # jobs that a beat names
KNOWN = 5000  # jobs that are remembered; one that was forgotten is looked at once more


class Understanding:
    """Says why a job is not for this worker, and remembers what it has left to newer ones."""

    def __init__(self, version: str = "") -> None:
        self._version = version or package_version()
        self.left: dict[str, str] = {}

    def __call__(self, job: Job) -> str:
        """Return what this worker does not understand of a job, in words; empty if it understands it all."""
        why = self._lacks(job)
        if why:
            log.info("job %s is left to a newer worker: %s", job.id, why)
            while len(self.left) >= KNOWN:
                del self.left[next(iter(self.left))]
            self.left[job.id] = why
        return why

    def to_json(self) -> dict[str, Json]:
        """Return what a beat tells of it: the jobs that were left last."""
        if not self.left:
            return {}
        return {LEFT: dict(list(self.left.items())[-TOLD:])}

    def _lacks(self, job: Job) -> str:
        if job.spec.beyond:
            return f"which does not know {', '.join(job.spec.beyond)}"
        if not is_newer(str(job.code.get("version", "")), self._version):
            return ""  # what is wrong with it is not that this worker is too old: it fails, and says so
        try:
            catalogue.resolve(_entry(job.spec.detector), settings=dict(job.spec.config))
        except InvalidRequest as error:
            return f"which says: {error}"
        return ""


def is_newer(version: str, than: str) -> bool:
    """Say whether one version of adctl is newer than another; one that is no version is not."""
    one, other = _numbers(version), _numbers(than)
    return bool(one and other) and one > other


def _numbers(version: str) -> tuple[int, ...]:
    match = re.match(r"\d+(\.\d+)*", version)
    return tuple(int(part) for part in match[0].split(".")) if match else ()


_entry = cache(describing.entry_of)
