"""What the tracking server shows of our jobs, read in pages and changed by nothing."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ad_platform.tracking.facts import JOB_TAG
from ad_platform.tracking.mlflow import open_client, reaching

if TYPE_CHECKING:
    from mlflow import MlflowClient

PAGE = 1000  # runs in one answer
EXPERIMENTS = 500  # in one question
_ACTIVE = 1  # run view: those that nobody deleted


@dataclass(frozen=True, kw_only=True)
class RunSeen:
    """A run of one of our jobs."""

    id: str
    job_id: str
    status: str


class RunAudit:
    """Reads runs; every method raises TrackingDown."""

    def __init__(self, client: "MlflowClient") -> None:
        self._client = client

    def newest(self, limit: int) -> list[RunSeen]:
        """Return our newest runs."""
        return self._some("", limit)

    def running(self, limit: int) -> list[RunSeen]:
        """Return those of our runs that are shown as running."""
        return self._some(" and attributes.status = 'RUNNING'", limit)

    def of_job(self, job_id: str) -> list[RunSeen]:
        """Return the runs of one job."""
        return self._some(f" and tags.`{JOB_TAG}` = '{job_id}'", 100)

    def _some(self, more: str, limit: int) -> list[RunSeen]:
        with reaching(self._client.tracking_uri):
            ids = [found.experiment_id for found in self._experiments()]
            found: list[RunSeen] = []
            for start in range(0, len(ids), EXPERIMENTS):
                if len(found) >= limit:
                    break
                query = f"tags.`{JOB_TAG}` != ''{more}"
                found += self._runs(ids[start : start + EXPERIMENTS], query, limit - len(found))
            return found

    def _experiments(self) -> Iterator[Any]:
        page = self._client.search_experiments(max_results=PAGE)
        while True:
            yield from page
            if not page.token:
                return
            page = self._client.search_experiments(max_results=PAGE, page_token=page.token)

    def _runs(self, experiments: Sequence[str], query: str, limit: int) -> list[RunSeen]:
        found: list[RunSeen] = []
        token = None
        while limit > len(found):
            page = self._client.search_runs(
                list(experiments),
                query,
                run_view_type=_ACTIVE,
                max_results=min(PAGE, limit - len(found)),
                order_by=["attributes.start_time DESC"],
                page_token=token,
            )
            found += [
                RunSeen(id=run.info.run_id, job_id=run.data.tags[JOB_TAG], status=run.info.status)
                for run in page
            ]
            token = page.token
            if not token:
                break
        return found


def open_audit(uri: str) -> RunAudit:
    """Return what reads the runs at an address; raise TrackingDown or MissingExtra."""
    return RunAudit(open_client(uri))
