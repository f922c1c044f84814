"""What must never be taken, said anew and without cleverness: by asking of each job all that hangs on it.

This shares nothing with `ad_platform.retention` but the rules' numbers, so that the two can be held together.
"""

from __future__ import annotations

from ad_platform.records import Job
from ad_platform.retention.facts import Rules
from ad_platform.states import JobKind, JobState, StudyState
from histories import History

BAD = (JobState.FAILED, JobState.CANCELLED)


class Needed:
    """The beginnings of all paths that must stay."""

    def __init__(self, history: History, rules: Rules) -> None:
        self.history, self.rules = history, rules
        self.now = history.store.now()
        self.all = {job.id: job for job in history.jobs()}
        self.keys = {job.key: job for job in self.all.values() if job.key}
        self.paths: set[str] = set()
        self.resumable: set[str] = set()  # jobs that go on, or may
        self.finished: set[str] = set()  # jobs whose work is needed
        for job in self.all.values():
            self._by_itself(job)
        self._by_others()

    def stays(self, path: str) -> bool:
        """Say whether a file must stay."""
        return any(path == each or path.startswith(f"{each}/") for each in self.paths)

    def _by_itself(self, job: Job) -> None:
        if (
            job.state not in (*BAD, JobState.SUCCEEDED)
            or job.tags.get("keep") == "yes"
            or (
                job.state in BAD
                and f"retry:{job.id}" not in self.keys
                and self.now - (job.finished_at or 0) < self.rules.resumable
            )
        ):
            self._go_on(job)
        old = self.rules.older_than
        if old is None or self.now - (job.finished_at or self.now) < old:
            self._finish(job)

    def _by_others(self) -> None:
        store = self.history.store
        for champion in store.champions.history():
            self._finish(self.all[champion.job_id])
            if evaluation := champion.evidence.get("evaluation"):
                self._finish(self.all[str(evaluation)])
        for study in store.studies.search():
            if study.state in (StudyState.RUNNING, StudyState.PAUSED):
                for job in self.all.values():
                    if job.group == study.name:
                        (self._go_on if job.state in BAD else self._finish)(job)
        for benchmark in store.benchmarks.search():
            for job in self.all.values():
                if job.group == benchmark.name:
                    self._finish(job)
            for cell in benchmark.spec["cells"]:  # type: ignore[union-attr]
                if cell["taken"]:  # type: ignore[index,call-overload]
                    self._finish(self.all[str(cell["taken"])])  # type: ignore[index,call-overload]
            bundle = benchmark.summary.get("bundle")
            if isinstance(bundle, dict):
                self.paths.add(str(bundle["prefix"]))
        if self.rules.older_than is not None:
            self._newest()

    def _newest(self) -> None:
        for detector, category in {(j.spec.detector, j.spec.dataset.category) for j in self.all.values()}:
            trained = [
                job
                for job in self.all.values()
                if job.kind is JobKind.TRAIN
                and job.state is JobState.SUCCEEDED
                and (job.spec.detector, job.spec.dataset.category) == (detector, category)
                and not str(job.key).startswith("stage/")
            ]
            for job in sorted(trained, key=lambda each: -each.seq)[: self.rules.keep_last]:
                self._finish(job)

    def _go_on(self, job: Job) -> None:
        """A job goes on, or may: it needs all that it has, and what it stands on."""
        if job.id in self.resumable:
            return
        self.resumable.add(job.id)
        self.paths.add(f"jobs/{job.id}")
        self._finish(job)
        if job.retry_of:
            self._go_on(self.all[job.retry_of])
        for need in (job.spec.source, *job.needs):
            if need and self.all[need].state in BAD:
                self._go_on(self.all[need])

    def _finish(self, job: Job) -> None:
        """The work of a job is needed: its files, its curve, and the work it was made from."""
        if job.id in self.finished:
            return
        self.finished.add(job.id)
        names = ("logs", "metrics", "parts", "drawn", "curve.json")
        self.paths |= {f"jobs/{job.id}/{name}" for name in names}
        if "bundle" in job.result:
            self.paths.add(str(job.result["bundle"]))
        if job.kind is JobKind.PREDICT:
            self.paths.add(f"listings/{job.spec.dataset.fingerprint}.jsonl")
        for each in job.result.get("stages") or ():  # type: ignore[union-attr]
            self.paths.add(f"stages/{each['key']}")  # type: ignore[index,call-overload]
        self._pass_on(job)

    def _pass_on(self, job: Job) -> None:
        for need in (job.spec.source, *job.needs):
            if need:
                self._finish(self.all[need])
        origin = job.retry_of
        while origin:
            self.paths.add(f"jobs/{origin}/metrics")
            if job.kind is JobKind.PREDICT:
                self._finish(self.all[origin])
            origin = self.all[origin].retry_of
        if job.kind is JobKind.TRAIN:
            for other in self.all.values():
                evaluates = other.kind is JobKind.EVALUATE and other.spec.source == job.id
                if evaluates and other.state is JobState.SUCCEEDED:
                    self._finish(other)
