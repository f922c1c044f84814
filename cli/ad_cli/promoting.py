"""What `adctl promote` is to promote: a job, or the best of a sweep or group for each category."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import TYPE_CHECKING

from ad_cli import out, session
from ad_platform.errors import InvalidRequest, UnknownName

if TYPE_CHECKING:
    from ad_platform.client import Client
    from ad_platform.records import Champion, Study
    from ad_platform.requests import Promotion
    from ad_platform.specs import Json


@dataclass(frozen=True, kw_only=True)
class Pick:
    """One job whose model is to be promoted, and how it was chosen."""

    job: str
    chosen: Mapping[str, Json] = field(default_factory=dict)
    words: str = ""  # how it was chosen, for a person


def picks(client: Client, text: str, *, best: bool, metric: str, category: str) -> list[Pick]:
    """Return what is meant; raise InvalidRequest for a sweep or group as a whole."""
    if best:
        if metric and "/" in text and "/" not in metric:  # as in: promote --best METRIC SWEEP
            text, metric = metric, text
        return _best(client, text, metric, category)
    if metric:
        raise InvalidRequest(
            f"'{metric}' is one word too many; to choose by a measure: {text} --best {metric}"
        )
    if category:
        raise InvalidRequest("--category narrows what --best chooses; a job has its own")
    return [Pick(job=_job(client, text))]


def _best(client: Client, text: str, metric: str, category: str) -> list[Pick]:
    sweeps = session.sweeps(client)
    study = _study(client, text)
    if study is None and not client.is_group(text):
        _no_group(client, text)
    if study is not None and not metric:
        if category:
            raise InvalidRequest(f"sweep {study.name} has one category; leave --category out")
        return [Pick(job=sweeps.best_model(study.id))]
    found = client.best_of(study.name if study is not None else text, metric, category)
    return [
        Pick(
            job=one.evaluation.id,
            chosen=one.to_json(),
            words=f"{one.category}: {one.job.spec.detector}, job {one.job.id}, has the best {one.metric} "
            f"of {one.among} models: {one.value:.6g}",
        )
        for one in found
    ]


def _study(client: Client, text: str) -> Study | None:
    try:
        return session.sweeps(client).find(text)
    except UnknownName:
        return None


def _no_group(client: Client, text: str) -> None:
    """Say that there is neither a sweep nor a group, with the nearest; a job is chosen by itself."""
    try:
        job = client.job(text)
    except UnknownName:
        session.sweeps(client).find(text)
        raise
    raise InvalidRequest(f"{job.id} is a job, so there is nothing to choose from; leave --best out")


def _job(client: Client, text: str) -> str:
    """Return the job that is meant, which may be written as the model it is already."""
    from ad_cli import targets
    from ad_platform.records import Benchmark, Study
    from ad_platform.registry import groups

    if "@" in text.lstrip("@"):
        from ad_platform import models

        job = models.find(client, text).job
        if job is None:
            raise InvalidRequest(f"{text} is a folder; promote a train job, or a model that has an alias")
        return job.id
    try:
        found = targets.find(client, session.sweeps(client), text)
    except UnknownName:
        if not client.is_group(text):
            raise
        raise InvalidRequest(
            f"{text} is a group of jobs; promote its best: adctl promote {text} --best {groups.USUAL}"
        ) from None
    if isinstance(found, Study):
        raise InvalidRequest(f"{found.name} is a sweep; promote its best: adctl promote {found.name} --best")
    if isinstance(found, Benchmark):
        raise InvalidRequest(
            f"{found.name} is a benchmark; promote its best: adctl promote {found.name} --best {groups.USUAL}"
        )
    return found.id


def tell(client: Client, promotion: Promotion, known: set[tuple[str, str]], wait: float) -> Champion:
    """Say what was decided, wait until the registry shows it, and return the decision then in force."""
    champion = promotion.champion
    alias = champion.alias
    out.note(f"decided: {champion.model}@{alias} is job {champion.job_id} (revision {champion.revision})")
    if meant := _nearly(champion, known):
        out.warn(
            f"{alias} is a new alias; was {meant} meant? adctl promote {champion.job_id} --alias {meant}"
        )
    final = client.await_registry(promotion, wait)
    if final.champion.revision != champion.revision:
        out.warn(f"job {final.champion.job_id} was promoted in the meantime and is in force now")
    elif final.published:
        out.note(f"registered: models:/{champion.model}@{alias} is version {final.champion.published}")
    else:
        out.warn("the decision stands, but MLflow's registry does not show it yet: a worker's node tells it")
    return final.champion


def known_aliases(client: Client) -> set[tuple[str, str]]:
    """Return each model with each alias that it has or had."""
    return {(each.model, each.alias) for each in client.decisions()}


def _nearly(champion: Champion, known: set[tuple[str, str]]) -> str:
    """Return the alias that was perhaps meant where one is new; a mistyped one would go unnoticed."""
    if (champion.model, champion.alias) in known:
        return ""
    others = {"champion", "challenger", *(alias for model, alias in known if model == champion.model)}
    near = get_close_matches(champion.alias, others - {champion.alias}, n=1, cutoff=0.75)
    return near[0] if near and champion.alias not in ("champion", "challenger") else ""
