"""Numbers that others have published, as they published them: `published.json`, with the source of each."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

TEXTURE, OBJECT = "texture", "object"


@dataclass(frozen=True, kw_only=True)
class PublishedMethod:
    """A method's results on a dataset; shares of 1, where tables have percent."""

    method: str
    dataset: str  # as `dataset_of` calls it
    detector: str  # ours of the same method, "" where there is none
    preset: str  # with the published settings
    source: str
    url: str
    selected_on: str  # "test": its settings were chosen by the images it was measured on
    aupro: str  # how the published PRO is integrated: not as ours
    categories: Mapping[str, Mapping[str, float]]  # metrics by their names here, of each category
    average: Mapping[str, float]  # as published, over all of the dataset's categories

    def of(self, category: str, metric: str) -> float | None:
        """Return a number of a category, named in any way; None where none was published."""
        wanted = _plain(category)
        return next((v.get(metric) for name, v in self.categories.items() if _plain(name) == wanted), None)


def dataset_of(name: str) -> str | None:
    """Return the published dataset that a name stands for: "mvtec" for "MVTec_AD"; None for another one."""
    wanted = _plain(name)
    for known, facts in _file()["datasets"].items():
        if wanted in {_plain(each) for each in (known, facts["title"], *facts["also"])}:
            return str(known)
    return None


def title_of(name: str) -> str:
    """Return what a dataset is called in print; another one keeps its name."""
    known = dataset_of(name)
    return name if known is None else str(_file()["datasets"][known]["title"])


def kind_of(dataset: str, category: str) -> str:
    """Return what a category is, "texture" or "object"; "" where no published table says."""
    known = dataset_of(dataset)
    kinds = {} if known is None else _file()["datasets"][known]["kinds"]
    return next((kind for name, kind in kinds.items() if _plain(name) == _plain(category)), "")


def categories_of(dataset: str) -> list[str]:
    """Return the categories of a published dataset, in the order of its table; none of another one."""
    known = dataset_of(dataset)
    return [] if known is None else list(_file()["datasets"][known]["kinds"])


def methods_of(datasets: Sequence[str]) -> tuple[PublishedMethod, ...]:
    """Return what was published on any of these datasets."""
    known = {dataset_of(name) for name in datasets}
    return tuple(one for one in _methods() if one.dataset in known)


@cache
def _methods() -> tuple[PublishedMethod, ...]:
    names = PublishedMethod.__dataclass_fields__
    return tuple(
        PublishedMethod(**{name: one[name] for name in names if name in one}) for one in _file()["methods"]
    )


@cache
def _file() -> dict[str, Any]:
    text = resources.files("ad_platform.benchmarks").joinpath("published.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def _plain(name: str) -> str:
    return "".join(char for char in name.casefold() if char.isalnum())
