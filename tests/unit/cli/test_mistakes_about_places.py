"""Mistakes about folders, files and the environment."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text

from ad_platform.store.database import Database
from ad_platform.store.engine import backend_of
from ad_platform.store.sealing import Seal, SealState, seal
from mistakes import Desk, Mistake, m


def revision(number: str):
    """Give the store a schema of another program."""

    def before(desk: Desk) -> None:
        with closing(sqlite3.connect(desk.home / "store.db")) as connection, connection:
            connection.execute("UPDATE adctl_version SET version_num = ?", (number,))

    return before


def sealed(desk: Desk) -> None:
    """Let the store be on its way to a cluster."""
    with closing(Database(backend_of(f"sqlite:///{desk.home / 'store.db'}"))) as database:
        database.write(lambda tx: tx.run(text("UPDATE jobs SET state = 'queued', lease_until = NULL")))
        where = "postgresql://adctl:***@db/adctl"
        seal(
            database,
            Seal(
                state=SealState.MOVING,
                target=where,
                store="s",
                backup="/b",
                user="kim",
                at="2026-11-27 10:20",
            ),
        )


def addresses(desk: Desk) -> None:
    """Write what a cluster's addresses should not be, and what they should."""
    store = "ADCTL_DATABASE_URL=postgresql://adctl@127.0.0.1:1/adctl"
    more, mlflow = "ADCTL_STORAGE_URL=/there", "MLFLOW_TRACKING_URI=http://127.0.0.1:1"
    for name, lines in {
        "sqlite": ("ADCTL_DATABASE_URL=sqlite:////x.db", more),
        "no-mlflow": (store, more),
        "no-database": (store, more, mlflow),
        "whole": (store, more, mlflow, "MLFLOW_BACKEND_STORE_URI=postgresql://mlflow@127.0.0.1:1/mlflow"),
    }.items():
        (desk.images / f"{name}.env").write_text("\n".join(lines) + "\n")


def no_store(desk: Desk) -> None:
    (desk.home / "store.db").unlink()


def no_tables(desk: Desk) -> None:
    no_store(desk)
    sqlite3.connect(desk.home / "store.db").close()
    with closing(sqlite3.connect(desk.home / "store.db")) as connection, connection:
        connection.execute("CREATE TABLE other (x)")


def rubbish(desk: Desk) -> None:
    (desk.home / "store.db").write_bytes(b"no database at all " * 100)


def cut_short(desk: Desk) -> None:
    file = desk.home / "store.db"
    file.write_bytes(file.read_bytes()[:5000])


def empty_store(desk: Desk) -> None:
    (desk.home / "store.db").write_bytes(b"")


def only_test(desk: Desk) -> None:
    train = desk.images / "parts" / "screw" / "train"
    train.rename(desk.images / "parts" / "screw" / "training")


def nothing_good(desk: Desk) -> None:
    for file in (desk.images / "parts" / "screw" / "train" / "good").iterdir():
        file.unlink()


def two_datasets(desk: Desk) -> None:
    (desk.images / "toys" / "screw" / "train" / "good").mkdir(parents=True)


