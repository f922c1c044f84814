"""Open the storage that a URL names."""

import json
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from ad_platform.errors import InvalidValue
from ad_platform.specs import Json
from ad_platform.storage.bundles import BundleStorage
from ad_platform.storage.contract import Storage
from ad_platform.storage.folder import FolderBlobs

if TYPE_CHECKING:
    from ad_platform.storage.remote import RemoteBlobs


def open_storage(url: str) -> Storage:
    """Open a folder ("/data/adctl", "file:///data/adctl") or an fsspec URL ("s3://bucket/prefix").

    Options of the filesystem may follow as a query, each value JSON or plain text:
    "s3://bucket/prefix?endpoint_url=http://minio:9000". Nothing is contacted before the first use.
    Raises InvalidValue for an address that is none and MissingExtra for a filesystem not installed.
    """
    if not url:
        raise InvalidValue("ADCTL_STORAGE_URL is empty; give a folder or a URL such as s3://bucket/prefix")
    protocol, mark, rest = url.partition("://")
    if not mark or protocol in ("file", "local"):
        return BundleStorage(FolderBlobs(Path(rest if mark else url).expanduser().absolute()))
    return BundleStorage(remote_blobs(url))


def remote_blobs(url: str) -> "RemoteBlobs":
    """Open the files of an fsspec URL; raises as `open_storage` does."""
    # fsspec costs a tenth of a second that the embedded mode need not pay.
    from ad_platform.storage.remote import RemoteBlobs

    address, _, query = url.partition("?")
    return RemoteBlobs(address, _options(query))


def _options(query: str) -> dict[str, Json]:
    options: dict[str, Json] = {}
    for name, text in parse_qsl(query, keep_blank_values=True):
        try:
            options[name] = json.loads(text)
        except json.JSONDecodeError:
            options[name] = text
    return options
