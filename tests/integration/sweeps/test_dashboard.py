"""The dashboard as a service of its own shows the sweeps of a PostgreSQL store."""

import json
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

import ad_migrations
import services
import study_cases as cases
from ad_platform import settings as environment
from ad_platform.stack.probes import wait_for
from ad_platform.sweeps.optuna_study import OptunaStudy, close_storage, open_storage
from mlflow_home import child_environment


@pytest.mark.postgres
def test_a_process_of_its_own_serves_what_lies_in_the_database(tmp_path: Path, postgres_url: str) -> None:
    ad_migrations.upgrade(postgres_url)
    env = {**child_environment(tmp_path), "ADCTL_DATABASE_URL": postgres_url}
    spec = cases.spec(space=(cases.NOISE, cases.W))
    storage = open_storage(environment.load(env))
    OptunaStudy(storage, cases.study(spec), spec).add(cases.trials(spec, 5, broken=False))
    close_storage(storage)
    port = services.free_port()
    log = tmp_path / "log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "ad_platform.sweeps.dashboard", "--port", str(port)],
            env=env,
            stdout=file,
            stderr=file,
        )
    try:
        listed: list[dict] = []

        def answers() -> bool:
            assert process.poll() is None, log.read_text()
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/studies", timeout=5) as answer:
                    listed.extend(json.load(answer)["study_summaries"])
            except OSError:
                return False
            return True

        assert wait_for(answers, 90)
        assert [each["study_name"] for each in listed] == ["screw-noise"]
        command = Path(f"/proc/{process.pid}/cmdline")
        assert not command.exists() or b"postgres" not in command.read_bytes()  # nor a password
    finally:
        process.kill()
        process.wait(30)


def test_a_port_that_is_taken_and_a_database_that_is_away_are_said_in_a_line(tmp_path: Path) -> None:
    port = services.free_port()
    url = f"postgresql://adctl:geheim@127.0.0.1:{port}/adctl"
    env = {**child_environment(tmp_path), "ADCTL_DATABASE_URL": url}
    command = [sys.executable, "-m", "ad_platform.sweeps.dashboard", "--port", str(port)]
    ended = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=120)
    assert ended.returncode == 1
    assert "does not answer" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "geheim" not in ended.stderr
