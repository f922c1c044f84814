"""What every storage promises about bundles, blobs and names."""

import hashlib
import json
from pathlib import Path

import pytest

from ad_platform.errors import CorruptBundle, InvalidValue
from ad_platform.storage import open_storage
from ad_platform.storage.bundles import BundleStorage
from ad_platform.storage.contract import Storage
from contract.storage.faults import Died, FaultyBlobs

PREFIX = "jobs/j1/checkpoints/000000003-a1"


def contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def stored(storage: Storage, name: str) -> str:
    """The path of a bundle's file in the storage."""
    assert isinstance(storage, BundleStorage)
    (path,) = [path for path in storage._blobs.tree(PREFIX) if path.endswith(name)]
    return path


def test_a_published_bundle_comes_back_byte_for_byte(storage: Storage, folder: Path, tmp_path: Path) -> None:
    published = storage.publish(PREFIX, folder, {"step": 3, "done": ["denoiser"]})
    fetched = storage.fetch(PREFIX, tmp_path / "out")
    assert contents(tmp_path / "out") == contents(folder)
    assert fetched == published == storage.manifest(PREFIX)
    assert published.meta == {"step": 3, "done": ["denoiser"]}


def test_some_files_of_a_bundle_come_alone(storage: Storage, folder: Path, tmp_path: Path) -> None:
    published = storage.publish(PREFIX, folder)
    name = sorted(contents(folder))[0]
    assert storage.fetch(PREFIX, tmp_path / "out", only=[name, "nothing"]) == published
    assert contents(tmp_path / "out") == {name: contents(folder)[name]}


def test_a_manifest_lists_hash_and_size_of_every_file(storage: Storage, folder: Path) -> None:
    manifest = storage.publish(PREFIX, folder)
    expected = contents(folder)
    assert manifest.files == {name: hashlib.sha256(data).hexdigest() for name, data in expected.items()}
    assert manifest.sizes == {name: len(data) for name, data in expected.items()}
    assert manifest.size == sum(map(len, expected.values()))
    assert len(manifest.sha256) == 64


def test_a_guard_that_says_no_keeps_a_bundle_from_coming_to_be(storage: Storage, folder: Path) -> None:
    def refuse() -> None:
        raise Died

    with pytest.raises(Died):
        storage.publish(PREFIX, folder, guard=refuse)
    assert storage.manifest(PREFIX) is None
    before = storage.publish(PREFIX, folder, {"step": 1})
    with pytest.raises(Died):
        storage.publish(PREFIX, folder, {"step": 2}, refuse)
    assert storage.manifest(PREFIX) == before


def test_one_file_of_a_bundle_can_be_read_alone_and_is_verified(storage: Storage, folder: Path) -> None:
    storage.publish(PREFIX, folder)
    for name, content in contents(folder).items():
        assert storage.file(PREFIX, name) == content
    assert storage.file(PREFIX, "no-such-file") is None
    name = next(iter(contents(folder)))
    storage.write(stored(storage, name), b"something else")
    with pytest.raises(CorruptBundle, match=f"{name} has changed"):
        storage.file(PREFIX, name)
    storage.remove(PREFIX)
    with pytest.raises(CorruptBundle, match="has no manifest"):
        storage.file(PREFIX, name)


def test_another_process_sees_what_was_published(storage_url: str, folder: Path) -> None:
    writer, reader = open_storage(storage_url), open_storage(storage_url)
    assert reader.bundles("jobs/j1/checkpoints") == []
    writer.publish(PREFIX, folder)
    assert reader.bundles("jobs/j1/checkpoints") == [PREFIX]


def test_a_bundle_without_a_manifest_does_not_exist(storage: Storage, folder: Path, tmp_path: Path) -> None:
    assert isinstance(storage, BundleStorage)
    for write in range(1, 5):  # three files and the manifest
        dying = BundleStorage(FaultyBlobs(storage._blobs, die_at=write))
        with pytest.raises(Died):
            dying.publish(PREFIX, folder)
        assert storage.manifest(PREFIX) is None
        assert storage.bundles("jobs/j1/checkpoints") == []
    assert storage.remains("jobs/j1/checkpoints") == [PREFIX]
    with pytest.raises(CorruptBundle, match=r"000000003-a1 has no manifest\.json"):
        storage.fetch(PREFIX, tmp_path / "out")


