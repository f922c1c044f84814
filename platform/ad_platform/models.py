"""Which fitted model a person means: a name with an alias, a train job, or a folder."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path

from ad_platform.client import Client
from ad_platform.errors import AmbiguousId, Conflict, InvalidRequest, StoreDown, UnknownName, suggest
from ad_platform.records import Champion, Job
from ad_platform.registry.operating import OperatingPoint, of_decision
from ad_platform.registry.promotion import model_name
from ad_platform.results import result_of
from ad_platform.rungs import no_model
from ad_platform.states import JobKind, JobState

CHAMPION = "champion"  # the alias that is meant where none is named
LAST = "@last"
IN_MLFLOW = "models:/"  # how MLflow writes a registered model
CONFIG = "config.json"  # what makes a folder that of a fitted model


@dataclass(frozen=True, kw_only=True)
class Model:
    """A fitted model: where its files are, and what is known of it."""

    name: str  # of the registered model; for a folder, the folder's
    alias: str | None = None  # that it was asked for by
    champion: Champion | None = None  # the decision that gave it the alias
    job: Job | None = None  # that fitted it; None for a folder
    bundle: str = ""  # its prefix in the storage
    manifest_sha256: str | None = None  # of that bundle
    operating_job: Job | None = None  # the newest evaluation on the category it was fitted to
    operating: OperatingPoint | None = None  # what the decision carries; older decisions carry none
    folder: Path | None = None  # of a model that lies outside the storage

    @property
    def words(self) -> str:
        """Return what it is called, with its alias and version, or its job."""
        if self.champion is not None:
            version = f", version {self.champion.published}" if self.champion.published else ""
            return f"{self.name}@{self.alias} (revision {self.champion.revision}{version})"
        return str(self.folder) if self.folder is not None else self.name


@dataclass(frozen=True, kw_only=True)
class Registered:
    """A model that carries an alias: the decision in force, and the jobs it rests on."""

    champion: Champion
    job: Job
    evaluation: Job | None  # that spoke for it

    @property
    def words(self) -> str:
        """Return how it is named."""
        return f"{self.champion.model}@{self.champion.alias}"


def find(client: Client, text: str) -> Model:
    """Return the model that a text names.

    That is `ddad-mvtec-screw@champion` (in any case, shortened as far as it is unique, without the alias for
    the champion), the id of a train job or of an evaluation of one, `@last` for the newest train job, or a
    folder that holds a fitted model. Raises UnknownName with what comes nearest, Conflict for a job that left
    no model, saying how it stands, and InvalidRequest for a folder that holds none. Only a folder that is
    written as a path needs no store.
    """
    wanted = text.strip().removeprefix(IN_MLFLOW)
    if not wanted:
        raise InvalidRequest("name a model: NAME@ALIAS, a train job, or a folder with a fitted model")
    if "/" in wanted or wanted.startswith((".", "~")):
        return in_folder(Path(wanted))
    if wanted.startswith("@"):
        return of_job(client, _newest(client) if wanted.lower() == LAST else _job(client, wanted))
    if "@" in wanted:
        return _carrying(client, *_split(wanted))
    return _unqualified(client, wanted)


def of_job(client: Client, job: Job) -> Model:
    """Return the model of a train job, or of the train job that an evaluation scored.

    Raises Conflict for one that left none, Collected where it was taken away, InvalidRequest for a trial.
    """
    if job.kind is JobKind.TRIAL:
        raise InvalidRequest(no_model(job))
    train = client.store.jobs.get(job.spec.source) if job.spec.source else job
    if train.state is not JobState.SUCCEEDED:
        raise Conflict(_no_model_yet(train))
    result = result_of(train)
    if result.bundle is None:
        raise Conflict(f"job {train.id} left no model; fit it again with: adctl submit train")
    client.store.retention.check(train.id)
    return Model(
        name=model_name(train),
        job=train,
        bundle=result.bundle,
        manifest_sha256=result.manifest_sha256,
        operating_job=_own_evaluation(client, train),
    )


def in_folder(path: Path) -> Model:
    """Return the fitted model that lies in a folder; raise InvalidRequest naming what is missing."""
    folder = path.expanduser()
    if not folder.is_dir():
        what = "is a file, not a folder" if folder.exists() else "does not exist"
        raise InvalidRequest(
            f"{folder} {what}; name a folder with a fitted model, NAME@ALIAS, or a train job"
        )
    if not (folder / CONFIG).is_file():
        raise InvalidRequest(
            f"{folder} holds no fitted model (no {CONFIG}); fit one into it with: "
            f"python -m ad_detectors fit NAME --data DIR --out {folder}"
        )
    return Model(name=folder.resolve().name, folder=folder)


def registered(client: Client) -> list[Registered]:
    """Return what carries an alias now, by model and alias."""
    newest = _in_force(client.store.champions.history())
    return [_registered(client, newest[key]) for key in sorted(newest)]


def history(client: Client, model: str) -> list[Champion]:
    """Return every decision about a registered model, newest first."""
    return client.store.champions.history(model)


def carrier(client: Client, text: str) -> Registered:
    """Return what carries an alias of a registered model, named as for `find`.

    Without an alias the champion, or the model's only other alias. `NAME@ALIAS:3` is what carried it at
    revision 3. Raises UnknownName, and InvalidRequest for a revision that there is not.
    """
    text, revision = _revision(text.strip().removeprefix(IN_MLFLOW))
    name, alias = _split(text)
    decisions = client.store.champions.history()
    model = _model(name, _names(decisions))
    aliases = sorted({each.alias for each in decisions if each.model == model})
    if "@" not in text and CHAMPION not in aliases and len(aliases) == 1:
        alias = aliases[0]
    current = _decision(decisions, model, alias)
    if revision is None:
        return _registered(client, current)
    of = [each for each in decisions if (each.model, each.alias) == (model, current.alias)]
    chosen = next((each for each in of if each.revision == revision), None)
    if chosen is None:
        raise InvalidRequest(
            f"{model}@{current.alias} has no revision {revision}; it is at {current.revision}: "
            f"adctl models history {model}"
        )
    return _registered(client, chosen)


def _revision(text: str) -> tuple[str, int | None]:
    """Split what may end in the number of a revision."""
    before, mark, number = text.rpartition(":")
    return (before, int(number)) if mark and number.isdigit() and before else (text, None)


def _unqualified(client: Client, text: str) -> Model:
    """Find what a plain word means: a model's name first, then a folder, a job, and a shortened name."""
    here = Path(text)
    try:
        names = _names(client.store.champions.history())
    except StoreDown:
        if (here / CONFIG).is_file():
            return in_folder(here)
        raise
    exact = [name for name in names if name.casefold() == text.casefold()]
    if exact:
        return _carrying(client, exact[0], CHAMPION)
    if (here / CONFIG).is_file():
        return in_folder(here)
    fitting = _fitting(text, names)
    job = _job_or_none(client, text)
    if job is not None and fitting:
        raise InvalidRequest(
            f"'{text}' may be job {job.id} or the model {' or '.join(fitting)}; write more of either"
        )
    if job is not None:
        return of_job(client, job)
    if here.is_dir() and not fitting:
        return in_folder(here)
    return _carrying(client, _model(text, names), CHAMPION)


