"""What the page of a benchmark begins with: what came of it, and where models are worst."""

from collections.abc import Iterator, Mapping, Sequence
from html import escape

from ad_platform.benchmark_report.standing import Standing, mistakes, worst_of
from ad_platform.benchmarks import scores
from ad_platform.benchmarks.board import Board
from ad_platform.benchmarks.leaderboard import groups, percent, published_mean
from ad_platform.benchmarks.published import title_of
from ad_platform.benchmarks.scores import IMAGE_AUROC, Score
from ad_platform.benchmarks.viewing import BenchmarkView
from ad_platform.job_report import pictures
from ad_platform.job_report.rates import Counted
from ad_platform.job_report.results import Results
from ad_platform.job_report.verdict import per_thousand
from ad_platform.pages import frame
from ad_platform.pages.frame import Part, Sentence, Tile

SHORT = 8  # characters of a job's id in a command
MOST_TILES = 6


def head(view: BenchmarkView) -> str:
    """Return the head of the page."""
    datasets = " and ".join(title_of(name) for name in view.spec.datasets)
    words = (
        f"{_count(len(view.models), 'model')} on {_count(len(view.categories), 'category', 'categories')} of "
        f"{datasets} with {_count(len(view.seeds), 'seed')}"
    )
    return frame.heading("Benchmark", view.benchmark.name, view.state, words)


def outcome(
    view: BenchmarkView,
    boards: Sequence[Board],
    found: Sequence[Standing],
    evaluated: Mapping[str, Results],
) -> Part:
    """Say what came of it, before any table."""
    told = [*_sums(view), *(each for board in boards for each in _of_board(view, board))]
    told += [Sentence(text=text) for text in _worst(view, found, evaluated)]
    return Part(
        title="What came of it",
        link="Outcome",
        html=frame.tiles(_tiles(view, boards)) + frame.sentences(told),
    )


def _tiles(view: BenchmarkView, boards: Sequence[Board]) -> list[Tile]:
    """Return the average image AUROC of each model, the best first."""
    found: list[tuple[float, Tile]] = []
    for board in boards:
        for model in board.models:
            score = _average(board, model)
            if score.mean is None:
                continue
            beside = [
                f"{method.method} published {100 * value:.1f}"
                for method in board.published
                if method.detector == _detector(view, model)
                and (value := published_mean(method, board.categories, IMAGE_AUROC)[0]) is not None
            ]
            words = ["image AUROC in percent, averaged over categories", *beside]
            title = model if len(boards) == 1 else f"{model} on {title_of(board.dataset)}"
            found.append((score.mean, Tile(title=title, value=percent(score), words="; ".join(words))))
    return [tile for _, tile in sorted(found, key=lambda pair: -pair[0])][:MOST_TILES]


def _sums(view: BenchmarkView) -> Iterator[Sentence]:
    parts = [f"{view.done} have a result"]
    parts[0] += f" ({view.known} of them known before)" if view.known else ""
    parts += [f"{view.failed} ended without one"] if view.failed else []
    parts += [f"{view.open} have not ended"] if view.open else []
    yield Sentence(
        text=f"Of {len(view.cells)} cells (a model on a category with a seed) {', '.join(parts)}.",
        warning=bool(view.failed or view.open),
    )
    chosen = sorted({cell.model for cell in view.cells if cell.selected_on.startswith("test")})
    if chosen:
        yield Sentence(
            text=f"selected_on=test: test images have chosen the settings of {', '.join(chosen)} (marked *), "
            "so its figures flatter, and say little of new parts.",
            warning=True,
        )


def _of_board(view: BenchmarkView, board: Board) -> Iterator[Sentence]:
    """Say who is best and whether that is sure, and how far from what was published."""
    place = f"On {title_of(board.dataset)}" if len(view.spec.datasets) > 1 else "By image AUROC"
    ranked = sorted(
        ((model, score) for model in board.models if (score := _average(board, model)).mean is not None),
        key=lambda pair: -(pair[1].mean or 0.0),
    )
    if len(ranked) > 1:
        told = ", ".join(f"{model} {percent(score)}" for model, score in ranked)
        text = f"{place}, averaged over categories: {told}."
        if any(not score.whole for _, score in ranked):
            text += " An average with (n/m) lacks results, so it does not compare with the others."
        yield Sentence(text=f"{text} {_sure(board)}")
    for model, score in ranked:
        for method in board.published:
            value, count = published_mean(method, board.categories, IMAGE_AUROC)
            if method.detector != _detector(view, model) or value is None or score.mean is None:
                continue
            away = 100 * (score.mean - value)
            side = "above" if away > 0 else "below"
            some = "" if count == len(board.categories) else f" (of {count} of these categories)"
            yield Sentence(
                text=f"{model} lies {abs(away):.1f} points {side} what {method.method} published{some}: "
                f"{100 * value:.1f}, with settings selected on {method.selected_on} images."
            )