def test_publishing_again_after_an_interruption_starts_over(storage: Storage, folder: Path) -> None:
    assert isinstance(storage, BundleStorage)
    with pytest.raises(Died):
        BundleStorage(FaultyBlobs(storage._blobs, die_at=3)).publish(PREFIX, folder)
    (folder / "state.json").write_text('{"step": 4}')
    manifest = storage.publish(PREFIX, folder)
    assert manifest.files["state.json"] == hashlib.sha256(b'{"step": 4}').hexdigest()
    assert storage.remains("jobs/j1/checkpoints") == []


def test_a_replaced_bundle_is_the_old_one_until_it_is_the_new_one(
    storage: Storage, folder: Path, tmp_path: Path
) -> None:
    assert isinstance(storage, BundleStorage)
    old = storage.publish(PREFIX, folder)
    (folder / "state.json").write_text("new")
    (folder / "pictures" / "a b.png").unlink()
    for write in range(1, 4):
        with pytest.raises(Died):
            BundleStorage(FaultyBlobs(storage._blobs, die_at=write)).publish(PREFIX, folder)
        assert storage.fetch(PREFIX, tmp_path / f"out{write}") == old
    new = storage.publish(PREFIX, folder)
    assert storage.fetch(PREFIX, tmp_path / "new") == new
    assert contents(tmp_path / "new") == contents(folder)


def test_a_replaced_bundle_leaves_no_file_of_the_old_one(storage: Storage, folder: Path) -> None:
    assert isinstance(storage, BundleStorage)
    storage.publish(PREFIX, folder)
    storage.publish(PREFIX, folder)
    assert len(storage._blobs.tree(PREFIX)) == 4


def test_a_missing_file_is_named(storage: Storage, folder: Path, tmp_path: Path) -> None:
    assert isinstance(storage, BundleStorage)
    storage.publish(PREFIX, folder)
    storage._blobs.delete([stored(storage, "state.json")])
    with pytest.raises(CorruptBundle, match=r"a1 is broken: state\.json is missing"):
        storage.fetch(PREFIX, tmp_path / "out")


@pytest.mark.parametrize("change", [lambda data: data[:-1], lambda data: b"X" + data[1:], lambda data: b""])
def test_a_truncated_or_altered_file_is_named(storage: Storage, folder: Path, tmp_path: Path, change) -> None:
    assert isinstance(storage, BundleStorage)
    storage.publish(PREFIX, folder)
    path = stored(storage, "state.safetensors")
    storage._blobs.put(path, change(storage._blobs.get(path)))
    with pytest.raises(CorruptBundle, match=r"state\.safetensors has changed"):
        storage.fetch(PREFIX, tmp_path / "out")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"files": {"../x": {}}}', b'{"files": 3}'])
def test_an_unreadable_manifest_is_a_broken_bundle(storage: Storage, content: bytes) -> None:
    storage.write(f"{PREFIX}/manifest.json", content)
    with pytest.raises(CorruptBundle, match=r"its manifest\.json cannot be read"):
        storage.manifest(PREFIX)


@pytest.mark.parametrize("name", ["../evil", "/tmp/evil", "a/../../evil", "..\\evil"])
def test_a_forged_manifest_cannot_write_outside_the_folder(
    storage: Storage, folder: Path, tmp_path: Path, name: str
) -> None:
    storage.publish(PREFIX, folder)
    manifest = storage.read(f"{PREFIX}/manifest.json")
    assert manifest is not None
    forged = manifest.replace(b'"state.json"', b'"' + name.replace("\\", "\\\\").encode() + b'"')
    # As one of the first format: it carries no hash of its own that the forger would have to make anew.
    storage.write(f"{PREFIX}/manifest.json", forged.replace(b'"format": 2', b'"format": 1'))
    with pytest.raises(CorruptBundle):
        storage.fetch(PREFIX, tmp_path / "out")
    assert not (tmp_path / "evil").exists()


def test_a_manifest_that_differs_in_a_single_bit_is_broken(folder: Path, tmp_path: Path) -> None:
    storage = open_storage(str(tmp_path / "storage"))
    storage.publish(PREFIX, folder, {"step": 3, "segments": [{"path": "a", "first": 1}]})
    content = storage.read(f"{PREFIX}/manifest.json")
    assert content is not None
    file = tmp_path / "storage" / PREFIX / "manifest.json"
    for place in range(len(content)):
        spoiled = bytearray(content)
        spoiled[place] ^= 1 << place % 8
        file.write_bytes(spoiled)
        with pytest.raises(CorruptBundle, match=r"000000003-a1 is broken: its manifest\.json cannot be read"):
            storage.manifest(PREFIX)
        file.write_bytes(content[:place])
        with pytest.raises(CorruptBundle):
            storage.manifest(PREFIX)
    file.write_bytes(content)
    assert storage.manifest(PREFIX) is not None


