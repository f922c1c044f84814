"""Where a child works: its assignment, its line to the supervisor, its storage, and its fence."""

from dataclasses import dataclass
from pathlib import Path

from ad_platform.errors import CorruptBundle, InvalidRequest
from ad_platform.specs import JobSpec
from ad_platform.states import Directive
from ad_platform.storage.checkpoints import Search, search, stored_checkpoints
from ad_platform.storage.contract import Storage
from ad_workers.boottime import boottime
from ad_workers.exits import Exit
from ad_workers.link import Link
from ad_workers.messages import Assignment, Deadline, Order
from ad_workers.team import Team
from ad_workers.witness import Witness

PATIENCE = 2.0  # seconds a child whose lease seems over waits for news of a renewal


class Stop(BaseException):
    """The attempt ends here without having failed.

    Not an Exception, so that a detector's own `except Exception` cannot swallow it.
    """

    def __init__(self, code: Exit) -> None:
        self.code = code
        super().__init__(code.name.lower())


CODES = {
    Directive.CANCEL: Exit.CANCELLED,
    Directive.DRAIN: Exit.DRAINED,
    Directive.PRUNE: Exit.PRUNED,
    Directive.LOST: Exit.LOST,
}


@dataclass
class Desk:
    """What a kind of job needs to do its work and be heard."""

    assignment: Assignment
    spec: JobSpec
    link: Link
    storage: Storage
    witness: Witness | None = None  # a process that knows nothing of the pictures, where scores are measured
    team: Team | None = None  # the other ranks of a fit on several cards

    def __post_init__(self) -> None:
        self.deadline = self.assignment.deadline
        self.order: Directive | None = None
        self.pictures: Path | None = None  # where the job's images lie, if they were fetched

    @property
    def scratch(self) -> Path:
        """Return a folder of this attempt's own."""
        return Path(self.assignment.scratch)

    def say(self, message: object) -> None:
        """Tell the supervisor something."""
        self.link.send(message)

    def listen(self, timeout: float = 0.0) -> Directive | None:
        """Take in what the supervisor said; return the order to stop that stands, if any.

        A supervisor that is gone is an order to stop at once: nobody could record what follows.
        """
        for message in self.link.receive(timeout):
            match message:
                case Deadline():
                    self.deadline = message.deadline
                case Order():
                    self.order = message.directive
        if self.link.closed:
            self.order = Directive.LOST
        return self.order

    def guard(self) -> None:
        """Return if the lease certainly still holds; call it before every outside effect.

        Raises Stop(LOST) otherwise. A supervisor that was stopped and goes on cannot leave a writing child
        behind: the child's own clock says when the lease ends.
        """
        order = self.listen()
        if boottime() >= self.deadline:
            order = self.listen(PATIENCE)
        if order is Directive.LOST or boottime() >= self.deadline:
            raise Stop(Exit.LOST)

    def obey(self) -> None:
        """Raise Stop if an order to stop stands."""
        order = self.listen()
        if order is not None:
            raise Stop(CODES[order])

    def resume(self) -> Search:
        """Fetch the newest whole checkpoint of this job, or of those it retries, into the scratch folder."""
        broken: list[str] = []
        for job_id in self.assignment.lineage:
            # What the store recorded counts even if it lies there no more: that it is gone is worth a word.
            candidates: dict[str, str | None] = dict.fromkeys(stored_checkpoints(self.storage, job_id))
            candidates |= self.assignment.recorded.get(job_id, {})
            found = search(self.storage, candidates, self.scratch / "resume")
            broken += found.broken
            if found.manifest is not None:
                return Search(manifest=found.manifest, broken=tuple(broken))
        return Search(broken=tuple(broken))

    def fetch_source(self, what_for: str) -> Path:
        """Fetch the model of the source job and return its folder.

        Raises InvalidRequest if it has none, CorruptBundle, naming it, if it is not what its job published.
        """
        source = self.assignment.source
        if source is None:
            raise InvalidRequest(
                f"job {self.spec.source} has no fitted model to {what_for}; it must have succeeded"
            )
        folder = self.scratch / "model"
        manifest = self.storage.fetch(source, folder)
        if self.assignment.source_sha256 not in (None, manifest.sha256):
            raise CorruptBundle(f"{source} is broken: its manifest is not the one that its job published")
        return folder
