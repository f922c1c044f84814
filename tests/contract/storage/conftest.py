"""The storages that every promise is tested on: a folder, fsspec's memory, and S3."""

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from ad_platform.storage import open_storage
from ad_platform.storage.contract import Storage
from contract.storage.s3_server import CREDENTIALS, make_bucket, s3_server


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in CREDENTIALS.items():
            patch.setenv(name, value)
        with s3_server() as endpoint:
            yield endpoint


@pytest.fixture(params=["folder", "memory", "s3"])
def storage_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "folder":
        return str(tmp_path / "a storage")
    if request.param == "memory":
        return f"memory://{secrets.token_hex(6)}"
    endpoint = request.getfixturevalue("s3_endpoint")
    bucket = f"bucket-{secrets.token_hex(6)}"
    make_bucket(endpoint, bucket)
    return f"s3://{bucket}/some/prefix?endpoint_url={endpoint}"


@pytest.fixture
def storage(storage_url: str) -> Storage:
    return open_storage(storage_url)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A local folder with a file, an empty file and a nested one."""
    root = tmp_path / "source"
    (root / "pictures").mkdir(parents=True)
    (root / "state.safetensors").write_bytes(bytes(range(256)) * 5000)
    (root / "state.json").write_text('{"step": 3}')
    (root / "pictures" / "a b.png").write_bytes(b"")
    return root