def _carrying(client: Client, name: str, alias: str) -> Model:
    decisions = client.store.champions.history()
    model = _model(name, _names(decisions))
    champion = _decision(decisions, model, alias)
    found = of_job(client, client.store.jobs.get(champion.job_id))
    return replace(
        found,
        name=champion.model,
        alias=champion.alias,
        champion=champion,
        operating=of_decision(champion),
    )


def _split(text: str) -> tuple[str, str]:
    name, mark, alias = text.partition("@")
    if mark and not alias.strip():
        raise InvalidRequest(f"'{text}' names no alias; write {name}@{CHAMPION}, or {name} alone")
    return name.strip(), alias.strip() or CHAMPION


def _names(decisions: Sequence[Champion]) -> list[str]:
    return sorted({each.model for each in decisions})


def _model(text: str, names: Sequence[str]) -> str:
    """Return the one registered model that a name fits; raise UnknownName, or InvalidRequest for several."""
    exact = [name for name in names if name.casefold() == text.casefold()]
    fitting = exact or _fitting(text, names)
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise InvalidRequest(f"'{text}' fits several models: {', '.join(fitting)}; write more of the name")
    if not names:
        raise InvalidRequest(
            f"no model carries an alias yet, so there is no '{text}'; name a train job, or give one an alias "
            f"with: adctl promote JOB --alias {CHAMPION}"
        )
    parts = {part: name for name in names for part in name.casefold().split("-")}
    if near := get_close_matches(text.casefold(), list(parts), n=1):
        raise InvalidRequest(f"no model, train job or folder named '{text}'; did you mean {parts[near[0]]}?")
    raise UnknownName("model, train job or folder", text, names)


