"""Wake-ups over Celery: early acknowledgement, no prefetch, JSON, no results; the store decides what runs."""

from functools import cached_property
from typing import Any

from celery import Celery
from kombu.exceptions import ChannelError, KombuError
from kombu.exceptions import OperationalError as BrokerError
from redis.exceptions import RedisError

from ad_platform.addresses import shown
from ad_platform.errors import BrokerDown
from ad_platform.queue.protocol import WAKE
from ad_platform.redaction import redacted

STEPS = list(range(10))  # Redis keeps one list per step; 0 is served first


def step_of(priority: int) -> int:
    """Map a job's priority (-100..100, higher first) to a step of the broker (0..9, lower first)."""
    return min(9, max(0, round(5 - priority / 20)))


def queue_name(label: str) -> str:
    """Return the broker's name of a queue label."""
    return f"adctl.{label}"


def own_queue(worker_id: str) -> str:
    """Return the label of the queue only this worker listens to: it rings itself there."""
    return f"worker.{worker_id}"


def make_app(broker_url: str) -> Celery:
    """Build the Celery application that client and worker share."""
    app = Celery("adctl", broker=broker_url, set_as_current=False)
    app.conf.update(
        task_serializer="json",
        accept_content=["json"],
        task_ignore_result=True,
        result_backend=None,
        # The message is acknowledged before it is looked at: late acknowledgement ran jobs twice after the
        # visibility timeout and stranded them after a kill. What must not be lost is in the store.
        task_acks_late=False,
        worker_prefetch_multiplier=1,
        worker_disable_prefetch=True,  # a message is taken only when a slot is free
        task_create_missing_queues=True,
        task_default_queue=queue_name("default"),
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options={
            "queue_order_strategy": "priority",
            "priority_steps": STEPS,
            "socket_timeout": 10,
            "socket_connect_timeout": 2,
            "socket_keepalive": True,
            "health_check_interval": 10,
        },
        worker_hijack_root_logger=False,
        worker_send_task_events=True,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        enable_utc=True,
    )
    return app


class CeleryQueue:
    """Rings through Celery; every failure of the broker becomes BrokerDown."""

    def __init__(self, broker_url: str) -> None:
        self._url = broker_url

    @cached_property
    def app(self) -> Celery:
        """Return the Celery application, built at first use."""
        app = make_app(self._url)
        # A client tries once: the outbox keeps what cannot be rung, so nobody should wait for a dead broker.
        app.conf.broker_transport_options |= {
            "max_retries": 1,
            "interval_start": 0,
            "interval_step": 0,
            "interval_max": 0,
        }
        return app

    def ring(self, job_id: str, queue: str, priority: int) -> None:
        """Wake one worker that listens to the queue label; raise BrokerDown when that cannot be done now."""
        try:
            self.app.send_task(
                WAKE, args=[job_id], queue=queue_name(queue), priority=step_of(priority), retry=False
            )
        except (BrokerError, KombuError, RedisError, OSError, ValueError) as error:
            raise self._down(error) from error

    def depths(self, queues: list[str]) -> dict[str, int]:
        """Return how many wake-ups lie in each queue; raise BrokerDown."""
        try:
            with self.app.connection_for_read() as connection:
                # Without an interval it would sleep for two seconds before it says that the broker is away.
                connection.ensure_connection(
                    max_retries=1, timeout=2, interval_start=0, interval_step=0, interval_max=0
                )
                return {name: _depth(connection.default_channel, queue_name(name)) for name in queues}
        except (BrokerError, KombuError, RedisError, OSError, ValueError) as error:
            raise self._down(error) from error

    def _down(self, error: Exception) -> BrokerDown:
        return BrokerDown(f"the broker at {shown(self._url)} does not answer: {redacted(str(error))}")


def _depth(channel: Any, name: str) -> int:
    try:
        return int(channel.queue_declare(queue=name, passive=True).message_count)
    except ChannelError:  # nothing was ever put there
        return 0
