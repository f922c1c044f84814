"""What a spec, a list, a link or a name in the storage says is no way out of the folders meant for it."""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ad_platform import settings as environment
from ad_platform.errors import CorruptBundle, InvalidData, InvalidValue
from ad_platform.roots import Roots
from ad_platform.specs import DatasetRef, JobSpec, PictureAsk
from ad_platform.states import JobKind
from ad_platform.storage.bundles import BundleStorage
from ad_platform.storage.engine import open_storage
from ad_platform.storage.folder import FolderBlobs
from ad_platform.storage.layout import listing_path
from ad_platform.storage.listings import Listing, read_listing, write_listing
from ad_workers.images import open_images
from ad_workers.kinds.predict import _pictures
from desks import Desks, make_category, spec_of
from pushed_cases import Pictures

CLUSTER = "postgresql://adctl@127.0.0.1:1/adctl"


@pytest.fixture
def desks(tmp_path: Path) -> Iterator[Desks]:
    made = Desks(tmp_path / "desks")
    yield made
    made.close()


def confined(desks: Desks, spec: JobSpec, root: Path):
    desk, _ = desks.open(spec)
    desk.assignment = replace(desk.assignment, roots=Roots.of([root]).folders)
    return desk


def linked(place: Path, target: Path) -> None:
    place.unlink()
    place.symlink_to(target)


def test_on_a_cluster_the_roots_are_the_data_folder_and_what_is_named_and_for_one_person_anywhere(
    tmp_path: Path,
) -> None:
    home = {"ADCTL_HOME": str(tmp_path), "ADCTL_DATA": str(tmp_path / "data")}
    shared = {**home, "ADCTL_DATABASE_URL": CLUSTER}
    assert environment.load(home).roots.hold("/etc")
    assert environment.load(shared).roots.folders == (str(tmp_path / "data"),)
    more = {"ADCTL_DATA_ROOTS": os.pathsep.join(("/mnt/a", "", "/mnt/b"))}
    assert environment.load({**shared, **more}).roots.folders == (str(tmp_path / "data"), "/mnt/a", "/mnt/b")
    assert not environment.load({**home, **more}).roots.hold("/etc")
    assert environment.load({**shared, "ADCTL_DATA_ROOTS": "/"}).roots.hold("/etc")


@pytest.mark.parametrize(
    "path", ["{root}/../private", "/etc", "{root}-private", "", "file:///etc", "data:,x"]
)
def test_a_folder_outside_the_roots_is_not_held(tmp_path: Path, path: str) -> None:
    (tmp_path / "data").mkdir()
    roots = Roots.of([tmp_path / "data"])
    assert roots.hold(tmp_path / "data" / "mvtec")
    assert not roots.hold(path.format(root=tmp_path / "data"))


def test_a_job_reads_a_category_below_the_roots_and_none_beside_them(desks: Desks, tmp_path: Path) -> None:
    inner, outer = (make_category(tmp_path / place / "d" / "c", test=True) for place in ("data", "private"))
    root = tmp_path / "data"
    assert len(open_images(confined(desks, spec_of(JobKind.TRAIN, inner, "x"), root)).train) == 20
    way_out = f"{root}/../private/d/c"
    for path in (str(outer), way_out):
        spec = spec_of(JobKind.TRAIN, outer, "x")
        desk = confined(desks, replace(spec, dataset=replace(spec.dataset, path=path)), root)
        with pytest.raises(InvalidData, match=r"lies outside .*ADCTL_DATA_ROOTS"):
            open_images(desk)


@pytest.mark.parametrize("place", ["train/good/3.png", "test/cut/1.png", "ground_truth/cut/0_mask.png"])
def test_a_link_out_of_the_roots_is_refused_whatever_lies_there(
    desks: Desks, tmp_path: Path, place: str
) -> None:
    category = make_category(tmp_path / "data" / "d" / "c", test=True)
    private = tmp_path / "private.png"
    private.write_bytes((category / place).read_bytes())
    linked(category / place, private)
    desk = confined(desks, spec_of(JobKind.EVALUATE, category, "x"), tmp_path / "data")
    with pytest.raises(InvalidData, match=f"leads to {private}, which lies outside"):
        open_images(desk)


def test_a_link_that_stays_below_the_roots_is_followed(desks: Desks, tmp_path: Path) -> None:
    real = make_category(tmp_path / "data" / "disk2" / "c", test=False)
    (tmp_path / "data" / "d").mkdir()
    (tmp_path / "data" / "d" / "c").symlink_to(real)
    spec = spec_of(JobKind.TRAIN, tmp_path / "data" / "d" / "c", "x")
    assert len(open_images(confined(desks, spec, tmp_path / "data")).train) == 20


def prediction(desks: Desks, folder: Path, names: list[str]) -> JobSpec:
    mark = write_listing(desks.storage, Listing(folder=str(folder), names=names))
    data = DatasetRef(dataset="d", category="c", fingerprint=mark, path=str(folder))
    ask = PictureAsk(count=len(names))
    return JobSpec(kind=JobKind.PREDICT, detector="x", dataset=data, source="t", pictures=ask)


