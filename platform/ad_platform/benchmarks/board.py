"""One or several benchmarks as one board for each dataset: models beside each other, category by category."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from ad_platform.benchmarks.benchmark_spec import Contender
from ad_platform.benchmarks.comparisons import Across, Comparison
from ad_platform.benchmarks.published import OBJECT, TEXTURE, PublishedMethod, categories_of, dataset_of
from ad_platform.benchmarks.viewing import BenchmarkView, CategoryView, CellView
from ad_platform.records import Job

AVERAGE = "average"
GROUPS = {TEXTURE: "textures", OBJECT: "objects"}


@dataclass(frozen=True, kw_only=True)
class Board:
    """The models of some benchmarks on the categories of one dataset."""

    dataset: str
    benchmarks: tuple[str, ...]  # names, newest first
    models: tuple[str, ...]  # labels
    categories: tuple[CategoryView, ...]  # in the order of the published table, where there is one
    cells: Mapping[tuple[str, str], Sequence[CellView]]  # by model and category, one for each seed asked for
    published: tuple[PublishedMethod, ...] = ()
    comparisons: tuple[Comparison, ...] = ()
    across: tuple[Across, ...] = ()
    split: tuple[str, ...] = field(default=())  # benchmarks that no test joins: models of two of them

    def of(self, model: str, category: str) -> Sequence[CellView]:
        """Return the cells of a model on a category; none where nobody asked for it."""
        return self.cells.get((model, category), ())

    def group(self, kind: str) -> tuple[CategoryView, ...]:
        """Return the categories of a kind."""
        return tuple(one for one in self.categories if one.kind == kind)


def boards(views: Sequence[BenchmarkView], dataset: str | None = None) -> list[Board]:
    """Return a board for each dataset, newest benchmarks first.

    A model that several benchmarks have is one column: of two results for one seed the newer benchmark's
    counts. What has other settings is another model, and is called after its benchmark, too.
    """
    newest = sorted(views, key=lambda view: -view.benchmark.created_at)
    names = dict.fromkeys(category.data.dataset for view in newest for category in view.categories)
    wanted = [name for name in names if dataset is None or _same(name, dataset)]
    return [_board(newest, name) for name in wanted]


def _board(views: Sequence[BenchmarkView], dataset: str) -> Board:
    here = [view for view in views if any(each.data.dataset == dataset for each in view.categories)]
    labels = _labels(here)
    rows = _categories(here, dataset)
    cells: dict[tuple[str, str], dict[int, CellView]] = {}
    comparisons: dict[tuple[str, ...], Comparison] = {}
    across: list[Across] = []
    for view in here:
        name = view.benchmark.name
        called = {one.label: labels[name, one.label] for one in view.models}
        rows_of = {
            each.label: rows[each.data.category, each.data.fingerprint].label
            for each in view.categories
            if each.data.dataset == dataset
        }
        for cell in view.cells:
            if cell.category in rows_of:
                of_model = cells.setdefault((called[cell.model], rows_of[cell.category]), {})
                of_model.setdefault(cell.seed, cell)
        for one in view.comparisons:
            if one.category in rows_of:
                told = replace(
                    one,
                    first=called[one.first],
                    second=called[one.second],
                    category=rows_of[one.category],
                )
                comparisons.setdefault((told.first, told.second, told.category, told.metric), told)
        across += [
            replace(one, first=called[one.first], second=called[one.second])
            for one in view.across
            if one.dataset == dataset
        ]
    models = tuple(
        dict.fromkeys(labels[view.benchmark.name, one.label] for view in here for one in view.models)
    )
    return Board(
        dataset=dataset,
        benchmarks=tuple(view.benchmark.name for view in here),
        models=models,
        categories=tuple(sorted(rows.values(), key=lambda one: _place(dataset, one))),
        cells={key: [seeds[seed] for seed in sorted(seeds)] for key, seeds in cells.items()},
        published=tuple(one for one in here[0].published if one.dataset == dataset_of(dataset)),
        comparisons=tuple(comparisons.values()),
        across=tuple(across),
        split=tuple(view.benchmark.name for view in here) if len(here) > 1 else (),
    )


def _labels(views: Sequence[BenchmarkView]) -> dict[tuple[str, str], str]:
    """Return what each model of each benchmark is called on a board they share."""
    meanings: dict[str, list[object]] = {}
    found: dict[tuple[str, str], str] = {}
    for view in views:
        for one in view.models:
            meaning = _meaning(view, one)
            known = meanings.setdefault(one.label, [meaning])
            same = known[0] == meaning
            name = view.benchmark.name
            found[name, one.label] = one.label if same else f"{one.label} ({name})"
    return found


def _meaning(view: BenchmarkView, model: Contender) -> object:
    """Return what two models of one label have in common that are the same one."""
    jobs = [cell.training for cell in view.cells if cell.model == model.label and cell.training is not None]
    shared = jobs[0].spec if jobs else None
    holdout = shared.holdout if shared else ""
    # Of a published preset the settings depend on the category, and its name and source say them all.
    config = dict(shared.config) if shared and not _published(jobs) else None
    return (model.detector, model.preset, model.settings, holdout, config)


def _published(jobs: Sequence[Job]) -> bool:
    return any(dict(job.spec.config) != dict(jobs[0].spec.config) for job in jobs)


def _categories(views: Sequence[BenchmarkView], dataset: str) -> dict[tuple[str, str], CategoryView]:
    """Return the rows: a category by its name, twice where benchmarks have used other images."""
    found: dict[tuple[str, str], CategoryView] = {}
    for view in views:
        for one in view.categories:
            if one.data.dataset != dataset:
                continue
            key = (one.data.category, one.data.fingerprint)
            again = any(name == key[0] and mark != key[1] for name, mark in found)
            label = f"{key[0]} ({key[1][:6]})" if again else key[0]
            found.setdefault(key, replace(one, label=label))
    return found


def _place(dataset: str, category: CategoryView) -> tuple[int, int, str]:
    """Return where a category stands: textures, objects, others; as in the published table, else by name."""
    kinds = [TEXTURE, OBJECT, ""]
    order = categories_of(dataset)
    name = category.data.category
    return kinds.index(category.kind), order.index(name) if name in order else len(order), category.label


def _same(name: str, wanted: str) -> bool:
    known = dataset_of(wanted)
    return name.casefold() == wanted.casefold() or (known is not None and dataset_of(name) == known)
