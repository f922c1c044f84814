"""Builds the report of a study: report.html and trials.csv."""

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from ad_platform.errors import MissingExtra
from ad_platform.records import Study, Trial
from ad_platform.sweeps.report import page, pareto, progress, settings, surfaces, table
from ad_platform.sweeps.report.facts import ReportFacts
from ad_platform.sweeps.report.importance import importance
from ad_platform.sweeps.report.look import Section
from ad_platform.sweeps.report.view import View, view
from ad_platform.sweeps.study_spec import StudySpec

PAGE, TABLE = "report.html", "trials.csv"


def build(
    study: Study,
    spec: StudySpec,
    trials: Sequence[Trial],
    rungs: Mapping[int, Sequence[float]],
    facts: ReportFacts,
    folder: Path,
) -> None:
    """Write the page and the table of a study into a folder, over those of before.

    `rungs` are the values that were measured on the way, by the numbers of the trials. Nothing but its
    arguments is asked. Raises MissingExtra where plotly or Optuna are not installed.
    """
    if find_spec("plotly") is None or find_spec("optuna") is None:
        raise MissingExtra("a report of a sweep", "worker")
    from plotly.offline import get_plotlyjs

    seen = view(study, spec, trials, rungs, facts)
    text = page.html(seen, sections(seen), get_plotlyjs())
    folder.mkdir(parents=True, exist_ok=True)
    _replace(folder / PAGE, text)
    table.write(seen, folder / TABLE)


def sections(seen: View) -> list[Section]:
    """Return the parts of the page that have plots."""
    found, problem = importance(seen)
    shares = found[0] if found else {}
    parts = [
        progress.history(seen),
        pareto.pareto(seen),
        settings.importance(seen, found, problem),
        surfaces.contours(seen, shares),
        settings.alone(seen, shares),
        settings.parallel(seen),
        progress.rungs(seen),
        progress.timeline(seen),
    ]
    return [part for part in parts if part is not None]


def _replace(path: Path, text: str) -> None:
    """Write a file that a browser may have open: it sees the old one or the new one."""
    temporary = path.with_suffix(".tmp")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
