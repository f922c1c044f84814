"""What can be resumed or reused: bundles, blobs and log chunks in a folder or an object store."""

from ad_platform.storage.engine import open_storage

__all__ = ["open_storage"]
