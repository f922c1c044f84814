"""The page: one file with its style, its plots and what draws them, which asks nobody for anything."""

import json
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

from ad_platform.pages import frame
from ad_platform.pages.frame import Part
from ad_platform.records import Trial
from ad_platform.sweeps.report import look, table, words
from ad_platform.sweeps.report.look import Figure, Section
from ad_platform.sweeps.report.view import View

HERE = Path(__file__).parent
CONFIG = {"responsive": True, "displaylogo": False}


def html(view: View, sections: Sequence[Section], plotly: str) -> str:
    """Return the page; `plotly` is the program that draws plots."""
    drawn = [section for section in sections if section.figures]
    missing = [section for section in sections if not section.figures]
    return frame.document(
        f"Sweep {view.study.name}",
        _head(view),
        [*_sections(drawn), *_missing(missing), _trials(view, _hovers(view, drawn))],
        style=frame.read("style.css", HERE),
        scripts=(plotly, frame.read("page.js", HERE)),
    )


def _head(view: View) -> str:
    return "".join(
        (
            frame.heading("Sweep", view.study.name, view.study.state.value, words.headline(view)),
            frame.tiles(words.tiles(view)),
            frame.sentences(words.sentences(view)),
            f'<div class="two">{frame.pairs(words.pairs(view).items())}{"".join(_searched(view))}</div>\n',
        )
    )


def _searched(view: View) -> Iterator[str]:
    mark = "chosen" if view.facts.chosen is not None else "best"
    rows = "".join(
        f"<tr><td><code>{escape(name)}</code></td><td>{escape(values)}</td>"
        f"<td>{escape(before)}</td><td><b>{escape(best)}</b></td></tr>"
        for name, values, before, best in words.searched(view)
    )
    head = "".join(f'<th scope="col">{name}</th>' for name in ("searched", "values", "before", mark))
    yield "<div>"
    yield frame.scrolling(
        f'<table class="searched"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>',
        "Searched settings",
    )
    rest = words.kept(view)
    if rest:
        kept = ", ".join(f"<code>{escape(name)}={escape(value)}</code>" for name, value in rest)
        yield frame.folded(f"{len(rest)} settings were not searched", f"<p class='rest'>{kept}</p>")
    yield "</div>"


def _sections(sections: Sequence[Section]) -> Iterator[Part]:
    number = 0
    for section in sections:
        plots: list[str] = []
        for figure in section.figures:
            number += 1
            about = f"{section.title}, plot {len(plots) + 1} of {len(section.figures)}. {section.words}"
            plots.append(_figure(figure, f"plot-{number}", about))
        many = " many" if len(plots) > 1 else ""
        yield Part(
            title=section.title,
            html=f'<p>{escape(section.words)}</p><div class="plots{many}">{"".join(plots)}</div>',
        )


def _missing(sections: Sequence[Section]) -> Iterator[Part]:
    """Yield why parts have nothing to draw, all in one place."""
    if sections:
        told = frame.pairs((section.title, section.words) for section in sections)
        yield Part(title="Not drawn", html=f'<div class="missing">{told}</div>')


def _hovers(view: View, sections: Sequence[Section]) -> str:
    """Return what the page says of the trials that its plots have, once for all of them."""
    shown: set[int] = set()
    for section in sections:
        for figure in section.figures:
            shown.update(number for trace in figure.traces for number in look.trials_of(trace))
    told = {trial.number: look.hover(view, trial) for trial in view.trials if trial.number in shown}
    return f'<script type="application/json" id="hovers">{_json(told)}</script>\n'


def _figure(figure: Figure, name: str, about: str) -> str:
    value = {"data": figure.traces, "layout": {**figure.layout, "height": figure.height}, "config": CONFIG}
    return (
        f'<div class="plot" id="{name}" role="group" aria-label="{escape(about)}" '
        f'style="min-height:{figure.height}px"></div>'
        f'<script type="application/json" data-for="{name}">{_json(value)}</script>'
    )


def _json(value: object) -> str:
    """Return JSON that may stand inside a page's script: no text in it can end that."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _trials(view: View, hovers: str) -> Part:
    shown, whole = len(table.shown(view)), len(view.trials)
    rest = f" Shown are {shown} of {whole:,}, the best first." if shown < whole else ""
    head = "".join(
        f'<th scope="col"><button type="button">{escape(name)}</button></th>' for name in table.headers(view)
    )
    rows = "".join(_row(view, trial, cells) for trial, cells in table.rows(view))
    trials = f'<table class="trials"><thead><tr>{head}</tr></thead><tbody>\n{rows}</tbody></table>'
    return Part(
        title="Trials",
        html="<p>The head of a column sorts by it. All of it is in the CSV file beside this page."
        f"{rest}</p>{frame.scrolling(trials, 'Trials', tall=True)}{hovers}",
    )


def _row(view: View, trial: Trial, cells: Sequence[tuple[str, str]]) -> str:
    chosen = view.chosen is not None and trial.number == view.chosen.number and not view.several
    each = "".join(f"<td{_key(text, key)}>{escape(text[:200])}</td>" for text, key in cells)
    return f'<tr class="{trial.state.value}{" chosen" if chosen else ""}">{each}</tr>\n'


def _key(text: str, key: str) -> str:
    return "" if text == key else f' data-key="{escape(key)}"'
