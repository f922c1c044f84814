"""Another threshold for a model: what it would get wrong on stored scores, and a version that has it."""

from dataclasses import dataclass

from ad_platform.client import Client
from ad_platform.errors import Conflict, CorruptBundle, InvalidRequest
from ad_platform.models import Model
from ad_platform.records import Job
from ad_platform.registry import operating, scores
from ad_platform.registry.operating import ChosenBy, OperatingPoint, Preview
from ad_platform.registry.promotion import Proposal, Wish
from ad_platform.requests import Promotion


@dataclass(frozen=True, kw_only=True)
class Look:
    """A threshold seen beside the one in force, on the test images of one evaluation."""

    model: Model
    evaluation: Job  # whose stored scores these are
    now: Preview | None  # None of a model without a threshold
    then: Preview | None  # None where no other one was asked for


def look(client: Client, model: Model, by: ChosenBy | None = None, wanted: float = 0.0) -> Look:
    """Return what a model's threshold gets wrong, and what the wanted one would; nothing is scored anew.

    Raises InvalidRequest for a folder, Conflict where no evaluation on the model's own images left scores,
    InvalidValue for what cannot be wanted or is not certified.
    """
    if model.job is None:
        raise InvalidRequest(
            f"{model.words} is a folder; thresholds are chosen for models that have an alias"
        )
    evaluation = model.operating_job
    if evaluation is None:
        raise Conflict(
            f"job {model.job.id} was not evaluated on its own images, so that there are no scores: "
            f"adctl submit evaluate {model.job.id}"
        )
    try:
        stored = scores.read(client.storage, evaluation)
    except CorruptBundle as error:
        raise Conflict(str(error)) from error
    usual = operating.calibrated_by(evaluation)
    now = model.operating or usual
    then = None if by is None else operating.choose(stored, usual, by, wanted)
    return Look(
        model=model,
        evaluation=evaluation,
        now=None if now is None else operating.preview(stored, now),
        then=None if then is None else operating.preview(stored, then),
    )


def propose(client: Client, seen: Look, wish: Wish) -> Proposal:
    """Return what the gates say of the threshold that was looked at, and change nothing."""
    return client.propose(seen.evaluation.id, _with(seen, wish))


def adopt(client: Client, seen: Look, wish: Wish) -> Promotion:
    """Let a version with these weights and the threshold that was looked at carry an alias.

    The gates are asked as for any promotion. Raises GateRefused and ChampionChanged.
    """
    return client.decide(seen.evaluation.id, _with(seen, wish))


def _with(seen: Look, wish: Wish) -> Wish:
    chosen: OperatingPoint | None = seen.then.operating if seen.then is not None else None
    if chosen is None:
        raise InvalidRequest("no threshold was chosen: --fpr, --recall or --value")
    return Wish(
        alias=wish.alias,
        user=wish.user,
        force=wish.force,
        reason=wish.reason,
        operating=chosen,
        chosen=wish.chosen,
    )
