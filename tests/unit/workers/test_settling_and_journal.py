"""When a file of a watched folder is finished, and what a watch remembers of it."""

import errno
import hashlib
import json
import os
from pathlib import Path

import pytest

from ad_platform.errors import DiskFull, InvalidRequest
from ad_workers.predicting import journal as journals
from ad_workers.predicting.journal import Entry, Journal, Known, stamp_of
from ad_workers.predicting.rows import Prediction
from ad_workers.predicting.settling import Eye, Finished

SETTLE = 2.0


@pytest.fixture
def eye(tmp_path: Path) -> Eye:
    return Eye(tmp_path, SETTLE, Known())


def names(found: list[Finished]) -> list[str]:
    return [Path(file.path).name for file in found]


def entry(name: str, *, score: float | None = 1.5, content: bytes = b"x") -> Entry:
    return Entry(
        prediction=Prediction(path=name, score=score, anomalous=True, error="" if score else "broken"),
        threshold=1.0,
        model="screw@champion (revision 1)",
        at="2031-05-17T08:30:00Z",
        stamp="00112233aabbccdd",
        sha256=hashlib.sha256(content).hexdigest(),
    )


def test_a_file_is_finished_once_it_has_not_changed_for_the_settling_time(eye: Eye, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"half")
    assert names(eye.look(0.0)) == []
    (tmp_path / "a.png").write_bytes(b"half and more")
    assert names(eye.look(1.9)) == []  # it was still growing
    assert names(eye.look(3.8)) == []
    assert names(eye.look(3.9)) == ["a.png"]


def test_a_file_that_was_moved_in_waits_as_long_and_its_unfinished_name_never_counts(
    eye: Eye, tmp_path
) -> None:
    (tmp_path / "a.png.part").write_bytes(b"whole")
    (tmp_path / ".a.png").write_bytes(b"whole")
    eye.look(0.0)
    assert names(eye.look(5.0)) == []
    (tmp_path / "a.png.part").rename(tmp_path / "a.png")
    eye.look(6.0)
    assert names(eye.look(8.0)) == ["a.png"]


@pytest.mark.parametrize("how", ["in place", "by another file", "with the same size and time"])
def test_other_content_under_a_known_name_is_a_new_file(tmp_path: Path, how: str) -> None:
    known = Known()
    eye, file = Eye(tmp_path, SETTLE, known), tmp_path / "a.png"
    file.write_bytes(b"first")
    status = file.stat()
    known.add(str(file), stamp_of(status), "00" * 32)
    eye.look(0.0)
    assert names(eye.look(9.0)) == []

    if how == "by another file":
        (tmp_path / "other").write_bytes(b"other")
        (tmp_path / "other").rename(file)
    else:
        file.write_bytes(b"other")
    if how == "with the same size and time":
        os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))

    eye.look(10.0)
    assert names(eye.look(12.0)) == ["a.png"]


def test_a_file_that_is_gone_is_waited_for_no_longer(eye: Eye, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"a")
    eye.look(0.0)
    (tmp_path / "a.png").rename(tmp_path / "b.png")
    assert names(eye.look(2.0)) == []
    assert (names(eye.look(4.0)), eye.waiting) == (["b.png"], 1)
    (tmp_path / "b.png").unlink()
    assert (names(eye.look(5.0)), eye.waiting) == ([], 0)


def test_a_file_that_cannot_be_read_is_tried_again_ever_later_and_anew_when_it_changes(
    eye: Eye, tmp_path
) -> None:
    (tmp_path / "a.png").write_bytes(b"a")
    eye.look(0.0)
    (file,) = eye.look(2.0)
    eye.failed(file, 2.0)
    assert names(eye.look(5.9)) == []
    (file,) = eye.look(6.0)
    assert file.tries == 1
    eye.failed(file, 6.0)
    assert names(eye.look(13.9)) == []
    (file,) = eye.look(14.0)
    assert file.tries == 2

    (tmp_path / "a.png").write_bytes(b"more of it")
    eye.look(15.0)
    (file,) = eye.look(17.0)
    assert file.tries == 0


