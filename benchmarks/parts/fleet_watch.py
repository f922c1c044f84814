"""What a fleet costs while it works: processor seconds of each side, and what the database waits for."""

import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import psutil
import psycopg
import redis

LOOK = 0.25  # seconds between two looks at what the database's sessions do


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Processor seconds, and how the sessions were seen."""

    seconds: float
    postgres: float
    redis: float
    python: float
    seen: Counter[str]  # what the busy sessions were seen at
    commits: int


class Watch:
    """Counts from `begin` to `end`."""

    def __init__(self, url: str, broker: str, pids: Sequence[int]) -> None:
        self._link = psycopg.connect(url, autocommit=True)
        backend = self._link.execute("SELECT pg_backend_pid()").fetchone()
        assert backend is not None
        server = psutil.Process(backend[0]).parent()
        assert server is not None
        self._server, self._fleet = server, [psutil.Process(pid) for pid in pids]
        self._broker = redis.Redis.from_url(broker)
        self._stop = threading.Event()

    def begin(self) -> None:
        """Begin to count."""
        self._seen: Counter[str] = Counter()
        self._at = self._now()
        self._stop.clear()
        self._looking = threading.Thread(target=self._look, daemon=True)
        self._looking.start()

    def end(self) -> Cost:
        """Return what there was since it began."""
        self._stop.set()
        self._looking.join()
        spent = [after - before for before, after in zip(self._at, self._now(), strict=True)]
        return Cost(
            seconds=spent[0],
            postgres=spent[1],
            redis=spent[2],
            python=spent[3],
            commits=int(spent[4]),
            seen=self._seen,
        )

    def close(self) -> None:
        """Close."""
        self._link.close()
        self._broker.close()

    def _now(self) -> tuple[float, ...]:
        import time

        info = self._broker.info("cpu")
        commits = self._link.execute(
            "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()"
        ).fetchone()
        assert commits is not None
        return (
            time.monotonic(),
            _spent(self._server) + sum(map(_spent, self._server.children())),
            float(info["used_cpu_user"]) + float(info["used_cpu_sys"]),
            sum(map(_spent, self._fleet)),
            float(commits[0]),
        )

    def _look(self) -> None:
        asked = (
            "SELECT CASE WHEN wait_event_type IS NULL THEN 'computing'"
            " WHEN state LIKE 'idle in%' THEN 'the client' ELSE wait_event_type || ' ' || wait_event END"
            " FROM pg_stat_activity WHERE application_name = 'adctl' AND state <> 'idle'"
        )
        while not self._stop.wait(LOOK):
            self._seen.update(row[0] for row in self._link.execute(asked).fetchall())


def _spent(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system + times.children_user + times.children_system)
