"""The script that measures a fleet runs, on a real PostgreSQL and Redis, and checks what it did."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.mark.postgres
@pytest.mark.redis
def test_a_small_fleet_ends_every_job_exactly_once(request: pytest.FixtureRequest) -> None:
    request.getfixturevalue("postgres")  # skipped where there are no servers
    request.getfixturevalue("redis_service")
    script = ROOT / "benchmarks" / "fleet.py"
    small = ["--workers", "4", "--processes", "2", "--jobs", "30", "--singles", "3", "--seconds", "0.5"]
    command = [sys.executable, str(script), *small, "--work", "0.05", "--tick", "1", "--no-write"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "every job ended exactly once, and all sums agree" in done.stdout
    for what in ("jobs, from the queue to the end", "renewals alone", "lease, p99", "fleet idle, p50"):
        assert what in done.stdout