def test_links_to_nowhere_pipes_and_folders_are_no_pictures(eye: Eye, tmp_path: Path) -> None:
    (tmp_path / "nowhere.png").symlink_to("missing")
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "folder.png").mkdir()
    eye.look(0.0)
    assert (eye.look(9.0), eye.waiting) == ([], 0)


def test_the_oldest_goes_first(eye: Eye, tmp_path: Path) -> None:
    for name, at in (("a.png", 30), ("b.png", 10), ("c.png", 20)):
        (tmp_path / name).write_bytes(b"x")
        os.utime(tmp_path / name, (at, at))
    eye.look(0.0)
    assert names(eye.look(2.0)) == ["b.png", "c.png", "a.png"]


def test_a_journal_cut_anywhere_keeps_its_whole_lines_and_goes_on_behind_them(tmp_path: Path) -> None:
    made = Journal(tmp_path / "whole", table=True)
    made.add([entry("a.png"), entry("b,\n.png", score=None)])
    made.close()
    content = made.path.read_bytes()
    first = content.index(b"\n") + 1
    for end in {*range(0, len(content), 13), first - 1, first, len(content) - 1, len(content)}:
        folder = tmp_path / str(end)
        folder.mkdir()
        (folder / journals.NAME).write_bytes(content[:end])
        again = Journal(folder, table=True)
        known = [name for name in ("a.png", "b,\n.png") if again.known.unchanged(name, "00112233aabbccdd")]
        assert len(known) == (2 if end == len(content) else int(end >= first))
        again.add([entry(name) for name in ("a.png", "b,\n.png") if name not in known])
        again.close()
        paths = [json.loads(line)["path"] for line in again.path.read_bytes().splitlines()]
        assert paths == ["a.png", "b,\n.png"]
        assert (folder / journals.TABLE).read_text().count(".png") == 2


def test_a_table_that_missed_the_last_rows_is_made_anew(tmp_path: Path) -> None:
    made = Journal(tmp_path, table=True)
    made.add([entry("a.png"), entry("b.png")])
    made.close()
    whole = (tmp_path / journals.TABLE).read_text()
    assert whole.splitlines()[1].startswith("a.png,1.5,anomalous,1.0,")
    (tmp_path / journals.TABLE).write_text(whole[:40])
    Journal(tmp_path, table=True).close()
    assert (tmp_path / journals.TABLE).read_text() == whole


@pytest.mark.parametrize("line", ["no json", "{}", '{"path": "a", "score": 1, "decision": null}', "\0" * 9])
def test_a_file_that_is_no_journal_is_left_as_it_is(tmp_path: Path, line: str) -> None:
    (tmp_path / journals.NAME).write_text(f"{line}\n")
    with pytest.raises(InvalidRequest, match=r"line 1 of .* was not written by a watch, or is damaged"):
        Journal(tmp_path, table=False)
    assert (tmp_path / journals.NAME).read_text() == f"{line}\n"


def test_a_result_that_finds_no_room_is_forgotten_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Journal(tmp_path, table=False)
    made.add([entry("a.png")])
    before, write = made.path.read_bytes(), os.write

    def full(handle: int, content: memoryview) -> int:
        write(handle, content[:20])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(journals.os, "write", full)
        with pytest.raises(DiskFull, match="make room"):
            made.add([entry("b.png")])

    assert made.path.read_bytes() == before
    assert not made.known.unchanged("b.png", "00112233aabbccdd")
    made.add([entry("b.png")])
    assert len(made.path.read_bytes().splitlines()) == 2
    made.close()


def test_many_known_files_take_little_room(tmp_path: Path) -> None:
    import tracemalloc

    known = Known()
    tracemalloc.start()
    for number in range(20_000):
        known.add(f"/a/rather/long/folder/of/some/line/{number:08}.png", f"{number:016x}", f"{number:064x}")
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size / 20_000 < 300
