"""Where a detector comes from: its settings, its jobs and their attempts, its data, its code, its aliases."""

from collections.abc import Iterator, Mapping
from html import escape

from ad_platform.job_report.subject import Subject
from ad_platform.pages import frame, notation
from ad_platform.pages.frame import Part
from ad_platform.records import Attempt, Champion, Job
from ad_platform.results import result_of
from ad_platform.specs import JobSpec, Json
from ad_platform.states import JobState

# What the table of attempts says in columns of their own, and what a reader need not know.
_IN_COLUMNS = frozenset({"device", "threads", "host"})


def settings(subject: Subject) -> Part:
    """Show every setting of the detector."""
    spec = (subject.train or subject.job).spec
    rows = [(name, notation.typed(value)) for name, value in _flat(spec.config)]
    preset = f"preset {spec.preset}" if spec.preset else "no preset"
    words = f"Every setting of {spec.detector}, as resolved from {preset}. To fit one like it: "
    command = f"<code>adctl submit train --from {escape((subject.train or subject.job).id)}</code>"
    return Part(
        title="Settings",
        html=f"<p>{escape(words)}{command}</p>{frame.pairs(rows, code=True) if rows else ''}",
    )


def _flat(values: Mapping[str, Json], prefix: str = "") -> Iterator[tuple[str, Json]]:
    for name, value in sorted(values.items()):
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def lineage(subject: Subject) -> Part:
    """Show where it all comes from."""
    spec = (subject.train or subject.job).spec
    html = frame.pairs(_data(subject, spec))
    for job in subject.jobs:
        html += f"<h3>The {job.kind} job {escape(job.id)}</h3>\n{frame.pairs(_job(job, subject.now))}"
        attempts = subject.attempts.get(job.id, ())
        if attempts:
            html += frame.table(
                ("attempt", "worker", "device", "threads", "started (UTC)", "outcome", "more"),
                [_attempt(each) for each in attempts],
                label=f"Attempts of the {job.kind} job",
            )
    return Part(title="Lineage", html=html)


def _data(subject: Subject, spec: JobSpec) -> Iterator[tuple[str, str]]:
    data = spec.dataset
    yield "Dataset", f"{data.dataset}/{data.category}"
    yield "Fingerprint", data.fingerprint
    if subject.evaluation is not None and subject.evaluation.spec.dataset.fingerprint != data.fingerprint:
        other = subject.evaluation.spec.dataset
        yield "Evaluated on", f"{other.dataset}/{other.category}, fingerprint {other.fingerprint}"
    yield "Folder", f"{data.path} (on the machine that submitted)"
    yield (
        "Split",
        "nothing held out" if spec.holdout == "none" else f"{spec.holdout} percent held out, by name",
    )
    yield "Seed", str(spec.seed)
    for stage in subject.stages:
        yield f"Stage {stage.name}", f"stages/{stage.key}"
    bundle = result_of(subject.train).bundle if subject.train is not None else None
    if bundle is not None:
        yield "Fitted detector", bundle
    for champion in subject.champions:
        yield f"Alias {champion.alias}", _alias(champion)
    if subject.train is not None and subject.train.state is JobState.SUCCEEDED and not subject.champions:
        yield "Alias", f"none; give it one with: adctl promote {subject.train.id} --alias champion"


def _alias(champion: Champion) -> str:
    version = f", registry version {champion.published}" if champion.published else ", not published yet"
    forced = ", against a gate" if champion.forced else ""
    given = f"given by {champion.user} at {notation.moment(champion.at)} UTC{forced}"
    return f"{champion.model}@{champion.alias}, revision {champion.revision}{version}; {given}"


def _job(job: Job, now: float) -> Iterator[tuple[str, str]]:
    yield "State", f"{job.state}{f': {job.error}' if job.error else ''}"
    if job.name:
        yield "Name", job.name
    if job.group:
        yield "Group", job.group
    if job.retry_of:
        yield "Retry of", job.retry_of
    yield "Submitted", f"{notation.moment(job.created_at)} UTC by {job.user}"
    if job.started_at is not None:
        end = job.finished_at if job.finished_at is not None else now
        took = notation.duration(max(0.0, end - job.started_at))
        yield "Ran", f"{notation.moment(job.started_at)} UTC, {took}{'' if job.finished_at else ' so far'}"
    yield "Device asked for", job.spec.device
    code = [f"{name} {value[:12]}" for name, value in sorted(job.code.items())]
    yield "Code", ", ".join(code) or "not recorded"
    if job.tags:
        yield "Tags", ", ".join(f"{name}={value}" for name, value in sorted(job.tags.items()))
    yield "Spec key", job.spec.key
    manifest = result_of(job).manifest_sha256
    if manifest is not None:
        yield "Files", f"{result_of(job).bundle}, manifest {manifest[:16]}"


def _attempt(attempt: Attempt) -> tuple[str, ...]:
    facts = attempt.facts
    took = (
        ""
        if attempt.ended_at is None
        else f" after {notation.duration(attempt.ended_at - attempt.started_at)}"
    )
    failure = f" ({attempt.failure})" if attempt.failure is not None else ""
    more = [attempt.error] if attempt.error else []
    more += [
        f"{name} {notation.typed(value)}"
        for name, value in sorted(facts.items())
        if name not in _IN_COLUMNS and value not in (None, "")
    ]
    host = facts.get("host")
    worker = f"{attempt.worker} on {host}" if host and str(host) not in attempt.worker else attempt.worker
    return (
        str(attempt.number),
        worker,
        notation.typed(facts.get("device", "")),
        notation.typed(facts.get("threads", "")),
        notation.moment(attempt.started_at) or "",
        f"{attempt.outcome.replace('_', ' ')}{failure}{took}",
        "; ".join(more),
    )
