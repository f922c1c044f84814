"""Live progress bars on a terminal; the only file that loads rich."""

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from ad_cli import shapes
from ad_platform.records import Job
from ad_platform.requests import Snapshot


class Bars:
    """One bar per job, redrawn in place on stderr."""

    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=30),
            TextColumn("{task.fields[words]}", markup=False),
            TimeElapsedColumn(),
            console=Console(stderr=True),
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def show(self, snapshot: Snapshot) -> None:
        """Bring the bars up to date."""
        for job in snapshot.jobs:
            task = self._task(job)
            words = snapshot.trouble or _words(job)
            total = job.progress.of or None
            self._progress.update(task, completed=job.progress.step, total=total, words=words)
            if job.state.terminal:
                self._progress.update(task, total=total or 1, completed=total or 1)
                self._progress.stop_task(task)

    def _task(self, job: Job) -> TaskID:
        if job.id not in self._tasks:
            name = f"{job.kind} {job.id}"
            self._tasks[job.id] = self._progress.add_task(name, total=None, words="")
        return self._tasks[job.id]


def _words(job: Job) -> str:
    state = shapes.state_words(job)
    if job.state.terminal or not job.progress.of:
        return f"{state}  {job.progress.message}".rstrip()
    return f"{shapes.progress_words(job)}  {shapes.metric_words(job.progress.metrics, most=3)}"
