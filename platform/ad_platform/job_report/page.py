"""The page about a job: what matters for using its detector first, then the evidence, then its origin."""

from pathlib import Path

from ad_platform.job_report import basis, charts, lineage, misses, opening, pictures, training
from ad_platform.job_report.reading import subject_of
from ad_platform.job_report.subject import Subject
from ad_platform.pages import frame
from ad_platform.pages.frame import Part
from ad_platform.records import Job
from ad_platform.storage.contract import Storage
from ad_platform.store.contract import Store

PAGE = "report.html"
HERE = Path(__file__).parent


def page_of(store: Store, storage: Storage, job: Job, folder: Path | None = None) -> str:
    """Return the page about a job as the store knows it now; see `subject_of` for what it raises."""
    return html(subject_of(store, storage, job, folder))


def html(subject: Subject) -> str:
    """Return the page: the same for the same subject."""
    style = frame.read("plots.css") + frame.read("style.css", HERE)
    return frame.document(subject.title, opening.head(subject), parts(subject), style=style)


def parts(subject: Subject) -> list[Part]:
    """Return what the page has to say, in the order in which somebody wants to know it."""
    found = [
        opening.judgement(subject),
        misses.by_kind(subject),
        *pictures.parts(subject),
        basis.basis(subject),
        misses.trade_off(subject.results),
        basis.measures(subject),
        charts.curves(subject),
        training.training(subject),
        lineage.settings(subject),
        lineage.lineage(subject),
    ]
    return [part for part in found if part is not None]
