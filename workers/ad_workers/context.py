"""What a detector's `fit` sees when the platform runs it: progress up, orders down, checkpoints aside."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from ad_detectors import checkpoint as states
from ad_detectors.api import Detector
from ad_detectors.fitting import ContextCore
from ad_detectors.stages import part
from ad_platform.storage.stages import fetch_stage, publish_stage, stored_stage
from ad_workers.checkpointer import Checkpointer
from ad_workers.desk import Desk
from ad_workers.messages import Decision, Report, StageMade
from ad_workers.vitals import Vitals

if TYPE_CHECKING:
    from pathlib import Path

    from ad_detectors.api import State
    from ad_platform.storage.contract import Manifest

TALK = 0.1  # seconds between two reports to the supervisor


class AttemptContext(ContextCore):
    """Runs a fit under a lease."""

    def __init__(
        self,
        desk: Desk,
        detector: Detector,
        checkpointer: Checkpointer,
        keys: Mapping[str, str],
        read: Callable[[], int] = lambda: 0,
        before: int = 0,
        after: int = 0,
        **core: object,
    ) -> None:
        super().__init__(detector, **core)  # type: ignore[arg-type]
        self.desk, self.checkpointer, self.keys = desk, checkpointer, keys
        self._read = read  # how many images so far
        self.before, self.after = before, after  # steps of the job that are not of this fit
        self.made: list[str] = []  # stages that were fitted here, not found
        self.vitals = Vitals(self.device)
        self._talk = 0.0
        self._of = 0  # the last step of the job, as last reported

    def on_report(self, step: int, of: int, metrics: dict[str, float]) -> None:
        """Pass progress up, write a checkpoint when due, and stop if told to."""
        step, of = self.before + step, self.before + of + self.after
        self._of = of
        self.checkpointer.add(step, {**metrics, **self.vitals.sample()})
        if time.monotonic() >= self._talk or step == of:
            self._talk = time.monotonic() + TALK
            self.desk.say(Report(step=step, of=of, metrics=metrics, images=self._read()))
        self.checkpointer.safe_point(step, of)

    def begin(self, stage: str) -> bool:
        """Say whether this stage is to be fitted now, and see that a finished one is stored."""
        if stage in self.done:
            # The attempt that finished it may have been killed before it could store it, or tell.
            self._offer(stage, self.detector.state())
        known = stage in self.done
        fit = super().begin(stage)
        if self.desk.team is not None:
            found = None if fit or known else str(self._folder(stage))
            self.desk.team.decide(Decision(stage=stage, fit=fit, found=found))
        return fit

    def find_stage(self, stage: str) -> State | None:
        """Return a stage that somebody fitted before from the same inputs."""
        folder = self._folder(stage)
        manifest = fetch_stage(
            self.desk.storage,
            self.keys[stage],
            folder,
            told=lambda line: print(f"stage {stage} is fitted again: {line}", flush=True),  # noqa: T201
        )
        if manifest is None:
            return None
        print(f"stage {stage}: taken from {manifest.prefix}", flush=True)  # noqa: T201 - the attempt's log
        return states.load(folder)

    def store_stage(self, stage: str, state: State) -> None:
        """Publish a stage under its content address, once its points are committed.

        In the other order an attempt killed in between would leave a stage that its successor takes for done,
        and the steps to it nowhere.
        """
        self.made.append(stage)
        if self.checkpointer.points:
            self.checkpointer.write(self.before + self.step, self._of)
        self._offer(stage, state)

    def _folder(self, stage: str) -> Path:
        return self.desk.scratch / "stages" / stage

    def _offer(self, stage: str, state: State) -> None:
        key = self.keys[stage]
        manifest = stored_stage(self.desk.storage, key) or self._publish(stage, key, state)
        self.desk.say(StageMade(key=key, stage=stage, manifest_sha256=manifest.sha256, size=manifest.size))

    def _publish(self, stage: str, key: str, state: State) -> Manifest:
        folder = self._folder(stage)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        states.save(part(state, stage), folder, sync=False)
        self.desk.guard()
        return publish_stage(self.desk.storage, key, folder, {"stage": stage}, self.desk.guard)
