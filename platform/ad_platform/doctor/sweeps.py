"""Compares sweeps with their jobs and with what Optuna keeps of them; an advance puts right what differs."""

from collections.abc import Collection, Iterator, Mapping
from functools import partial

from ad_platform.audited import Claimed
from ad_platform.doctor.findings import Finding, Level, Mending
from ad_platform.doctor.ground import Ground, unlooked
from ad_platform.errors import Conflict, StoreDown
from ad_platform.records import Job, Study
from ad_platform.states import TrialState
from ad_platform.store.contract import Store
from ad_platform.sweeps.audit import Kept, OptunaFacts, facts, readable
from ad_platform.sweeps.study_spec import StudySpec
from ad_platform.sweeps.work import keys_of

ABOUT = "sweeps"
LATE = 60.0  # seconds after the end of a trial's jobs, or of a claim, in which a worker may be at it
STUDIES = 200  # of the newest that are compared with Optuna


def sweeps(ground: Ground) -> Iterator[Finding]:
    """Name claims of the dead, trials that nobody takes further, and trials that Optuna knows otherwise."""
    store = ground.store
    if store is None:
        return
    claims = {claim.id: claim for claim in store.audit.claimed_studies()}
    for claim in (*claims.values(), *store.audit.claimed_benchmarks()):
        if claim.left < -LATE:
            yield _stale(store, claim)
    held = {id for id, claim in claims.items() if claim.left > 0}
    most = 100_000 if ground.deep else STUDIES
    newest = store.studies.search(limit=most + 1)
    compared = [study for study in newest[:most] if study.id not in held]
    lingering = {
        study.id: study for study in (*compared, *store.studies.to_advance()) if study.id not in held
    }
    for study in lingering.values():
        yield from _trials(ground, store, study)
    if compared and readable(ground.settings):
        # Whether Optuna keeps studies of nobody can only be said by who knows all of ours.
        known = {study.name for study in newest} if len(newest) <= most else None
        yield from _optuna(ground, store, compared, known)
    if len(newest) > most:
        yield unlooked(ABOUT, f"all but the {most} newest sweeps in Optuna (--deep)")


def _stale(store: Store, claim: Claimed) -> Finding:
    def release() -> str:
        done = store.audit.let_go(claim.id, claim.owner)
        return "was released" if done else "somebody else has claimed it meanwhile"

    return Finding(
        level=Level.WARNING,
        about=ABOUT,
        kind="stale-claim",
        subject=claim.id,
        words=f"{claim.name} is still claimed by {claim.owner}, which did not live to release it",
        mending=Mending(words="releases it", do=release),
    )


def _trials(ground: Ground, store: Store, study: Study) -> Iterator[Finding]:
    """Name running trials whose jobs are gone or have ended for a while."""
    spec, now = StudySpec.from_json(study.spec), store.now()
    running = store.studies.trials(study.id, [TrialState.RUNNING], limit=ground.most)
    for trial in running:
        keys = keys_of(study, spec, trial.number)
        jobs = store.jobs.of_keys(keys)
        why = _left_over(keys, jobs, now - LATE)
        if why and trial.asked_at < now - LATE:
            yield Finding(
                level=Level.WARNING,
                about=ABOUT,
                kind="trial-left-over",
                subject=f"{study.name}/{trial.number}",
                words=f"trial {trial.number} of sweep {study.name} is recorded as running, and {why}",
                remedy="a worker takes the sweep further",
                mending=_advance(ground, study),
            )


def _left_over(keys: Collection[str], jobs: Mapping[str, Job], before: float) -> str:
    gone = [key for key in keys if key not in jobs]
    if gone:
        return "its jobs are gone" if len(gone) == len(keys) else f"{len(gone)} of its jobs are gone"
    ended = all(job.finished_at is not None and job.finished_at < before for job in jobs.values())
    return "its jobs have ended" if ended else ""


def _optuna(ground: Ground, store: Store, studies: list[Study], known: set[str] | None) -> Iterator[Finding]:
    try:
        found = facts(ground.settings, [study.name for study in studies])
    except StoreDown as error:
        yield Finding(level=Level.PROBLEM, about=ABOUT, kind="optuna", words=str(error))
        return
    if found is None:
        return
    if not found.fits:
        yield _misfit(found)
        return
    for study in studies:
        if study.name in found.studies:
            yield from _compared(ground, store, study, found.studies[study.name])
    if known is not None:
        for name in sorted(set(found.studies) - known)[: ground.most]:
            yield Finding(
                level=Level.WARNING,
                about=ABOUT,
                kind="study-of-nobody",
                subject=name,
                words=f"Optuna keeps a study {name}, which is no sweep of the store",
                remedy=f"if nobody wants it: optuna delete-study --study-name {name}",
            )


def _misfit(found: OptunaFacts) -> Finding:
    return Finding(
        level=Level.PROBLEM,
        about=ABOUT,
        kind="optuna-revision",
        words=f"Optuna's tables are of revision {found.schema}, and Optuna {found.installed} needs "
        f"{found.wanted}",
        remedy="install the Optuna that made them, or: optuna storage upgrade --storage URL",
    )


def _compared(ground: Ground, store: Store, study: Study, kept: Kept) -> Iterator[Finding]:
    running = {trial.number for trial in store.studies.trials(study.id, [TrialState.RUNNING])}
    for number in sorted(kept.running - running)[: ground.most]:
        yield Finding(
            level=Level.WARNING,
            about=ABOUT,
            kind="optuna-trial",
            subject=f"{study.name}/{number}",
            words=f"trial {number} of sweep {study.name} is running in Optuna, and not in the store",
            remedy="a worker takes the sweep further",
            mending=_advance(ground, study),
        )
    ours = sum(store.studies.counts(study.id).values())
    if kept.count < ours:
        yield Finding(
            level=Level.WARNING,
            about=ABOUT,
            kind="optuna-lacks",
            subject=study.name,
            words=f"Optuna knows {kept.count} of the {ours} trials of sweep {study.name}",
            remedy="a worker takes the sweep further",
            mending=_advance(ground, study),
        )


def _advance(ground: Ground, study: Study) -> Mending | None:
    if ground.advance is None:
        return None
    return Mending(words="takes the sweep further", do=partial(_take_further, ground, study))


def _take_further(ground: Ground, study: Study) -> str:
    assert ground.advance is not None
    if not ground.advance(study.id):
        raise Conflict(f"somebody else is taking {study.name} further: look again in a minute")
    return "the sweep was taken further"
