"""Pictures are pushed into every kind of storage and fetched from it, whole and each once."""

from dataclasses import replace
from pathlib import Path

from ad_platform.pictures.fetched import FetchedSets
from ad_platform.pictures.fetching import Fetcher
from ad_platform.pictures.pushing import stored
from ad_platform.pictures.sets import read_set
from ad_platform.storage.contract import Storage
from pushed_cases import Pictures


def test_what_is_pushed_is_fetched_as_it_was(storage: Storage, tmp_path: Path) -> None:
    home = Pictures(tmp_path)
    try:
        ref = home.make(files={f"train/good/ä {n}.png": bytes([n]) * 1000 * n for n in range(5)})
        pusher = replace(home.pusher(), storage=storage)
        assert pusher.category(ref).sent == 5
        assert pusher.category(ref).sent == 0
        found = read_set(storage, ref.fingerprint)
        assert found is not None
        sizes = {file.sha256: file.size for file in found.files}
        assert stored(storage, sizes) == sizes
        fetcher = Fetcher(FetchedSets(tmp_path / "fetched", 10**6), storage)
        assert home.mark(fetcher.fetch(ref.fingerprint, found.files)) == ref.fingerprint
    finally:
        home.close()
