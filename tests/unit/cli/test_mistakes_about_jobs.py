"""Mistakes about jobs: ids, kinds, settings, and what has happened already."""

import pytest

from mistakes import Desk, Mistake, m


def mine(desk: Desk) -> None:
    """Put a page there that somebody else wrote."""
    (desk.images / "mine.html").write_text("<p>mine</p>")


TABLE = [
    m("show 9999", 2, "9999", "no job"),
    m("show @first", 2, "@first"),
    m("show aaaa", 2, "'aaaa' fits several jobs", "aaaa000000000001", "more characters"),
    m("show ''", 2, "argument 2 is empty", "variable"),
    m("watch 9999", 2, "9999"),
    m("report 9999", 2, "9999", "no job"),
    m("report aaaa", 2, "'aaaa' fits several jobs", "aaaa000000000001"),
    m("report {trial}", 2, "is a trial of the sweep night", "adctl report night"),
    m("report {queued}", 3, "is queued", "adctl why bbbb000000000001"),
    m("report {job} --out {file}", 2, "notes.txt", "not a directory", "--out"),
    m("report {job} --out {file}/page.html", 2, "notes.txt/page.html", "not a directory"),
    m("report {failed} --out {images}/mine.html", 2, "mine.html is there already", before=mine),
    m("report", 2, "JOB|BENCHMARK|SWEEP", "is missing"),
    m("logs 9999", 2, "9999"),
    m("logs {job} --attempt 9", 2, "aaaa000000000001", "attempt 9", "newest attempt is 1"),
    m("cancel 9999", 2, "9999"),
    m("cancel {job}", 3, "aaaa000000000001", "succeeded"),
    m("retry 9999", 2, "9999"),
    m("retry {job}", 3, "aaaa000000000001", "succeeded"),
    m("retry {running}", 3, "dddd000000000001", "running"),
    m("retry {queued}", 3, "bbbb000000000001", "queued"),
    m("promote 9999", 2, "9999"),
    m("promote {job}", 3, "aaaa000000000001", "evaluat"),
    m("promote {failed}", 3, "ffff000000000001"),
    m("promote {queued}", 3, "bbbb000000000001"),
    m("promote {evaluation}", 3, "eeee000000000001", "failed"),
    m("promote {job} --alias latest", 2, "'latest'", "champion"),
    m("promote {job} --alias 'a b'", 2, "'a b'"),
    m("promote {job} --force", 2, "--force", "--reason TEXT"),
    m("promote {job} image_auroc", 2, "--best image_auroc"),
    m("promote {job} --category screw", 2, "--category", "--best"),
    m("promote {job} --dry-run --alias v1", 2, "'v1'", "champion"),
    m("threshold {job}", 3, "was not evaluated", "adctl submit evaluate aaaa000000000001"),
    m("threshold {job} --fpr 0.1 --value 3", 2, "give one of"),
    m("threshold {job} --alias champion", 2, "say which threshold"),
    m("threshold {out} --fpr 0.1", 2, "does not exist"),
    m("threshold {queued} --fpr 0.1", 3, "is queued"),
    m("submit evaluate 9999", 2, "9999"),
    m("submit evaluate {evaluation}", 2, "eeee000000000001", "evaluate", "train"),
    m("submit evaluate {job} --data {missing}", 2, "missing"),
    m("submit evaluate {job} --attack linff", 2, "no attack named 'linff'", "linf"),
    m("submit evaluate {job} --attack l2:eps=much", 2, "attack l2: eps", "'much'"),
    m("submit evaluate {job} --attack linf", 2, "detector 'toy' cannot be attacked"),
    m("submit evaluate {job} --tag colour", 2, "name=value", "'colour'"),
    m("submit train -m toi --data {screw}", 2, "toi", "did you mean toy?"),
    m("submit train -m '' --data {screw}", 2, "detector", "''"),
    m("submit train -m toy --data {screw} -S lrr=1", 2, "lrr", "did you mean lr?"),
    m("submit train -m toy --data {screw} -S lr", 2, "name=value", "'lr'"),
    m("submit train -m toy --data {screw} -S =3", 2, "name=value"),
    m("submit train -m toy --data {screw} -S lr=fast", 2, "lr", "fast"),
    m("submit train -m toy --data {screw} -S lr=7", 2, "lr", "7", "1"),
    m("submit train -m toy --data {screw} -S lr=nan", 2, "lr", "nan"),
    m("submit train -m toy --data {screw} -S lr=inf", 2, "lr", "inf"),
    m("submit train -m toy --data {screw} -S mode=meen", 2, "mode", "meen", "mean"),
    m("submit train -m toy --data {screw} -S layers=a,b", 2, "layers", "'a'"),
    m("submit train -m toy --data {screw} -S layers=0", 2, "layers", "0"),
    m("submit train -m toy --data {screw} -S flip=perhaps", 2, "flip", "perhaps"),
    m("submit train -m toy --data {screw} -S image_size=1000", 2, "image_size", "512"),
    m("submit train -m toy --data {screw} -S image_size=32.5", 2, "image_size", "32.5"),
    m("submit train -m toy --data {screw} --imgsz 4", 2, "image_size", "8"),
    m("submit train -m toy --data {screw} --imgsz 32 -S image_size=64", 2, "image_size", "32", "64"),
    m("submit train -m toy --data {screw} --preset tinny", 2, "tinny", "did you mean tiny?"),
    m("submit train -m toy --data {screw} --device gpu", 2, "device", "'gpu'", "cuda"),
    m("submit train -m toy --data {screw} --device cuda:x", 2, "device", "'cuda:x'"),
    m("submit train -m toy --data {screw} --tag colour", 2, "name=value", "'colour'"),
    m("submit train -m toy --data {screw} --tag =red", 2, "name=value"),
    m("submit train -m toy --data {screw} --queue 'a b'", 2, "queue", "'a b'"),
    m("submit train -m toy --data {screw} --holdout ten", 2, "ten", "10/10"),
    m("submit train -m toy --data {screw} --holdout 60/60", 2, "60/60"),
    m("submit train -m toy --data {screw} --holdout -5/5", 2, "-5/5"),
    m("detectors show toi", 2, "toi", "did you mean toy?"),
    m("worker drain w9", 2, "w9"),
]


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.call)
def test_a_mistake_about_a_job_changes_nothing(row: Mistake, mistaken) -> None:
    mistaken(row)
