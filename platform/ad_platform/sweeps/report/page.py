"""The page: one file with its style, its plots and what draws them, which asks nobody for anything."""

import json
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

from ad_platform.sweeps.report import look, table, words
from ad_platform.sweeps.report.look import Figure, Section
from ad_platform.sweeps.report.view import View

HERE = Path(__file__).parent
CONFIG = {"responsive": True, "displaylogo": False}


def html(view: View, sections: Sequence[Section], plotly: str) -> str:
    """Return the page; `plotly` is the program that draws plots."""
    title = escape(f"Sweep {view.study.name}")
    drawn = [section for section in sections if section.figures]
    missing = [section for section in sections if not section.figures]
    body = "".join(
        (*_head(view), *_sections(drawn), *_missing(missing), *_trials(view), _hovers(view, drawn))
    )
    names = [*(section.title for section in drawn), "Trials"]
    links = "".join(f'<a href="#{_anchor(name)}">{escape(name)}</a>' for name in names)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>\n{_read('style.css')}</style>\n</head>\n<body>\n"
        f"<nav>{links}</nav>\n<main>\n{body}</main>\n"
        f"<script>{plotly}</script>\n<script>\n{_read('page.js')}</script>\n</body>\n</html>\n"
    )


def _read(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


def _head(view: View) -> Iterator[str]:
    state = view.study.state.value
    yield f'<header><p class="kind">Sweep</p><h1>{escape(view.study.name)} '
    yield f'<span class="state {state}">{state}</span></h1>'
    yield f"<p>{escape(words.headline(view))}</p></header>\n"
    yield '<div class="tiles">'
    for tile in words.tiles(view):
        yield f'<div class="tile"><p class="name">{escape(tile.title)}</p>'
        yield f'<p class="value">{escape(tile.value)}</p>'
        yield f'<p class="words">{escape(tile.words)}</p></div>'
    yield "</div>\n"
    for sentence in words.sentences(view):
        yield f'<p class="{"warning" if sentence.warning else "say"}">{escape(sentence.text)}</p>\n'
    yield '<div class="two"><table class="pairs"><tbody>'
    for name, value in words.pairs(view).items():
        yield f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>"
    yield "</tbody></table>\n"
    yield from _searched(view)
    yield "</div>\n"


def _searched(view: View) -> Iterator[str]:
    mark = "chosen" if view.facts.chosen is not None else "best"
    yield '<div><div class="scroll"><table class="searched"><thead><tr><th>searched</th><th>values</th>'
    yield f"<th>before</th><th>{mark}</th></tr></thead><tbody>"
    for name, values, before, best in words.searched(view):
        yield f"<tr><td><code>{escape(name)}</code></td><td>{escape(values)}</td>"
        yield f"<td>{escape(before)}</td><td><b>{escape(best)}</b></td></tr>"
    yield "</tbody></table></div>"
    rest = words.kept(view)
    if rest:
        yield f"<details><summary>{len(rest)} settings were not searched</summary><p class='rest'>"
        yield ", ".join(f"<code>{escape(name)}={escape(value)}</code>" for name, value in rest)
        yield "</p></details>"
    yield "</div>"


def _sections(sections: Sequence[Section]) -> Iterator[str]:
    number = 0
    for section in sections:
        yield f'<section id="{_anchor(section.title)}"><h2>{escape(section.title)}</h2>'
        yield f"<p>{escape(section.words)}</p>"
        yield f'<div class="plots{" many" if len(section.figures) > 1 else ""}">'
        for figure in section.figures:
            number += 1
            yield _figure(figure, f"plot-{number}")
        yield "</div></section>\n"


def _missing(sections: Sequence[Section]) -> Iterator[str]:
    """Yield why parts have nothing to draw, all in one place."""
    if sections:
        yield '<section id="missing"><h2>Not drawn</h2><table class="pairs missing"><tbody>'
        for section in sections:
            yield f"<tr><th>{escape(section.title)}</th><td>{escape(section.words)}</td></tr>"
        yield "</tbody></table></section>\n"


def _hovers(view: View, sections: Sequence[Section]) -> str:
    """Return what the page says of the trials that its plots have, once for all of them."""
    shown: set[int] = set()
    for section in sections:
        for figure in section.figures:
            shown.update(number for trace in figure.traces for number in look.trials_of(trace))
    told = {trial.number: look.hover(view, trial) for trial in view.trials if trial.number in shown}
    return f'<script type="application/json" id="hovers">{_json(told)}</script>\n'


def _figure(figure: Figure, name: str) -> str:
    value = {"data": figure.traces, "layout": {**figure.layout, "height": figure.height}, "config": CONFIG}
    return (
        f'<div class="plot" id="{name}" style="min-height:{figure.height}px"></div>'
        f'<script type="application/json" data-for="{name}">{_json(value)}</script>'
    )


def _json(value: object) -> str:
    """Return JSON that may stand inside a page's script: no text in it can end that."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _trials(view: View) -> Iterator[str]:
    shown, whole = len(table.shown(view)), len(view.trials)
    rest = f" Shown are {shown} of {whole:,}, the best first." if shown < whole else ""
    yield '<section id="trials"><h2>Trials</h2><p>A click on a head sorts by it. '
    yield f"All of it is in the CSV file beside this page.{rest}</p>"
    yield '<div class="scroll tall"><table class="trials"><thead><tr>'
    yield "".join(f"<th>{escape(name)}</th>" for name in table.headers(view))
    yield "</tr></thead><tbody>\n"
    for trial, cells in table.rows(view):
        chosen = view.chosen is not None and trial.number == view.chosen.number and not view.several
        yield f'<tr class="{trial.state.value}{" chosen" if chosen else ""}">'
        yield "".join(f"<td{_key(text, key)}>{escape(text[:200])}</td>" for text, key in cells)
        yield "</tr>\n"
    yield "</tbody></table></div></section>\n"


def _key(text: str, key: str) -> str:
    return "" if text == key else f' data-key="{escape(key)}"'


def _anchor(title: str) -> str:
    return title.lower().replace(" ", "-")