TABLE = [
    m("submit train -m toy", 2, "--data DIR", "--category"),
    m("submit train -m toy --dataset parts", 2, "--category"),
    m("submit train -m toy --data {missing}", 2, "missing", "does not exist"),
    m("submit train -m toy --data {empty}", 2, "empty", "train/good"),
    m("submit train -m toy --data {file}", 2, "notes.txt"),
    m("submit train -m toy --data {parts}", 2, "parts", "a dataset", "screw"),
    m("submit train -m toy --data {screw}/train", 2, "train"),
    m("submit train -m toy --data {screw}/train/good/0.png", 2, "0.png"),
    m("submit train -m toy --data {screw}", 2, "screw", before=only_test),
    m("submit train -m toy --data {screw}", 2, "screw", "train/good", before=nothing_good),
    m("submit train -m toy --data {screw} --category screw", 2, "--data", "--category", "not both"),
    m("submit train -m toy --data ''", 2, "--data is empty", "variable"),
    m("submit train -m toy -d parts -c scrw", 2, "scrw", "did you mean screw?"),
    m("submit train -m toy -d prats -c screw", 2, "prats", "did you mean parts?"),
    m("submit train -m toy -c scrw", 2, "scrw", "did you mean screw?", ADCTL_DATA="{images}"),
    m("submit train -m toy -c screw", 2, "several", "--dataset", before=two_datasets, ADCTL_DATA="{images}"),
    m("submit train -m toy -c screw -d ..", 2, "..", ADCTL_DATA="{images}"),
    m("submit train -m toy --preset paper --data {screw}/../bolt", 2, "bolt"),
    m("data check {missing}", 2, "missing"),
    m("data push {missing}", 2, "missing does not exist"),
    m("data push", 2, "say which images"),
    m("data push {empty}", 2, "holds no pictures"),
    m("data push --dataset parts --category skrew", 2, "no category named 'skrew'"),
    m("data pull", 2, "FINGERPRINT"),
    m("data pull abcd", 2, "no pushed category or fingerprint named 'abcd'", "there are none yet"),
    m("data drop parts/screw", 2, "no pushed category or fingerprint named 'parts/screw'"),
    m("predict {job} {screw}/train/good --push", 2, "--push is about a job; add --submit"),
    m("config", 2, "ADCTL_FETCH_GB must be a number of gigabytes, not 'lots'", ADCTL_FETCH_GB="lots"),
    m("data check {file}", 2, "notes.txt"),
    m("data synth {screw}", 2, "screw"),
    m("data synth {file}", 2, "notes.txt"),
    m("data synth {out} --size 3", 2, "size", "3"),
    m("data synth {out} --train 0", 2, "train", "0"),
    m("data synth {out} --seed -1", 2, "--seed", "-1"),
    m("data synth {file}/deeper", 2, "notes.txt"),
    m("data prepare visa {missing} {out}", 2, "missing"),
    m("data prepare visa {parts} {out}", 2, "parts", "VisA"),
    m("list", 4, "no store", "adctl up", before=no_store),
    m("show @last", 4, "no store", "adctl up", before=no_store),
    m("submit train -m toy --data {screw}", 4, "no store", "adctl up", before=no_store),
    m("list", 5, "9999", "newer", "upgrade adctl", before=revision("9999")),
    m("list", 5, "schema 0001", "adctl db upgrade", before=revision("0001")),
    m("submit train -m toy --data {screw}", 5, "0001", "adctl db upgrade", before=revision("0001")),
    m("cancel {queued}", 5, "0001", "adctl db upgrade", before=revision("0001")),
    m("promote {job}", 5, "0001", "adctl db upgrade", before=revision("0001")),
    m("predict {job} {screw}/test/good", 5, "0001", "adctl db upgrade", before=revision("0001")),
    m("ui {job}", 5, "0001", "adctl db upgrade", before=revision("0001")),
    m("worker drain w1", 5, "0001", "adctl db upgrade", before=revision("0001")),
    m("worker start", 5, "0001", "adctl db upgrade", before=revision("0001")),
    m("db check", 5, "0001", "adctl db upgrade", before=revision("0001")),
    m("list", 5, "adctl db upgrade", before=no_tables),
    m("db check", 5, "adctl db upgrade", before=no_tables),
    m("db check", 5, "9999", before=revision("9999")),
    m("db upgrade", 3, "being moved to postgresql://", "migrate cancel", before=sealed),
    m("list", 3, "being moved to postgresql://", "migrate run", before=sealed),
    m("submit train -m toy --data {screw}", 3, "being moved", before=sealed),
    m("worker start", 3, "being moved", before=sealed),
    m("migrate check {missing}", 2, "cannot read", "adctl cluster env --owner"),
    m("migrate run {images}", 2, "cannot read", "directory"),
    m("migrate check {file}", 2, "does not set ADCTL_DATABASE_URL", "adctl cluster env --owner"),
    m("migrate run {images}/sqlite.env", 2, "must be a cluster's store", before=addresses),
    m("migrate run {images}/no-mlflow.env", 2, "MLFLOW_TRACKING_URI", "http://HOST", before=addresses),
    m("migrate run {images}/no-database.env", 2, "MLFLOW_BACKEND_STORE_URI", before=addresses),
    m("migrate cancel {images}/whole.env", 2, "is not being moved", before=addresses),
    m("migrate run {images}/whole.env", 2, "not in ADCTL_HOME", ADCTL_DATABASE_URL="sqlite:////tmp/x.db"),
    m("migrate restore {empty}", 2, "no whole copy", "backup.json"),
    m("migrate restore {missing} --force", 2, "no whole copy"),
    m("db upgrade", 5, "9999", "upgrade adctl", before=revision("9999")),
    m("list", 7, "store.db", "not a", before=rubbish),
    m("db check", 7, "store.db", before=rubbish),
    m("db upgrade", 7, "store.db", before=rubbish),
    m("db grant", 2, "a store in a file"),
    m("db grant --client", 2, "--client"),
    m("cluster env {empty}", 2, ".env", "adctl cluster init"),
    m("cluster init {file}", 2, "is a file"),
    m("cluster init {empty} --host http://x", 2, "without port or path"),
    m("cluster init {empty} --rotat", 2, "--rotate"),
    m("list", 7, "store.db", before=cut_short),
    m("list", 5, "store.db", "adctl db upgrade", before=empty_store),
    m("list", 2, "ADCTL_HOME", "notes.txt", ADCTL_HOME="{file}"),
    m("db upgrade", 2, "ADCTL_HOME", "notes.txt", ADCTL_HOME="{file}"),
    m("up", 2, "ADCTL_HOME", "notes.txt", ADCTL_HOME="{file}"),
    m("list", 2, "ADCTL_HOME", "notes.txt", ADCTL_HOME="{file}/deeper"),
    m("list", 2, "ADCTL_LEASE", "'soon'", ADCTL_LEASE="soon"),
    m("list", 2, "ADCTL_LEASE", "nan", ADCTL_LEASE="nan"),
    m("list", 2, "ADCTL_TICK", "0", ADCTL_TICK="-1"),
    m("list", 2, "ADCTL_GRACE", "inf", ADCTL_GRACE="inf"),
    m("list", 2, "ADCTL_STORAGE_OPTIONS", "JSON", ADCTL_STORAGE_OPTIONS="anon=true"),
    m("list", 2, "ADCTL_DATABASE_URL", "postgresql://", ADCTL_DATABASE_URL="rubbish"),
    m("list", 2, "mysql", "postgresql", ADCTL_DATABASE_URL="mysql://u@h/adctl"),
    m("list", 5, "other.db", "adctl db upgrade", ADCTL_DATABASE_URL="sqlite:///{images}/other.db"),
    m("ui", 4, "do not run", "adctl up"),
    m("ui {job}", 4, "no page of job aaaa000000000001", "succeeded", "adctl up"),
    m("ui {queued}", 4, "no page of job bbbb000000000001", "once the job has begun"),
    m("ui", 2, "MLFLOW_TRACKING_URI", "databricks", MLFLOW_TRACKING_URI="databricks://there"),
    m("list", 4, "127.0.0.1:9", ADCTL_DATABASE_URL="postgresql://u:secret@127.0.0.1:9/adctl"),
    m("logs {job}", 2, "ADCTL_STORAGE_URL", "gopher", ADCTL_STORAGE_URL="gopher://there"),
]


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row.call} {dict(row.env) or ''}".strip())
def test_a_mistake_about_a_place_names_it_and_leaves_it_alone(row: Mistake, mistaken) -> None:
    mistaken(row)


def test_a_password_in_an_address_is_not_shown(said, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ADCTL_DATABASE_URL", "postgresql://u:secret@127.0.0.1:9/adctl")

    assert "secret" not in said(["list"])[2]
