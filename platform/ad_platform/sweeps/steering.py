"""What a person can ask of sweeps: submit, look, hold back, go on, end, and take the best."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ad_platform.client import Client
from ad_platform.records import Job, Study, Trial
from ad_platform.requests import Promotion
from ad_platform.specs import Json
from ad_platform.sweeps.asking import SweepPlan, SweepRequest
from ad_platform.sweeps.study_spec import StudySpec


@dataclass(frozen=True, kw_only=True)
class TrialView:
    """A trial with its jobs."""

    trial: Trial
    jobs: tuple[Job, ...] = ()
    seconds: float | None = None  # that its jobs took


@dataclass(frozen=True, kw_only=True)
class SweepView:
    """A study and how it stands."""

    study: Study
    spec: StudySpec
    asked: int = 0  # complete + pruned + failed + running
    complete: int = 0
    pruned: int = 0
    failed: int = 0
    running: int = 0
    ruled_out: int = 0
    warm: int = 0
    wanted: int = 0
    best: TrialView | None = None
    front: tuple[int, ...] = ()  # of several objectives: the trials that none is better than in all
    ties: int = 0  # other trials with the value of the best
    saturated: int = 0  # trials whose value cannot be better, such as an AUROC of 1
    trainings: int = 0  # train jobs it has submitted
    seconds_left: float | None = None
    report: str | None = None  # where its report lies in the storage
    final: Mapping[str, Json] = field(default_factory=dict)  # jobs and measures of the best, once there


class Sweeps:
    """Submits, shows and steers sweeps."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def plan(self, request: SweepRequest) -> SweepPlan:
        """Return what a request would submit, checked, without submitting it."""
        raise NotImplementedError

    def submit(self, plan: SweepPlan) -> Study:
        """Submit a plan; raise Conflict for a name in use."""
        raise NotImplementedError

    def list(self) -> list[SweepView]:
        """Return all sweeps, newest first."""
        return [self.view(study) for study in self._client.store.studies.search()]

    def find(self, text: str) -> Study:
        """Return a sweep by name, id, the beginning of its id, or the newest for "@last"."""
        return self._client.store.studies.get(text)

    def view(self, study: Study) -> SweepView:
        """Return how a sweep stands."""
        raise NotImplementedError

    def trials(self, study: Study) -> Sequence[TrialView]:
        """Return the trials of a sweep, by number."""
        raise NotImplementedError

    def pause(self, text: str) -> Study:
        """Let a sweep ask for no more trials until it is resumed."""
        raise NotImplementedError

    def resume(self, text: str) -> Study:
        """Let a paused or ended sweep go on."""
        raise NotImplementedError

    def extend(self, text: str, *, trials: int | None, parallel: int | None) -> Study:
        """Ask for so many trials more, or for another number at a time."""
        raise NotImplementedError

    def stop(self, text: str) -> Study:
        """Ask for no more, cancel what runs, and make the best so far."""
        raise NotImplementedError

    def cancel(self, text: str) -> Study:
        """End a sweep and everything it has running, and make nothing of it."""
        raise NotImplementedError

    def retry(self, text: str) -> Sequence[Trial]:
        """Run the failed trials once more, and return them."""
        raise NotImplementedError

    def clone(self, text: str, *, name: str, trials: int | None, parallel: int | None, warm: bool) -> Study:
        """Ask for a sweep again."""
        raise NotImplementedError

    def best(self, text: str) -> TrialView | None:
        """Return the best trial so far."""
        raise NotImplementedError

    def promote_best(self, text: str, alias: str, *, force: bool, reason: str) -> Promotion:
        """Let the model of the best trial carry an alias; raise Conflict while it is not evaluated."""
        raise NotImplementedError
