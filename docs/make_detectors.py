"""Write docs/detectors.md from the registry and benchmarks/RESULTS.md: python docs/make_detectors.py."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import fields
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "detectors"))

from ad_detectors import registry  # noqa: E402
from ad_detectors.registry import Description  # noqa: E402

PAGE = ROOT / "docs" / "detectors.md"
RESULTS = ROOT / "benchmarks" / "RESULTS.md"
SECTION = re.compile(
    r"^## (\d{4}-\d\d-\d\d)[^:]*:\d\d UTC: accuracy of [^\n]*\n(.*?)(?=^## |\Z)", re.M | re.S
)
MEASURES = ("image AUROC", "pixel AUROC", "AUPRO 0.3")
BASELINE = "pixel_mean"
LESS = f"less {BASELINE}: image AUROC"

TRIED_ON = "mvtec/bottle"
INTERVAL = re.compile(r"(?P<point>[-+]\d\.\d+) \[(?P<low>[-+]\d\.\d+), [-+]\d\.\d+\]")
LOST = f"""
### Not shown to be better than `{BASELINE}` on {TRIED_ON}

Differences of image AUROC whose 95 % interval reaches below zero. Why: bottles all lie and are lit alike, so
a mean image, which needs no learning, ranks nearly all of them well and leaves little to win; and these had
minutes on a shared CPU, where most publications had hours on a GPU. Where normal images vary, as the magnetic
tiles do, several of them are ahead of it (above).

"""

OPENING = """# Detectors, from the registry

Written by `python docs/make_detectors.py`; what to use when, and a page for each, is in
[detectors/README.md](detectors/README.md). `adctl detectors list` shows the same, other people's included.

"""
MEASURED = f"""## Measured

The newest row of [benchmarks/RESULTS.md](../benchmarks/RESULTS.md) for each detector, preset, category and
size: settings, machine and load stand there. Seconds are those of two shared CPU cores. In brackets 95 %
intervals over the test images; the last column is the difference of image AUROC from `{BASELINE}` at the same
size, on the same images.

"""


def page(results: str) -> str:
    """Return the page, given the text of RESULTS.md."""
    known = [registry.describe(name) for name in registry.built_in()]
    rows = [
        [
            f"[`{each.name}`](detectors/{each.name}.md)",
            each.family,
            _cited(each),
            "normal and anomalous images" if each.supervised else "normal images",
            ", ".join(f"`{stage.name}`" for stage in each.stages),
            str(len(fields(each.config))),
            each.cost,
        ]
        for each in known
    ]
    headers = ["detector", "family", "paper", "learns from", "stages", "settings", "cost"]
    names = {each.name for each in known}
    measured = list(_measured(results, names))
    parts = [OPENING, _table(headers, rows), "\n", MEASURED, _table(_HEADERS, measured)]
    missing = sorted(names - {row[0].strip("`").partition("/")[0] for row in measured})
    if missing:
        parts.append(f"\nNot measured yet: {', '.join(f'`{name}`' for name in missing)}.\n")
    parts += _losers(measured)
    return "".join([*parts, *(_about(each) for each in known)])


def _losers(measured: Sequence[Sequence[str]]) -> Iterator[str]:
    """List the detectors of which no row shows that they rank bottles better than the baseline."""
    rows: dict[str, list[Sequence[str]]] = {}
    for row in measured:
        if row[1] == TRIED_ON and INTERVAL.fullmatch(row[-1]):
            rows.setdefault(row[0].strip("`").partition("/")[0].partition(":")[0], []).append(row)
    lost = {name: found[0] for name, found in rows.items() if not any(map(_is_better, found))}
    if lost:
        yield LOST
    for name, row in lost.items():
        yield f"* `{name}`: {row[-1]} ({row[0]}, {row[2]}, fitted in {row[5]})\n"


def _is_better(row: Sequence[str]) -> bool:
    found = INTERVAL.fullmatch(row[-1])
    return found is not None and float(found["low"]) >= 0 < float(found["point"])


_HEADERS = [
    "detector",
    "category",
    "size",
    "date",
    "steps",
    "fit",
    "ms/image",
    *MEASURES,
    f"less `{BASELINE}`",
]


def _measured(results: str, names: set[str]) -> Iterator[list[str]]:
    """Give the newest row of each detector, preset, category and size, sorted."""
    newest: dict[tuple[str, str, str], list[str]] = {}
    for date, body in SECTION.findall(results):  # the newest first
        lines = [line.strip("|").split("|") for line in body.splitlines() if line.startswith("|")]
        headers, *rows = ([cell.strip() for cell in line] for line in lines)
        for cells in rows[1:]:
            # Of columns of one name the first is the measure, a later one the difference from the baseline.
            row = dict(reversed(list(zip(headers, cells, strict=True))))
            run = row["detector"]
            if run.partition("/")[0] not in names:
                continue
            said = [row[name] for name in ("steps", "fit", "ms/image", *MEASURES, LESS)]
            key = (run, row["category"], row["size"])
            newest.setdefault(key, [f"`{run}`", row["category"], row["size"], date, *said])
    yield from (newest[key] for key in sorted(newest))


def _about(known: Description) -> str:
    lines = [f"\n## {known.name}\n\n{known.summary}\n"]
    if known.paper is not None:
        paper = known.paper
        lines.append(f"\n{paper.authors}: *{paper.title}*, {paper.year}, <{paper.url}>.\n")
    presets = ", ".join(
        f"`{name}`" + (" (default)" if name == known.default_preset else "")
        for name in [*known.presets, *known.published]
    )
    lines.append(f"\nPresets: {presets}. ")
    lines.append("No model file for other programs.\n" if known.no_export else "Can be exported.\n")
    searched = f"A sweep searches {', '.join(f'`{name}`' for name in known.space)} unless told otherwise.\n"
    lines.append(f"\n{searched}\n" if known.space else "\n")
    rows = [
        [f"`{stage.name}`", str(stage.version), ", ".join(f"`{field}`" for field in stage.fields)]
        for stage in known.stages
    ]
    lines.append(_table(["stage", "version", "settings"], rows))
    return "".join(lines)


def _cited(known: Description) -> str:
    if known.paper is None:
        return "-"
    first = known.paper.authors.split(",")[0].split()[-1]
    return f"[{first} {known.paper.year}]({known.paper.url})"


def _table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [headers, ["---"] * len(headers), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


if __name__ == "__main__":
    PAGE.write_text(page(RESULTS.read_text()))