def test_a_manifest_of_the_first_format_is_read_and_one_of_a_later_one_refused(
    storage: Storage, folder: Path, tmp_path: Path
) -> None:
    published = storage.publish(PREFIX, folder, {"step": 3})
    content = storage.read(f"{PREFIX}/manifest.json")
    assert content is not None
    value = {name: each for name, each in json.loads(content).items() if name != "sha256"}
    storage.write(f"{PREFIX}/manifest.json", json.dumps({**value, "format": 1}).encode())
    assert storage.fetch(PREFIX, tmp_path / "out").files == published.files
    storage.write(f"{PREFIX}/manifest.json", json.dumps({**value, "format": 3}).encode())
    with pytest.raises(CorruptBundle, match="format 3 is not known to this version"):
        storage.manifest(PREFIX)


@pytest.mark.parametrize("path", ["", "/etc/x", "..", "a/../b", "a//b", "./a", "a/", "a\\b", "c:/x", "a\0b"])
def test_no_path_leads_out_of_the_storage(storage: Storage, folder: Path, path: str) -> None:
    for use in (
        lambda: storage.publish(path, folder),
        lambda: storage.manifest(path),
        lambda: storage.write(path, b""),
        lambda: storage.read(path),
        lambda: storage.names(path),
        lambda: storage.bundles(path),
        lambda: storage.remove(path),
    ):
        with pytest.raises(InvalidValue, match="not a path below the storage"):
            use()


def test_publishing_a_folder_that_is_not_there_says_so(storage: Storage, tmp_path: Path) -> None:
    with pytest.raises(InvalidValue, match="there is no folder"):
        storage.publish(PREFIX, tmp_path / "nowhere")


def test_bundles_lists_only_complete_ones_directly_below(storage: Storage, folder: Path) -> None:
    for name in ("b", "a", "c"):
        storage.publish(f"jobs/j1/checkpoints/{name}", folder)
    storage.write("jobs/j1/checkpoints/stray", b"")
    storage.write("jobs/j1/checkpoints/d/half", b"")
    assert [prefix.rsplit("/")[-1] for prefix in storage.bundles("jobs/j1/checkpoints")] == ["a", "b", "c"]
    assert storage.bundles("jobs/j1") == []
    assert storage.bundles("jobs/none") == []


def test_a_blob_comes_back_and_writing_it_again_replaces_it(storage: Storage) -> None:
    assert storage.write("jobs/j/x.txt", b"one") == hashlib.sha256(b"one").hexdigest()
    storage.write("jobs/j/x.txt", b"two")
    assert storage.read("jobs/j/x.txt") == b"two"


def test_a_blob_that_is_not_there_is_none(storage: Storage) -> None:
    storage.write("jobs/j/x.txt", b"one")
    assert storage.read("jobs/j/y.txt") is None
    assert storage.read("jobs/j") is None
    assert storage.read("jobs/j/x.txt/deeper") is None


def test_names_lists_blobs_directly_below_sorted(storage: Storage) -> None:
    for path in ("jobs/j/logs/a1/000001.txt", "jobs/j/logs/a1/000000.txt", "jobs/j/logs/a1/more/x"):
        storage.write(path, b"1")
    assert storage.names("jobs/j/logs/a1") == ["jobs/j/logs/a1/000000.txt", "jobs/j/logs/a1/000001.txt"]
    assert storage.names("jobs/j/logs/a2") == []


def test_remove_takes_everything_below_and_nothing_beside(storage: Storage, folder: Path) -> None:
    storage.publish(PREFIX, folder)
    storage.publish(f"{PREFIX}0", folder)
    storage.remove(PREFIX)
    storage.remove(PREFIX)
    assert storage.manifest(PREFIX) is None
    assert storage.bundles("jobs/j1/checkpoints") == [f"{PREFIX}0"]
    storage.remove("jobs/j1")
    assert storage.bundles("jobs/j1/checkpoints") == []


def test_an_empty_folder_is_a_bundle_too(storage: Storage, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    storage.publish("stages/0123456789abcdef", tmp_path / "empty")
    assert storage.fetch("stages/0123456789abcdef", tmp_path / "out").files == {}
