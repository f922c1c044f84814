"""Compares champions with the models they stand for, in the storage and in MLflow's registry."""

import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from ad_platform.doctor.findings import Finding, Level, Mending
from ad_platform.doctor.ground import Ground, unlooked
from ad_platform.doctor.runs import trackable
from ad_platform.errors import CorruptBundle, StorageDown, TrackingDown
from ad_platform.records import Champion
from ad_platform.results import result_of
from ad_platform.store.contract import Store

ABOUT = "models"
FRESH = 120.0  # seconds after a decision in which shippers may still be at it
READ = 4 << 30  # bytes of models that are read through, unless all are to be


def models(ground: Ground) -> Iterator[Finding]:
    """Name champions whose model is lost or damaged, and aliases that MLflow shows otherwise."""
    store = ground.store
    champions = store.champions.in_force() if store is not None else []
    if store is None or not champions:
        return
    whole: list[Champion] = []
    try:
        for finding, champion in _stored(ground, store, champions):
            if finding is None:
                whole.append(champion)
            else:
                yield finding
        yield from _shown(ground, store, whole)
    except (StorageDown, TrackingDown):  # other looks say so
        return


def _stored(
    ground: Ground, store: Store, champions: list[Champion]
) -> Iterator[tuple[Finding | None, Champion]]:
    go_on, left, skipped = ground.time_left(), READ, 0
    read: dict[str, str] = {}  # several aliases may stand for one model
    for champion in champions:
        bundle = result_of(store.jobs.get(champion.job_id)).bundle or ""
        if bundle not in read:
            if not (go_on() and (left > 0 or ground.deep)):
                skipped += 1
                yield None, champion
                continue
            read[bundle], size = _damage(ground, bundle)
            left -= size
        yield (_lost(champion, read[bundle]) if read[bundle] else None), champion
    if skipped:
        yield unlooked(ABOUT, f"the files of {skipped} more champions (--deep)"), champions[-1]


def _damage(ground: Ground, bundle: str) -> tuple[str, int]:
    """Say what is wrong with a bundle, empty for nothing, and how many bytes were read for it."""
    if not bundle:
        return "its job left no model", 0
    with tempfile.TemporaryDirectory(prefix="adctl-doctor-") as folder:
        try:
            return "", ground.storage.fetch(bundle, Path(folder)).size
        except CorruptBundle as error:
            return str(error), 0


def _lost(champion: Champion, why: str) -> Finding:
    model, alias = champion.model, champion.alias
    return Finding(
        level=Level.PROBLEM,
        about=ABOUT,
        kind="lost-model",
        subject=f"{model}@{alias}",
        words=f"the model of {model}@{alias}, of job {champion.job_id}, is not whole: {why}",
        remedy=f"adctl models rollback {model}@{alias}, or promote another job",
    )


def _shown(ground: Ground, store: Store, champions: list[Champion]) -> Iterator[Finding]:
    if not champions or not trackable(ground):
        return
    from ad_platform.registry.projection import disagreement
    from ad_platform.tracking.mlflow import open_tracker
    from ad_platform.tracking.models import MlflowModels

    registry = MlflowModels(open_tracker(ground.settings))
    now = store.now()
    for champion in champions[: ground.most]:
        if champion.published is None and now - champion.at < FRESH:
            continue
        said = disagreement(registry, champion)
        if said:
            named = f"{champion.model}@{champion.alias}"
            yield Finding(
                level=Level.WARNING,
                about=ABOUT,
                kind="other-alias",
                subject=named,
                words=f"MLflow {said}: {named}, which is job {champion.job_id}",
                mending=Mending(words="tells MLflow", do=partial(_tell, ground, store, registry, champion)),
            )


def _tell(ground: Ground, store: Store, registry: object, champion: Champion) -> str:
    from ad_platform.registry.projection import tell
    from ad_platform.tracking.models import MlflowModels

    assert isinstance(registry, MlflowModels)
    return f"MLflow has it on version {tell(store, ground.storage, registry, champion)}"