def _fitting(text: str, names: Sequence[str]) -> list[str]:
    """Return the names a short form stands for: their first characters, or those of some of their parts."""
    short = text.casefold()
    begun = [name for name in names if name.casefold().startswith(short)]
    return begun or [name for name in names if _abbreviates(short.split("-"), name.casefold().split("-"))]


def _abbreviates(short: Sequence[str], parts: Sequence[str]) -> bool:
    """Say whether each piece begins a part of the name, in their order."""
    rest = iter(parts)
    return all(piece and any(part.startswith(piece) for part in rest) for piece in short)


def _decision(decisions: Sequence[Champion], model: str, alias: str) -> Champion:
    """Return the decision in force for an alias, written in any case; raise InvalidRequest."""
    aliases = {name: each for (of, name), each in _in_force(decisions).items() if of == model}
    spelled = [name for name in aliases if name.casefold() == alias.casefold()]
    if alias not in aliases and not spelled:
        raise InvalidRequest(f"{model} has no alias '{alias}'; {suggest(alias, sorted(aliases))}")
    return aliases.get(alias) or aliases[spelled[0]]


def _in_force(decisions: Sequence[Champion]) -> dict[tuple[str, str], Champion]:
    """Return the decision in force for each model and alias."""
    return {(each.model, each.alias): each for each in sorted(decisions, key=lambda each: each.revision)}


def _registered(client: Client, champion: Champion) -> Registered:
    jobs, spoke = client.store.jobs, champion.evidence.get("evaluation")
    return Registered(
        champion=champion,
        job=jobs.get(champion.job_id),
        evaluation=jobs.get(spoke) if isinstance(spoke, str) else None,
    )


def _newest(client: Client) -> Job:
    found = client.jobs(kind=JobKind.TRAIN, limit=1)
    if not found:
        raise InvalidRequest("there is no train job yet, so no @last; submit one with: adctl submit train")
    return found[0]


def _job(client: Client, text: str) -> Job:
    if text.startswith("@"):
        raise InvalidRequest(
            f"'{text}' is no model; {LAST} is the newest train job, NAME@ALIAS a registered one"
        )
    return client.job(text)


def _job_or_none(client: Client, text: str) -> Job | None:
    try:
        return client.job(text)
    except AmbiguousId:
        raise
    except UnknownName:
        return None


def _own_evaluation(client: Client, train: Job) -> Job | None:
    """Return the newest evaluation on the images that a model was fitted to: only those calibrate it."""
    done = [JobState.SUCCEEDED]
    mark = train.spec.dataset.fingerprint
    needing = client.jobs(states=done, kind=JobKind.EVALUATE, needs=train.id)
    own = [job for job in needing if job.spec.dataset.fingerprint == mark]
    return own[0] if own else None


def _no_model_yet(job: Job) -> str:
    """Say how a job stands that has no model, and what to do."""
    match job.state:
        case JobState.FAILED:
            why = f" ({job.error})" if job.error else ""
            return f"job {job.id} failed{why}, so it has no model; run it again with: adctl retry {job.id}"
        case JobState.CANCELLED:
            return f"job {job.id} was cancelled, so it has no model; run it again with: adctl retry {job.id}"
        case JobState.RUNNING:
            done = job.progress
            far = f" (step {done.step} of {done.of})" if done.of else ""
            return f"job {job.id} is running{far} and has no model yet; watch it with: adctl watch {job.id}"
        case _:
            return f"job {job.id} is {job.state} and has no model yet; see why with: adctl why {job.id}"
