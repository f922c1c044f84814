"""Mistakes about collections: lengths of time, names of what lies in the trash, jobs that were collected."""

import pytest

from ad_platform.client import Client
from ad_platform.settings import load
from ad_platform.states import CollectedState
from mistakes import TRAINED, Desk, Mistake, m


def trashed(desk: Desk) -> None:
    """Let the files of the trained job have been collected."""
    with Client(load({"ADCTL_HOME": str(desk.home), "ADCTL_USER": "kim"})) as client:
        retention = client.store.retention
        assert retention.claim("a test", 1e9)
        retention.condemn("a test", "kim", [TRAINED])
        retention.settle("a test", "kim", {f"jobs/{TRAINED}": CollectedState.TRASHED})
        retention.release("a test")


IN_TRASH = ("lie in the trash", "adctl gc restore")
TABLE = [
    m("gc --older-than 30", 2, "--older-than", "30d", "'30'"),
    m("gc --older-than -3d", 2, "'-3d'"),
    m("gc --older-than soon", 2, "'soon'"),
    m("gc --grace 1y", 2, "--grace", "'1y'"),
    m("gc --trash 0", 2, "--trash", "'0'"),
    m("gc --keep-last -1", 2, "--keep-last", "at least 0"),
    m("gc --keep-last many", 2, "--keep-last", "whole number"),
    m("gc --why 9999", 2, "9999", "no job, path or entry"),
    m("gc --why jobs/9999", 2, "jobs/9999"),
    m("gc --why aaaaaa --older-than x", 2, "'x'"),
    m("gc --why ''", 2, "no job, path or entry"),
    m("gc --dry-run trash", 2, "options come after the command", "adctl gc trash"),
    m("gc restroe", 2, "restroe", "restore"),
    m("gc restore {job}", 2, TRAINED, "there are none yet"),
    m("gc restore stages/ab", 2, "stages/ab"),
    m("gc empty everything", 2, "everything"),
    m("gc trash {job}", 2, TRAINED),
    m(
        "predict {job} {screw}/train/good/0.png",
        3,
        TRAINED,
        "lie in the trash",
        "adctl gc restore",
        before=trashed,
    ),
    m("submit evaluate {job}", 3, TRAINED, "lie in the trash", "adctl gc restore", before=trashed),
    m("gc", 4, "no store", "adctl up", ADCTL_HOME="{empty}/none"),
]


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.call)
def test_a_mistake_about_room_is_one_sentence_and_changes_nothing(mistaken, row: Mistake) -> None:
    mistaken(row)
