"""The copy of a home: whole, verified, and brought back to the last byte."""

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from ad_migrations.moving import backup
from ad_platform.errors import Conflict, CorruptBundle, InvalidData, StoreDamaged
from ad_platform.storage.moving import hash_of
from job_stories import Stories


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with a store that somebody has open, files, a link, and what need not be kept."""
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    Stories(home).trained()  # left open: much of it lies in the log of the database
    for name in (
        "cache/a.npy",
        "scratch/x/y",
        "valkey/appendonly.aof",
        "workers/n1-1.lock",
        "stack/valkey.conf",
    ):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text("made again")
    (home / "stack" / "state.json").write_text('{"port": 5001}')
    (home / "notes.txt").write_text("mine")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "big.png").write_text("a picture")
    (home / "data").symlink_to(tmp_path / "elsewhere")
    return home


def content(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hash_of(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "store.db" and not path.name.startswith("store.db-")
    }


def test_a_home_is_brought_back_as_it_was(home: Path, tmp_path: Path) -> None:
    made = backup.make(home, tmp_path / "copy", "me")
    assert (made.home, made.store) == (str(home), "me")
    assert made.rows["store.db"]["jobs"] == 2
    assert made.links == {"data": str(tmp_path / "elsewhere")}
    assert not {
        name for name in made.files if name.startswith(("cache", "scratch", "valkey", "workers", "data"))
    }
    kept = {name: mark for name, mark in content(home).items() if name in made.files}

    shutil.rmtree(home)
    assert backup.bring_back(tmp_path / "copy", home) is None

    assert content(home) == kept
    assert {"notes.txt", "stack/state.json"} <= {*kept}
    assert (home / "data" / "big.png").read_text() == "a picture"
    assert home.stat().st_mode & 0o777 == 0o700
    with closing(sqlite3.connect(home / "store.db")) as connection:
        assert connection.execute("SELECT count(*) FROM jobs").fetchone() == (2,)


def test_what_is_in_the_way_is_put_aside(home: Path, tmp_path: Path) -> None:
    backup.make(home, tmp_path / "copy", "me")
    (home / "notes.txt").write_text("newer")
    aside = backup.bring_back(tmp_path / "copy", home)
    assert aside is not None
    assert ((aside / "notes.txt").read_text(), (home / "notes.txt").read_text()) == ("newer", "mine")


def test_a_copy_that_is_whole_is_not_made_again_and_half_a_one_is(home: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    (copy / "home" / "storage").mkdir(parents=True)
    (copy / "home" / "storage" / "half").write_text("of somebody who died")
    first = backup.make(home, copy, "me")
    assert not (copy / "home" / "storage" / "half").exists()
    (home / "notes.txt").write_text("newer")
    assert backup.make(home, copy, "me") == first
    with pytest.raises(Conflict, match="another installation"):
        backup.make(home, copy, "somebody else")


@pytest.mark.parametrize("damage", ["changed", "missing", "database", "no list", "other list"])
def test_a_damaged_copy_is_refused_before_anything_is_touched(
    home: Path, tmp_path: Path, damage: str
) -> None:
    copy = tmp_path / "copy"
    made = backup.make(home, copy, "me")
    file = copy / "home" / next(name for name in made.files if name.endswith("state.safetensors"))
    match damage:
        case "changed":
            file.write_bytes(file.read_bytes()[:-1] + b"?")
        case "missing":
            file.unlink()
        case "database":
            os.truncate(copy / "home" / "store.db", 5000)
        case "no list":
            (copy / backup.NAME).unlink()
        case "other list":
            (copy / backup.NAME).write_text('{"format": 99, "adctl": "9.0"}')
    before = content(home)
    with pytest.raises((CorruptBundle, InvalidData), match=r"broken|no readable|another adctl"):
        backup.bring_back(copy, home)
    assert content(home) == before
    assert [path.name for path in tmp_path.iterdir() if "restoring" in path.name] == []


def test_a_damaged_database_gives_no_copy(home: Path, tmp_path: Path) -> None:
    (home / "optuna.db").write_bytes(b"SQLite format 3\x00" + b"rubbish" * 1000)
    with pytest.raises(StoreDamaged, match=r"optuna\.db"):
        backup.make(home, tmp_path / "copy", "me")
    with pytest.raises(InvalidData, match="no whole copy"):
        backup.read(tmp_path / "copy")


def test_a_folder_of_other_things_takes_no_copy(home: Path, tmp_path: Path) -> None:
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "photos").mkdir()
    with pytest.raises(Conflict, match="not empty"):
        backup.make(home, tmp_path / "copy", "me")
