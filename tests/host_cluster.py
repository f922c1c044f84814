"""A cluster of hosts that have nothing in common but a network: store and broker, storage, MLflow, workers.

The test itself is the client, on a host of its own. What they share all the same is the disk of this machine,
which is used for logs that tests read, and to tell that a process has got somewhere.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import netns
import services
from running_platform import Seat

LEAST = 2  # workers' hosts


@dataclass
class Hosts:
    """The hosts, and the environment that names the services on them."""

    net: netns.Net
    folder: Path
    store: netns.Host  # and broker
    storage: netns.Host
    mlflow: netns.Host
    environment: Mapping[str, str]
    servers: tuple[tuple[str, int], ...]  # of store and storage
    new_database: Callable[[], str]  # make another one
    workers: list[netns.Host] = field(default_factory=list)  # the one longest without a new worker first

    def worker_host(self) -> netns.Host:
        """Make another host for a worker."""
        host = self.net.add(f"worker-{len(self.workers) + 1}")
        self.workers.append(host)
        return host

    def seat(self) -> Seat:
        """Return a host without a worker, and never the one that got the last."""
        while len(self.workers) < LEAST:
            self.worker_host()
        free = next((host for host in self.workers[:-1] if not host.busy()), None)
        host = free or self.worker_host()
        self.workers.remove(host)
        self.workers.append(host)
        return self.seat_on(host)

    def seat_on(self, host: netns.Host) -> Seat:
        """Return what starts workers on a host, with a home of their own."""
        home = self.folder / host.name
        home.mkdir(parents=True, exist_ok=True)
        return Seat(tuple(host.command()), {"ADCTL_HOME": str(home), "ADCTL_NODE": host.name})

    def heal(self) -> None:
        """Let everything pass everywhere."""
        for host in self.net.hosts:
            host.heal()
            host.hurry()


@contextmanager
def cluster_of_hosts(folder: Path) -> Iterator[Hosts]:
    """Give hosts with PostgreSQL and an S3 storage; skip where there can be none.

    This thread lives on the client's, until the end.
    """
    # It takes a second to load.
    from contract.storage.s3_server import CREDENTIALS, make_bucket, s3_server

    if why := netns.why_not():
        pytest.skip(why)
    with ExitStack() as stack:
        net = stack.enter_context(netns.network("client"))
        store, storage, mlflow = (net.add(name) for name in ("store", "storage", "mlflow"))
        with store.inside():
            postgres = stack.enter_context(services.postgres_server(address=store.address))
        with storage.inside():
            endpoint = stack.enter_context(s3_server(storage.address))
        make_bucket(endpoint, "bucket")
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        for name, value in CREDENTIALS.items():
            patch.setenv(name, value)
        environment = {
            "ADCTL_DATABASE_URL": postgres.new_database(),
            "ADCTL_STORAGE_URL": f"s3://bucket/adctl?endpoint_url={endpoint}",
            "ADCTL_NODE": "client",
            "MLFLOW_TRACKING_URI": f"http://{mlflow.address}:5000",  # where nobody listens, unless told to
            **CREDENTIALS,
        }
        servers = ((store.address, postgres.port), (storage.address, int(endpoint.rsplit(":", 1)[1])))
        yield Hosts(net, folder, store, storage, mlflow, environment, servers, postgres.new_database)
