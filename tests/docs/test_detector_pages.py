"""Every built-in detector has a page that says the same five things, and a line in the index."""

import re
import runpy
from pathlib import Path

import pytest

from ad_detectors import registry

FOLDER = Path(__file__).parents[2] / "docs" / "detectors"
SECTIONS = ["Idea", "Paper", "When to use it", "Cost", "What differs"]
PAGES = sorted(path for path in FOLDER.glob("*.md") if path.stem != "README")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_says_what_every_page_says(page: Path) -> None:
    text = page.read_text()
    for section in SECTIONS:
        body = re.search(rf"^## {section}[^\n]*\n(.*?)(?=^## |\Z)", text, re.M | re.S)
        assert body, f"{page.name} has no section '{section}'"
        assert len(body[1].split()) >= 10, f"'{section}' of {page.name} says next to nothing"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_names_every_preset_of_its_detector(page: Path) -> None:
    text = page.read_text()
    for preset in registry.describe(page.stem).presets:
        assert f"`{preset}`" in text, f"{page.name} does not mention the preset {preset}"


@pytest.mark.parametrize("name", registry.built_in())
def test_the_index_says_when_to_use_a_detector_and_what_it_costs(name: str) -> None:
    rows = re.findall(
        rf"^\| \[?`{name}`\]?[^|]*\|([^|]+)\|([^|]+)\|$", (FOLDER / "README.md").read_text(), re.M
    )
    assert len(rows) == 1, f"docs/detectors/README.md has {len(rows)} lines on {name}"
    assert all(cell.strip() for cell in rows[0])


@pytest.mark.parametrize("name", registry.built_in())
def test_every_built_in_detector_has_a_page_linked_from_the_index(name: str) -> None:
    assert (FOLDER / f"{name}.md").exists(), f"write docs/detectors/{name}.md"
    assert f"[`{name}`]({name}.md)" in (FOLDER / "README.md").read_text()


def test_the_generated_page_is_what_the_registry_and_the_results_give() -> None:
    made = runpy.run_path(str(FOLDER.parent / "make_detectors.py"))
    wanted = made["page"]((FOLDER.parents[1] / "benchmarks" / "RESULTS.md").read_text())
    assert (FOLDER.parent / "detectors.md").read_text() == wanted, "run: python docs/make_detectors.py"


def test_the_generated_page_takes_the_newest_figures_and_names_what_was_not_measured() -> None:
    made = runpy.run_path(str(FOLDER.parent / "make_detectors.py"))
    measures = "image AUROC | pixel AUROC | AUPRO 0.3 | less pixel_mean: image AUROC | pixel AUROC"
    head = f"| category | detector | size | steps | fit | ms/image | {measures} |\n| --- |\n"
    row = "| mvtec/nut | dte/small | 64 px | 9 | 1 s | 2 | {} | 0.5 | 0.4 | +0.1 | +0.3 |\n"
    section = "## {} 03:00 UTC: accuracy of dte\n\n" + head + row + "\nWords.\n\n"
    results = section.format("2026-02-02", "0.91") + section.format("2026-01-01", "0.87")
    page = made["page"](results)
    assert "| `dte/small` | mvtec/nut | 64 px | 2026-02-02 | 9 | 1 s | 2 | 0.91 | 0.5 | 0.4 | +0.1 |" in page
    assert "0.87" not in page
    assert "Not measured yet: `advrad`, `anoddpm`, `anogan`" in page
    for name in registry.built_in():
        assert f"## {name}\n" in page


def test_the_generated_page_lists_who_was_not_shown_to_beat_the_baseline() -> None:
    made = runpy.run_path(str(FOLDER.parent / "make_detectors.py"))
    measures = "image AUROC | pixel AUROC | AUPRO 0.3 | less pixel_mean: image AUROC"
    head = f"| category | detector | size | steps | fit | ms/image | {measures} |\n| --- |\n"
    rows = [
        f"| {category} | {run} | 64 px | 9 | 1 s | 2 | 0.9 | 0.5 | 0.4 | {less} |\n"
        for category, run, less in (
            ("mvtec/bottle", "dte/small", "+0.010 [-0.010, +0.030]"),
            ("mvtec/bottle", "dte/nonparametric", "+0.021 [+0.002, +0.052]"),
            ("mvtec/bottle", "cnn/small:steps=9", "-0.086 [-0.152, -0.026]"),
            ("mvtec/screw", "anogan", "-0.086 [-0.152, -0.026]"),
        )
    ]
    page = made["page"]("## 2026-02-02 03:00 UTC: accuracy of dte\n\n" + head + "".join(rows) + "\n")
    told = page.partition("### Not shown")[2].partition("\n## ")[0]
    assert re.findall(r"^\* `(\w+)`: (\S+)", told, re.M) == [("cnn", "-0.086")]
