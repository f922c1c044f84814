"""A client on a real SQLite store and a queue in memory, and a tiny detector in its catalogue."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ad_migrations import upgrade
from ad_platform import settings as environment
from ad_platform.client import Client
from ad_platform.queue.memory import MemoryQueue
from ad_platform.records import Capabilities, Lease, WorkerRecord
from ad_platform.store.contract import Store
from ad_platform.store.engine import open_store

ENTRY = {
    "name": "toy",
    "summary": "A detector for tests.",
    "paper": {"title": "On toys", "url": "https://example.org"},
    "parallel": ["fit"],
    "schema": {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "image_size": {"type": "integer", "minimum": 8, "maximum": 512, "default": 64},
            "lr": {"type": "number", "exclusiveMinimum": 0, "maximum": 1, "default": 0.001},
            "mode": {"$ref": "#/$defs/Mode", "default": "mean"},
            "layers": {"type": "array", "items": {"type": "integer", "minimum": 1}, "default": [1, 2]},
            "clip": {"anyOf": [{"type": "number", "minimum": 0}, {"type": "null"}], "default": None},
            "flip": {"type": "boolean", "default": False},
            "backbone": {"type": "string", "default": "none"},
        },
        "$defs": {"Mode": {"enum": ["mean", "median"], "type": "string"}},
    },
    "presets": {
        "tiny": {
            "image_size": 16,
            "lr": 0.01,
            "mode": "mean",
            "layers": [1],
            "clip": None,
            "flip": False,
            "backbone": "none",
        },
        "large": {"image_size": 256},
    },
    "published": {
        "paper": {
            "source": "Table 9 of a paper",
            "base": {"image_size": 256, "lr": 0.1},
            "categories": {"Screw": {"lr": 0.2, "mode": "median"}, "carpet": {}},
        }
    },
    "default_preset": "tiny",
    "space": {"lr": {"low": 1e-5, "high": 0.1, "log": True}},
    "stages": [{"name": "fit", "version": 1, "fields": ["image_size", "lr"]}],
}


def migrated(folder: Path) -> Path:
    """Return a store of the newest schema to copy from: migrating takes a while, copying does not."""
    file = folder / "store.db"
    upgrade(f"sqlite:///{file}")
    return file


@dataclass
class Bench:
    """A home of its own with a client, its store and its queue."""

    client: Client
    store: Store
    queue: MemoryQueue
    home: Path

    def online(
        self,
        name: str = "w1",
        *,
        queues: tuple[str, ...] = ("default",),
        detectors: tuple[str, ...] = ("toy",),
    ) -> None:
        """Let a worker be online on this node."""
        node = self.client.settings.node
        worker = WorkerRecord(id=name, node=node, pid=1, slots=1, queues=queues, detectors=detectors)
        self.store.workers.register(worker)

    def lease(self, seconds: float = 60.0) -> Lease:
        """Lease the next job as the worker "w1" of this node."""
        capabilities = Capabilities(worker="w1", node=self.client.settings.node, detectors=frozenset({"toy"}))
        lease = self.store.leases.lease(capabilities, seconds)
        assert lease is not None
        return lease


@contextmanager
def bench(template: Path, folder: Path, database: str = "") -> Iterator[Bench]:
    """Give a fresh home whose store knows the detector "toy"; the store may be a migrated one elsewhere."""
    home = folder / "home"
    home.mkdir()
    shutil.copyfile(template, home / "store.db")
    given = {
        "ADCTL_HOME": str(home),
        "ADCTL_NODE": "here",
        "ADCTL_USER": "kim",
        "ADCTL_DATABASE_URL": database,
    }
    settings = environment.load(given)
    store = open_store(settings.database_url)
    try:
        store.workers.publish({"toy": ENTRY}, "w0")
        queue = MemoryQueue()
        yield Bench(
            Client(settings, store, queue, code={"version": "test"}, pause=lambda seconds: None),
            store,
            queue,
            home,
        )
    finally:
        store.close()


def make_category(root: Path, *, dataset: str = "parts", category: str = "screw", test: bool = True) -> Path:
    """Make a category's folders with files that look like pictures by name."""
    folder = root / dataset / category
    names = ["train/good/0.png", "train/good/1.png"]
    names += ["test/good/0.png", "test/scratch/0.png"] if test else []
    for name in names:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(f"{dataset}/{category}/{name}".encode())
    return folder
