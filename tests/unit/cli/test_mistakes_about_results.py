"""Mistakes about models, predictions, comparisons, queues and run files."""

import pytest

from mistakes import Desk, Mistake, m


def run_file(text: str):
    """Put a run file where the call is made."""

    def before(desk: Desk) -> None:
        (desk.images / "run.yaml").write_text(text)

    return before


GOOD = "detector: toy\ndata: {dataset: parts, category: screw}\n"

TABLE = [
    m("predict nosuch {screw}/test/good", 2, "nosuch"),
    m("predict toy-parts-screw@champion {screw}/test/good", 2, "toy-parts-screw"),
    m("predict {queued} {screw}/test/good", 3, "bbbb000000000001", "queued"),
    m("predict {failed} {screw}/test/good", 3, "ffff000000000001", "failed"),
    m("predict {missing}/model {screw}/test/good", 2, "missing/model"),
    m("predict {empty} {screw}/test/good", 2, "empty"),
    m("predict {job}", 2, "IMAGE", "is missing"),
    m("predict {job} {missing}.png", 2, "missing.png"),
    m("predict {job} {empty}", 2, "empty"),
    m("predict {job} {screw}/test/good --rate 2", 2, "--rate", "2"),
    m("predict {job} {screw}/test/good --rate 0.1 --threshold 3", 2, "--rate", "--threshold"),
    m("predict {job} {screw}/test/good --device gpu", 2, "device", "'gpu'"),
    m("export nosuch", 2, "nosuch"),
    m("export {queued}", 3, "bbbb000000000001", "queued"),
    m("export {trial}", 2, "7777000000000002"),
    m("export {missing}/model", 2, "missing/model"),
    m("export {job} --format onyx", 2, "'onyx'", "onnx"),
    m("export {job} --rate 2", 2, "--rate", "2"),
    m("export {job} --rate 0.1 --threshold 3", 2, "--rate", "--threshold"),
    m("predict {job} {screw}/test/good --masks", 2, "--masks", "--out DIR"),
    m("predict {job} {screw}/test/good --null", 2, "--null", "--files-from"),
    m("predict {job} --files-from {missing}", 2, "--files-from", "missing"),
    m("predict {job} --watch {missing} --out {out}", 2, "--watch", "missing"),
    m("predict {job} --watch {empty}", 2, "--watch", "--out DIR"),
    m("predict {job} {screw}/test/good --shard 5", 2, "--shard", "--submit"),
    m("predict {job} {screw}/test/good --submit --out {out}", 2, "--out", "adctl results JOB"),
    m("predict {queued} {screw}/test/good --submit", 3, "bbbb000000000001", "queued"),
    m("predict {job} {missing} --submit", 2, "missing"),
    m("results {job}", 2, "train", "only a prediction"),
    m("results {missing}", 2, "no job"),
    m("models show nosuch", 2, "nosuch"),
    m("models history nosuch", 2, "nosuch"),
    m("models diff nosuch {job}", 2, "nosuch"),
    m("models rollback nosuch --reason why", 2, "nosuch"),
    m("models rollback nosuch", 2, "--reason"),
    m("models rollback nosuch --reason why --to 0", 2, "at least 1"),
    m("promote toy-parts-screw@champion", 2, "toy-parts-screw"),
    m("why 9999", 2, "9999"),
    m("why aaaa", 2, "'aaaa' fits several jobs"),
    m("diff {job}", 2, "JOB", "is missing"),
    m("diff {job} 9999", 2, "9999"),
    m("diff {job} {queued} {failed}", 2, "unexpected argument"),
    m("queue pause 'a b'", 2, "'a b'"),
    m("queue resume nosuch", 2, "nosuch", "default"),
    m("ui 9999", 2, "9999"),
    m("submit --from 9999", 2, "9999"),
    m("submit --from {job} -S lrr=1", 2, "lrr", "did you mean lr?"),
    m("submit --from {job} train -m toy", 2, "come after the command"),
    m("submit train --from {evaluation}", 2, "eeee000000000001"),
    m("submit train --config {missing}", 2, "missing"),
    m("submit train --config {images}", 2, "images"),
    m("submit train --config run.yaml", 2, "run.yaml", before=run_file("- a list\n")),
    m("submit train --config run.yaml", 2, "run.yaml", before=run_file("")),
    m("submit train --config run.yaml", 2, "run.yaml, line 3", before=run_file("detector: toy\nseed: [1\n")),
    m("submit train --config run.yaml", 2, "run.yaml", "sed", before=run_file(GOOD + "sed: 1\n")),
    m("submit train --config run.yaml", 2, "run.yaml", "seed", before=run_file(GOOD + "seed: many\n")),
    m("submit train --config run.yaml", 2, "lrr", before=run_file(GOOD + "settings: {lrr: 1}\n")),
    m("submit train --config run.yaml --from {job}", 2, "--from", "--config", before=run_file(GOOD)),
    m("list --sort colour", 2, "colour", "age"),
    m("list --since yesterdayish", 2, "--since", "yesterdayish"),
    m("list --since -3d", 2, "--since"),
    m("list --tag =x", 2, "tag"),
    m("cancel --all {job}", 2, "--all"),
    m("cancel --state running", 2, "--all"),
]


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.call)
def test_a_mistake_about_results_changes_nothing(row: Mistake, mistaken) -> None:
    mistaken(row)
