"""What lies in a broker for nobody: the queues of workers that are gone; and what time it is there."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from kombu.exceptions import KombuError
from kombu.exceptions import OperationalError as BrokerError
from redis.exceptions import RedisError

from ad_platform.addresses import shown
from ad_platform.errors import BrokerDown
from ad_platform.queue.celery import CeleryQueue, own_queue, queue_name

_OWN = queue_name(own_queue(""))
_BINDINGS = ("_kombu.binding.", "_kombu.binding_permanent.")  # kombu's notes of who is bound to a queue
_STEP = "\x06\x16"  # between a queue's name and its step, in the names of kombu's lists
_PAGE = 1000


def own_queues(url: str) -> Mapping[str, int]:
    """Return the workers that have a queue of their own, with its wake-ups; raise BrokerDown."""
    found: dict[str, int] = {}
    with _client(url) as client:
        for key in client.scan_iter(match=f"*{_OWN}*", count=_PAGE):
            name = key.decode(errors="replace") if isinstance(key, bytes) else str(key)
            worker = _worker(name)
            if worker:
                held = 0 if name.startswith(_BINDINGS) else int(client.llen(key))
                found[worker] = found.get(worker, 0) + held
    return found


def remove_own_queue(url: str, worker_id: str) -> None:
    """Remove the queue of a worker that is gone; one that comes back makes it anew. Raises BrokerDown."""
    queue = queue_name(own_queue(worker_id))
    with _client(url) as client:
        keys = [queue, *(binding + queue for binding in _BINDINGS)]
        keys += list(client.scan_iter(match=f"{_escaped(queue)}{_STEP}*", count=_PAGE))
        client.delete(*keys)


def broker_time(url: str) -> float:
    """Return the broker's clock in seconds since the epoch; raise BrokerDown."""
    with _client(url) as client:
        seconds, micros = client.time()
        return float(seconds) + float(micros) / 1e6


@contextmanager
def _client(url: str) -> Iterator[Any]:
    try:
        with CeleryQueue(url).app.connection_for_read() as connection:
            connection.ensure_connection(max_retries=1, timeout=2, interval_start=0, interval_step=0)
            yield connection.default_channel.client
    except (BrokerError, KombuError, RedisError, OSError, ValueError) as error:
        raise BrokerDown(f"the broker at {shown(url)} does not answer: {error}") from error


def _worker(key: str) -> str:
    """Return the worker whose queue a key belongs to; "" where it is none of ours."""
    for binding in _BINDINGS:
        key = key.removeprefix(binding)
    name = key.partition(_STEP)[0]
    return name.removeprefix(_OWN) if name.startswith(_OWN) else ""


def _escaped(name: str) -> str:
    """Return a name in which a pattern sees no wildcard."""
    return "".join(f"\\{letter}" if letter in "*?[]\\" else letter for letter in name)
