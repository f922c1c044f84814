"""What a broker says of itself: which program it is, and whether it keeps what it is given."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kombu.exceptions import KombuError
from kombu.exceptions import OperationalError as BrokerError
from redis.exceptions import RedisError

from ad_platform.addresses import shown
from ad_platform.errors import BrokerDown
from ad_platform.queue.celery import CeleryQueue


@dataclass(frozen=True, kw_only=True)
class BrokerFacts:
    """A Redis or Valkey."""

    program: str  # as "Valkey 9.1.0"
    version: tuple[int, ...]  # of the Redis it is compatible with
    evicts: bool  # drops what it holds when its memory is full
    keeps: bool  # writes what it holds to a file


def broker_facts(url: str) -> BrokerFacts:
    """Ask a broker about itself; raise BrokerDown."""
    try:
        with CeleryQueue(url).app.connection_for_read() as connection:
            connection.ensure_connection(max_retries=1, timeout=2, interval_start=0, interval_step=0)
            return read_info(connection.default_channel.client.info())
    except (BrokerError, KombuError, RedisError, OSError, ValueError) as error:
        raise BrokerDown(f"the broker at {shown(url)} does not answer: {error}") from error


def read_info(info: Mapping[str, Any]) -> BrokerFacts:
    """Read the answer to INFO."""
    redis = str(info.get("redis_version", "0"))
    own = info.get("valkey_version")
    return BrokerFacts(
        program=f"Valkey {own}" if own else f"Redis {redis}",
        version=tuple(int(part) for part in redis.split(".") if part.isdigit()),
        # Without a limit nothing is ever evicted, whatever the policy.
        evicts=info.get("maxmemory_policy") != "noeviction" and bool(info.get("maxmemory")),
        keeps=bool(info.get("aof_enabled")),
    )
