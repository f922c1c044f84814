"""Mistakes about benchmarks: what is compared on what, and what has happened to them already."""

import pytest

from mistakes import Desk, Mistake, m

BENCHMARK = "submit benchmark -m toy --data {parts}"


def good_only(desk: Desk) -> None:
    """Leave nothing to test on."""
    for file in sorted((desk.images / "parts" / "screw" / "test").rglob("*.png")):
        file.unlink()


TABLE = [
    m("submit benchmark --data {parts}", 2, "say which models: --model NAME"),
    m("submit benchmark -m tyo --data {parts}", 2, "no detector named 'tyo'", "did you mean toy?"),
    m("submit benchmark -m toy:huge --data {parts}", 2, "no preset of toy named 'huge'", "large"),
    m("submit benchmark -m toy,toy --data {parts}", 2, "toy:tiny is named twice"),
    m(f"{BENCHMARK} -p tinny", 2, "no preset of toy named 'tinny'", "did you mean tiny?"),
    m(f"{BENCHMARK} -c scerw", 2, "no category named 'scerw'", "did you mean screw?"),
    m(f"{BENCHMARK} -d parts", 2, "either --data DIR or --dataset NAME"),
    m(f"{BENCHMARK} --seeds 0", 2, "--seeds", "0"),
    m(f"{BENCHMARK} --seeds many", 2, "--seeds", "many"),
    m(f"{BENCHMARK} -S lrr=1", 2, "no setting of toy named 'lrr'", "did you mean lr?"),
    m(f"{BENCHMARK} -S lr", 2, "name=value", "'lr'"),
    m(f"{BENCHMARK} -S lr=9", 2, "lr", "9"),
    m(f"{BENCHMARK} -S tyo.lr=0.5", 2, "no model of this benchmark named 'tyo'", "did you mean toy?"),
    m(f"{BENCHMARK} --name 'a b'", 2, "letters, digits and . _ -", "'a b'"),
    m(f"{BENCHMARK} --name night", 3, "a sweep named 'night' already"),
    m(f"{BENCHMARK} --name tables", 3, "another benchmark named 'tables' already", "--name"),
    m(f"{BENCHMARK} --tag benchmark=x", 2, "the tag benchmark is set by the platform"),
    m(f"{BENCHMARK} --holdout most", 2, "a holdout is two percentages", "'most'"),
    m(f"{BENCHMARK} --device gpu9x", 2, "device must be", "gpu9x"),
    m(f"{BENCHMARK} --queue 'a b'", 2, "a queue's name", "'a b'"),
    m(BENCHMARK, 2, "screw: no test images", "test/good", before=good_only),
    m("submit benchmark -m toy", 2, "say which images: --dataset NAME"),
    m("submit benchmark -m toy -d prts", 2, "no dataset named 'prts'", "did you mean parts?"),
    m("submit benchmark -m toy --data {missing}", 2, "missing does not exist"),
    m("submit benchmark -m toy --data {empty}", 2, "empty"),
    m("submit benchmark -m toy --data {file}", 2, "notes.txt"),
    m("submit sweep -m toy --data {screw} --param lr=0.1:0.5 --name tables", 3, "a benchmark named 'tables'"),
    m("benchmark show tabels", 2, "no benchmark named 'tabels'", "did you mean tables?"),
    m("benchmark watch night", 2, "no benchmark named 'night'"),
    m("benchmark results tabels", 2, "no benchmark named 'tabels'", "did you mean tables?"),
    m("leaderboard tabels", 2, "no benchmark named 'tabels'", "did you mean tables?"),
    m("leaderboard --dataset prts", 2, "no dataset of a benchmark named 'prts'", "did you mean parts?"),
    m("leaderboard --format xml", 2, "--format", "xml"),
    m("leaderboard --metric auc", 2, "--metric", "auc"),
    m("sweep show tables", 2, "no sweep named 'tables'"),
    m("retry tables", 3, "benchmark tables has no failed cell"),
    m("cancel tables", 3, "benchmark tables has nothing that runs or waits"),
    m("promote tables", 2, "tables is a benchmark", "adctl promote tables --best validation/image_auroc"),
    m("show tables --config", 2, "tables is a benchmark", "adctl benchmark show tables"),
    m("watch tables {job}", 2, "tables is a benchmark"),
    m("submit train --from tables", 2, "tables is a benchmark"),
    m("why tabels", 2, "no job, sweep or benchmark named 'tabels'", "did you mean tables?"),
]


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.call)
def test_a_mistake_is_one_clear_line_and_changes_nothing(row: Mistake, mistaken) -> None:
    mistaken(row)