def test_a_prediction_reads_what_its_list_names_below_the_roots_alone(desks: Desks, tmp_path: Path) -> None:
    good = make_category(tmp_path / "data" / "d" / "c", test=False) / "train" / "good"
    private = make_category(tmp_path / "private", test=False) / "train" / "good"
    root = tmp_path / "data"
    assert len(_pictures(confined(desks, prediction(desks, good, ["0.png", "1.png"]), root), (0, 0))) == 2
    with pytest.raises(InvalidData, match="lies outside"):
        _pictures(confined(desks, prediction(desks, private, ["0.png"]), root), (0, 0))
    linked(good / "1.png", private / "1.png")
    with pytest.raises(InvalidData, match="lies outside"):
        _pictures(confined(desks, prediction(desks, good, ["0.png", "1.png"]), root), (0, 0))


@pytest.mark.parametrize(
    "content",
    [
        b'{"format": 1, "folder": "/data", "node": ""}\n"../etc/x.png"\n',
        b'{"format": 1, "folder": "/data", "node": ""}\n"/etc/x.png"\n',
        b'{"format": 1, "folder": "/data", "node": ""}\n["x"]\n',
        b'{"format": 1, "folder": "data", "node": ""}\n"x.png"\n',
        b'{"format": 1, "folder": "file:///etc", "node": ""}\n"x.png"\n',
        b'{"format": 1, "folder": ["/data"], "node": ""}\n"x.png"\n',
        b'{"format": 2, "folder": "/data", "node": ""}\n["../x.png", "%s", 1]\n' % (b"0" * 64),
        b"[" * 100_000,
        b"\x80\x04cos\nsystem\n",
        b"",
    ],
)
def test_a_list_of_pictures_that_names_something_else_is_refused(desks: Desks, content: bytes) -> None:
    mark = hashlib.sha256(content).hexdigest()
    desks.storage.write(listing_path(mark), content)
    with pytest.raises(CorruptBundle, match="no listing of pictures"):
        read_listing(desks.storage, mark)


def test_a_push_takes_no_file_that_a_link_leads_to_elsewhere(tmp_path: Path) -> None:
    pictures = Pictures(tmp_path)
    try:
        folder = Path(pictures.make().path)
        key = tmp_path / "id_ed25519"
        key.write_bytes(b"the victim's key")
        linked(folder / "train/good/0.png", key)
        with pytest.raises(InvalidData, match=f"leads to {key}, which lies outside"):
            pictures.pusher().category(pictures.ref(folder))
        assert pictures.storage.blobs_written == 0
        pusher = pictures.pusher()
        pusher.settings = replace(pusher.settings, more_roots=(tmp_path,))
        assert pusher.category(pictures.ref(folder)).sent == 4
    finally:
        pictures.close()


@pytest.fixture
def planted(tmp_path: Path) -> Path:
    """Return a storage in which a link leads to a folder of somebody's that must stay as it is."""
    victim = tmp_path / "victim"
    (victim / "a1").mkdir(parents=True)
    (victim / "a1" / "manifest.json").write_text("{}")
    (victim / "secret.txt").write_text("mine")
    (tmp_path / "storage" / "jobs" / "j").mkdir(parents=True)
    (tmp_path / "storage" / "jobs" / "j" / "model").symlink_to(victim)
    (tmp_path / "storage" / "jobs" / "j" / "log.txt").symlink_to(victim / "secret.txt")
    return tmp_path / "storage"


def test_a_link_in_the_storage_is_no_way_to_read_write_or_remove_elsewhere(
    planted: Path, tmp_path: Path
) -> None:
    storage, victim = BundleStorage(FolderBlobs(planted)), tmp_path / "victim"
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "x").write_text("x")
    for attack in (
        lambda: storage.read("jobs/j/model/secret.txt"),
        lambda: storage.read("jobs/j/log.txt"),
        lambda: storage.write("jobs/j/model/x.txt", b"x"),
        lambda: storage.publish("jobs/j/model/a1", tmp_path / "made"),
        lambda: storage.remove("jobs/j/model/a1"),
        lambda: storage.delete(["jobs/j/model/secret.txt"]),
        lambda: storage.copy("jobs/j/model/secret.txt", "taken.txt"),
        lambda: storage.fetch("jobs/j/model/a1", tmp_path / "fetched"),
    ):
        with pytest.raises(CorruptBundle, match="link that leads to"):
            attack()
    assert storage.folders("jobs/j") == []
    assert [file.path for file in storage.survey("jobs")] == ["jobs/j/log.txt", "jobs/j/model"]
    storage.remove("jobs/j")  # a collection may meet such a link as well
    assert sorted(path.name for path in victim.rglob("*")) == ["a1", "manifest.json", "secret.txt"]


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:1/x", "ftp://127.0.0.1/x", "data:,x", "zip://x::http://127.0.0.1:1/y", "gopher://x"],
)
def test_a_path_in_the_storage_is_never_an_address(tmp_path: Path, url: str) -> None:
    storage = open_storage(str(tmp_path))
    for attack in (storage.read, storage.manifest, lambda path: storage.write(path, b"")):
        with pytest.raises(InvalidValue, match="not a path below the storage"):
            attack(url)
