"""Waiting for jobs and taking what they leave: what a program needs beside looking."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ad_platform.errors import Conflict, CorruptBundle, InvalidRequest, NotSucceeded, TimedOut
from ad_platform.history import Estimate, estimate
from ad_platform.looking import Looking
from ad_platform.records import Benchmark, Champion, Job, Progress
from ad_platform.results import result_of
from ad_platform.rungs import no_model
from ad_platform.scored import Results, results_from
from ad_platform.specs import JobSpec
from ad_platform.states import JobKind, JobState

if TYPE_CHECKING:
    from ad_platform.registry.groups import Best

POLL = 0.5  # seconds between two looks


class Following(Looking):
    """Waits for jobs, and brings their results here; changes nothing."""

    def wait(
        self,
        job: Job | str,
        *,
        timeout: float | None = None,
        dependents: bool = True,
        check: bool = False,
    ) -> Job:
        """Return a job once it has ended, and with it those that need it, such as its evaluation.

        The services may be away in the meantime. Raises TimedOut after `timeout` seconds, and the job goes
        on; with `check`, NotSucceeded if one of them failed or was cancelled. Without `dependents` the
        job alone is waited for.
        """
        first = self.job(job)
        waited: list[Job] = [first, *(self.dependents(first) if dependents else ())]
        end = None if timeout is None else self._monotonic() + timeout
        for snapshot in self.watch(waited, POLL):
            waited = list(snapshot.jobs)
            if end is not None and self._monotonic() >= end and not snapshot.over:
                raise TimedOut(_how_far(waited, timeout or 0.0))
        for each in waited if check else ():
            if each.state is not JobState.SUCCEEDED:
                raise NotSucceeded(each.id, _how_it_ended(each))
        return waited[0]

    def progress(self, job: Job | str, interval: float = POLL) -> Iterator[Progress]:
        """Yield how far a job has come, with its newest metrics, at every change until it has ended."""
        seen: Progress | None = None
        for snapshot in self.watch(self.job(job), interval):
            if snapshot.jobs and (now := snapshot.jobs[0].progress) != seen:
                seen = now
                yield now

    def evaluation_of(self, job: Job | str) -> Job | None:
        """Return a train job's newest evaluation that succeeded, else the newest; None: there is none."""
        found = [each for each in self.dependents(self.job(job)) if each.kind is JobKind.EVALUATE]
        done = [each for each in found if each.state is JobState.SUCCEEDED]
        return next(iter([*done, *found]), None)

    def results(self, job: Job | str) -> Results:
        """Return what a job measured: a training's evaluation, an evaluation itself, or a trial.

        Raises NotSucceeded for one that failed, and Conflict for one that has not ended or was not evaluated.
        """
        found = self.job(job)
        if found.kind is JobKind.TRAIN:
            evaluation = self.evaluation_of(found)
            if evaluation is None:
                raise Conflict(f"job {found.id} was not evaluated: client.evaluate('{found.id}')")
            found = evaluation
        if not found.state.terminal:
            raise Conflict(f"job {found.id} is {found.state}: client.wait('{found.id}')")
        if found.state is not JobState.SUCCEEDED and not found.pruned:
            raise NotSucceeded(found.id, _how_it_ended(found))
        return results_from(found, self.files(found) if result_of(found).bundle else None)

    def files(self, job: Job | str) -> Path:
        """Return a folder on this machine with what a job left: a fitted model, or tables and pictures.

        It is kept for the next time, checked against its manifest, and to be read only. Raises Conflict for a
        job that left nothing, CorruptBundle, StorageDown, DiskFull.
        """
        from ad_platform.storage.bundle_cache import BundleCache

        found, result = self._left(job)
        kind = "models" if found.kind is JobKind.TRAIN else "results"
        cache = BundleCache(self.storage, self.settings.home / "cache" / kind)
        return cache.fetch(result, result_of(found).manifest_sha256)

    def download(self, job: Job | str, to: Path | str) -> Path:
        """Copy what a job left into a new or empty folder, and return it; raises as `files` does.

        A model's folder is what `ad_detectors.checkpoint.load_model` reads.
        """
        found, bundle = self._left(job)
        folder = Path(to).expanduser()
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise InvalidRequest(f"{folder} is there already and not an empty folder; choose another")
        manifest = self.storage.fetch(bundle, folder)
        if result_of(found).manifest_sha256 not in (None, manifest.sha256):
            raise CorruptBundle(f"{bundle} in the storage is not what its job reported; run the job again")
        return folder

    def estimate(self, spec: JobSpec, images: int | None = None) -> Estimate | None:
        """Return how long a job will take, by those like it; None where nothing like it has run."""
        return estimate(self.store, spec, images)

    def run_of(self, job: Job) -> str | None:
        """Return the id of a job's run in MLflow; None while it is not told of the job."""
        return self.store.shipments.run_of(job.id)

    def decisions(self, model: str | None = None) -> list[Champion]:
        """Return who let what carry which alias, newest first; of all models unless one is named."""
        return self.store.champions.history() if model is None else self.store.champions.history(model)

    def page(self, found: Job | Benchmark) -> str:
        """Return a page about a job or a benchmark as HTML that opens anywhere."""
        if isinstance(found, Benchmark):
            from ad_platform.benchmark_report import page_of as of_benchmark

            return of_benchmark(self.store, self.storage, found)
        from ad_platform.job_report import page_of

        return page_of(self.store, self.storage, found)

    def is_group(self, text: str) -> bool:
        """Say whether jobs are held together under this name."""
        from ad_platform.registry import groups

        return groups.exists(self.store, text)

    def best_of(self, group: str, metric: str = "", category: str = "") -> "list[Best]":
        """Return the best model of a group, or sweep by name, for each category; raises InvalidRequest."""
        from ad_platform.registry import groups

        return groups.best_of(self.store, group, metric, category)

    def carrying(self, job: Job, alias: str) -> Champion | None:
        """Return the decision in force for an alias of the registered model that a job's model belongs to."""
        from ad_platform.registry.promotion import model_name

        return self.store.champions.current(model_name(job), alias)

    def _left(self, job: Job | str) -> tuple[Job, str]:
        found = self.job(job)
        if found.kind is JobKind.TRIAL:
            raise InvalidRequest(no_model(found))
        bundle = result_of(found).bundle
        if bundle is None:
            raise Conflict(f"job {found.id} is {found.state} and left no files")
        return found, bundle


def _how_far(jobs: list[Job], timeout: float) -> str:
    job = next(each for each in jobs if not each.state.terminal)
    done = job.progress
    far = f" (step {done.step} of {done.of})" if done.of else ""
    return f"job {job.id} is {job.state}{far} after {timeout:g} s; it goes on: client.wait('{job.id}')"


def _how_it_ended(job: Job) -> str:
    why = f" ({job.error})" if job.error else ""
    return f"job {job.id} is {job.state}{why}; run it again: client.retry('{job.id}')"
