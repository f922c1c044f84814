"""A job at a desk whose node lacks the images takes them from the storage, and reports that it goes on."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ad_detectors.errors import DataError
from ad_platform import settings as environment
from ad_platform.errors import InvalidData
from ad_platform.pictures.pushing import Pusher
from ad_platform.pictures.sets import PictureSet, write_set
from ad_platform.states import Directive, FailureClass, JobKind
from ad_platform.storage.layout import blob_path
from ad_platform.storage.pushed_file import PushedFile
from ad_workers import messages as say
from ad_workers.desk import Desk, Stop
from ad_workers.exits import classify
from ad_workers.images import open_images
from ad_workers.kinds import evaluate, train
from ad_workers.link import Link
from ad_workers.sealing import places
from desks import Desks, make_category, spec_of
from job_stories import Stories


@pytest.fixture
def desks(tmp_path: Path) -> Iterator[Desks]:
    made = Desks(tmp_path)
    yield made
    made.close()


def pushed(desks: Desks, folder: Path) -> None:
    stories = Stories(desks.folder)
    settings = environment.load({"ADCTL_HOME": str(desks.folder), "ADCTL_USER": "kim"})
    spec = spec_of(JobKind.TRAIN, folder, "pixel_mean")
    Pusher(stories.store, desks.storage, settings).category(spec.dataset)
    stories.store.close()


def desk_of(desks: Desks, folder: Path, kind: JobKind = JobKind.TRAIN, **more: object) -> tuple[Desk, Link]:
    """Return a desk whose images are not on its node but in the storage."""
    spec = spec_of(kind, folder, "pixel_mean", config={"image_size": 16}, **more)
    pushed(desks, folder)
    shutil.move(folder, folder.with_name("elsewhere"))
    desk, link = desks.open(spec)
    desk.assignment = replace(desk.assignment, pushed=True, fetch_limit=10**8)
    return desk, link


def test_a_fit_and_its_evaluation_take_their_images_from_the_storage(desks: Desks, tmp_path: Path) -> None:
    folder = make_category(tmp_path / "d" / "c", test=True)
    desks.job = "t"
    desk, link = desk_of(desks, folder)
    fitted = train.run(desk)
    said = [one.message for one in link.receive() if isinstance(one, say.Report)]
    assert any(words.startswith("fetching images: 0.0 of") for words in said)
    assert desk.pictures is not None
    assert str(desk.pictures) in places(
        desk.assignment, desk.spec, desk.pictures
    )  # a detector must not look at these either

    desks.job = "e"
    shutil.move(folder.with_name("elsewhere"), folder)
    desk, _ = desk_of(desks, folder, JobKind.EVALUATE, source="t")
    desk.assignment = replace(desk.assignment, source=str(fitted.result["bundle"]))
    done = evaluate.run(desk)
    assert desks.read(done.result["bundle"], "results.csv").splitlines()[1].startswith("c,")


def test_images_of_this_node_are_taken_if_they_are_right_and_else_those_of_the_storage(
    desks: Desks, tmp_path: Path
) -> None:
    folder = make_category(tmp_path / "d" / "c", test=False)
    spec = spec_of(JobKind.TRAIN, folder, "pixel_mean")
    pushed(desks, folder)
    desk, _ = desks.open(spec)
    desk.assignment = replace(desk.assignment, pushed=True, fetch_limit=10**8)
    assert open_images(desk).path == folder
    (folder / "train/good/0.png").unlink()
    found = open_images(desk)
    assert found.path != folder
    assert len(found.train) == 20
    assert (found.dataset, found.category) == ("d", "c")
    desk.assignment = replace(desk.assignment, pushed=False)
    with pytest.raises(InvalidData, match="changed since the job was submitted"):
        open_images(desk)
    shutil.rmtree(folder)
    with pytest.raises(DataError, match="does not exist"):
        open_images(desk)


def test_what_is_broken_in_the_storage_or_gone_is_a_failure_of_data(desks: Desks, tmp_path: Path) -> None:
    desk, _ = desk_of(desks, make_category(tmp_path / "d" / "c", test=False))
    path = desks.storage.survey("data/blobs")[0].path
    desks.storage.write(path, b"?")
    with pytest.raises(InvalidData, match="is broken in the storage") as broken:
        open_images(desk)
    assert classify(broken.value) is FailureClass.DATA
    desks.storage.delete([f"data/sets/{desk.spec.dataset.fingerprint}.json"])
    with pytest.raises(InvalidData, match="push them again where they lie"):
        open_images(desk)


def test_a_cancel_is_heard_while_images_come(
    desks: Desks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk, link = desk_of(desks, make_category(tmp_path / "d" / "c", test=False))
    link.send(say.Order(directive=Directive.CANCEL))
    with pytest.raises(Stop):
        open_images(desk)


def test_what_this_disk_damaged_is_fetched_again(
    desks: Desks, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    desk, _ = desk_of(desks, make_category(tmp_path / "d" / "c", test=False))
    folder = open_images(desk).path
    (folder / "train/good/7.png").write_bytes(b"?")
    assert open_images(desk).path == folder
    assert "fetches again what is broken on this machine: train/good/7.png" in capsys.readouterr().out


def test_a_list_that_names_no_pictures_of_the_job_is_not_believed(desks: Desks, tmp_path: Path) -> None:
    desk, _ = desk_of(desks, make_category(tmp_path / "d" / "c", test=False))
    files = [PushedFile("train/good/0.png", "0" * 64, 1)]
    mark = desk.spec.dataset.fingerprint
    write_set(desks.storage, PictureSet(fingerprint=mark, dataset="d", category="c", files=files))
    with pytest.raises(Exception, match="lists other pictures"):
        open_images(desk)
    assert desks.storage.read(blob_path("0" * 64)) is None
