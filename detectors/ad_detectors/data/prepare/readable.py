"""BTAD and MPDD: they can be read as they are, and are brought into one layout all the same."""

from __future__ import annotations

from pathlib import Path

from ad_detectors.data.layout import GOOD, OK, categories_in, folders_in, name_of_normal, open_category
from ad_detectors.data.prepare.plan import Item, Plan, all_there, chosen
from ad_detectors.errors import DataError

PUBLISHED = {
    "btad": ["01", "02", "03"],
    "mpdd": ["bracket_black", "bracket_brown", "bracket_white", "connector", "metal_plate", "tubes"],
}
NORMAL = {"btad": OK, "mpdd": GOOD}


def plans(dataset: str, source: Path, only: tuple[str, ...]) -> list[Plan]:
    """Return what to make of a dataset; raise DataError that says what is missing in `source`."""
    there = [path.name for path in categories_in(source) if name_of_normal(path) == NORMAL[dataset]]
    if not there:
        raise DataError(f"{source} holds no {dataset.upper()}; {_advice(dataset, source)}")
    wanted = chosen(PUBLISHED[dataset], there, only, source)
    return all_there([_plan(source / name) for name in wanted], source)


def _plan(folder: Path) -> Plan:
    category = open_category(folder)
    items = [Item(sample.path, f"train/{GOOD}/{sample.path.name}") for sample in category.train]
    for sample in category.test:
        items.append(Item(sample.path, f"test/{sample.defect}/{sample.path.name}"))
        if sample.mask is not None:
            name = f"ground_truth/{sample.defect}/{sample.path.stem}_mask.png"
            items.append(Item(sample.mask, name, mask=True))
    return Plan(category.category, tuple(items))


def _advice(dataset: str, source: Path) -> str:
    expected = f"expected {PUBLISHED[dataset][0]}/train/{NORMAL[dataset]}/ and so on"
    if (source / "train").is_dir():
        return f"{expected}: give the folder above, and --category {source.name}"
    inside = [path for path in folders_in(source) if categories_in(path)]
    return f"{expected}: did you mean {inside[0]}?" if inside else expected