def _sure(board: Board) -> str:
    """Say what the tests over categories and on single ones come to."""
    over = [one for one in board.across if one.metric == IMAGE_AUROC]
    each = [one for one in board.comparisons if one.metric == IMAGE_AUROC]
    sure = [one for one in over if one.differs]
    words = [
        f"{one.first if (one.difference or 0) > 0 else one.second} is better over categories "
        f"(p {one.corrected:.3f})"
        for one in sure
    ]
    if over and not sure:
        words.append("over categories no difference between models is shown")
    if each:
        differing = sum(one.differs for one in each)
        words.append(
            f"on single categories one of two models is better in {differing} of {len(each)} comparisons"
        )
    text = "; ".join(words)
    return f"{text[:1].upper()}{text[1:]}." if text else "Models were not tested against each other."


def _worst(view: BenchmarkView, found: Sequence[Standing], evaluated: Mapping[str, Results]) -> Iterator[str]:
    for model in view.models:
        worst = worst_of(found, model.label)
        if worst is None:
            continue
        text = f"{model.label} is worst on {worst.category.label}: image AUROC {percent(worst.score)}"
        made = mistakes(worst, evaluated)
        told = [f"misses {_told(made.missed)} defective test images"] if made.missed is not None else []
        if made.false_alarms is not None:
            told.append(f"calls {_told(made.false_alarms)} good ones anomalous")
        text += f"; with its worst seed it {' and '.join(told)}" if told else ""
        yield f"{text}."


def _told(counted: Counted) -> str:
    return f"{counted.count} of {counted.of}"


def worst_categories(found: Sequence[Standing], evaluated: Mapping[str, Results]) -> Part | None:
    """Show every model on every category, the worst first, and pictures of the worst of each model."""
    shown = [each for each in found if each.score.mean is not None]
    if not shown:
        return None
    rows = [
        (
            each.category.label,
            each.model,
            percent(each.score),
            _thousand(made.missed),
            _thousand(made.false_alarms),
            _command(each),
        )
        for each, made in ((each, mistakes(each, evaluated)) for each in shown)
    ]
    headers = ("category", "model", "image AUROC, %", "missed per 1000", "false alarms per 1000", "its page")
    words = (
        "The lowest image AUROC first. Missed and false alarms are those of the seed that did worst, at its "
        "own threshold, with 95 % intervals; its page shows them."
    )
    table = frame.table(headers, rows, label="Categories, the worst first", command=True)
    several = "".join(_pictures(each, evaluated) for each in shown)
    return Part(title="Worst categories", link="Worst", html=f"<p>{escape(words)}</p>{table}{several}")


def _pictures(standing: Standing, evaluated: Mapping[str, Results]) -> str:
    cell = standing.worst
    evaluation = cell.evaluation if cell is not None else None
    own = evaluated.get(evaluation.id) if evaluation is not None else None
    if own is None or own.cases is None or cell is None:
        return ""
    html = pictures.shown(own.cases, missed=2, alarms=1)
    if not html:
        html = "<p>At its threshold it made no mistake there.</p>\n"
    about = f"{standing.model} on {standing.category.label}, its worst category, seed {cell.seed}"
    return f"<h3>{escape(about)}</h3>\n{html}"


def _command(standing: Standing) -> str:
    cell = standing.worst
    if cell is None or cell.evaluation is None:
        return ""
    return f"adctl report {cell.evaluation.id[:SHORT]}"


def _thousand(counted: Counted | None) -> str:
    share = counted.share if counted is not None else None
    if share is None:
        return "n/a"
    return f"{per_thousand(share.value)} ({per_thousand(share.low)} to {per_thousand(share.high)})"


def _average(board: Board, model: str) -> Score:
    members = groups(board)[-1][1]
    asked = [cells for one in members if (cells := board.of(model, one.label))]
    return scores.average(asked, IMAGE_AUROC)


def _detector(view: BenchmarkView, label: str) -> str:
    return next((model.detector for model in view.models if model.label == label), "")


def _count(number: int, one: str, several: str = "") -> str:
    return f"{number} {one if number == 1 else several or one + 's'}"
