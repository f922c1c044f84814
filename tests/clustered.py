"""The services of a cluster to move to: PostgreSQL, Redis, MLflow with accounts, a storage."""

import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import services

PASSWORDS = {user: f"{user}-of-the-tests" for user in ("admin", "worker", "client")}
MLFLOW = "mlflow"
SCHEMA = "auth"  # of MLflow's database, for its accounts


@dataclass
class Cluster:
    """Services that run, and databases for one installation."""

    postgres: services.PostgresServer
    redis: services.RedisServer
    folder: Path
    port: int
    databases: dict[str, str] = field(default_factory=dict)
    bucket: str = ""  # of S3, with what reaches it in the environment; else storages are folders
    keys: dict[str, str] = field(default_factory=dict)

    @property
    def uri(self) -> str:
        """Return the address of MLflow's server."""
        return f"http://127.0.0.1:{self.port}"

    def fresh(self) -> None:
        """Give a store and a database of sweeps that nobody has used, and a storage; MLflow's stays."""
        for name in ("adctl", "optuna"):
            if name in self.databases:
                self.postgres.drop(self.databases[name])
            self.databases[name] = self.postgres.new_database()
        name = f"storage-{self.databases['adctl'].rsplit('_', 1)[1]}"
        self.storage = f"s3://{self.bucket}/{name}" if self.bucket else str(self.folder / name)

    def addresses(self, account: str = "admin") -> dict[str, str]:
        """Return what somebody with an account of MLflow's is told; the databases trust everybody here."""
        return {
            "ADCTL_DATABASE_URL": self.databases["adctl"],
            "ADCTL_OPTUNA_URL": self.databases["optuna"],
            "ADCTL_BROKER_URL": self.redis.url,
            "ADCTL_STORAGE_URL": self.storage,
            **self.keys,
            "MLFLOW_TRACKING_URI": self.uri,
            "MLFLOW_TRACKING_USERNAME": account,
            "MLFLOW_TRACKING_PASSWORD": PASSWORDS[account],
        }

    def file(self, **other: str) -> Path:
        """Write what `adctl migrate` is told."""
        place = self.folder / "owner.env"
        told = {**self.addresses(), "MLFLOW_BACKEND_STORE_URI": self.databases[MLFLOW], **other}
        place.write_text("".join(f"{name}='{value}'\n" for name, value in told.items()))
        return place

    def answers(self) -> bool:
        """Say whether MLflow's server answers."""
        try:
            with urllib.request.urlopen(f"{self.uri}/health", timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False


@contextmanager
def cluster(
    postgres: services.PostgresServer,
    redis: services.RedisServer,
    folder: Path,
    bucket: str = "",
    keys: dict[str, str] | None = None,
) -> Iterator[Cluster]:
    """Start MLflow's server with accounts, and give it with the rest."""
    import psycopg

    made = Cluster(postgres, redis, folder, services.free_port(), bucket=bucket, keys=keys or {})
    made.databases[MLFLOW] = postgres.new_database()
    with psycopg.connect(made.databases[MLFLOW], autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {SCHEMA}")
    made.fresh()
    process = _mlflow(made)
    try:
        log = folder / "mlflow.log"
        assert services.patient(made.answers, process, 180), log.read_text()[-3000:]
        yield made
    finally:
        process.terminate()
        process.wait(30)


def _mlflow(made: Cluster) -> "subprocess.Popen[bytes]":
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "ADCTL_"))}
    database = made.databases[MLFLOW].replace("postgresql://", "postgresql+psycopg://")
    env = {
        **kept,
        "PYTHONPATH": os.pathsep.join(sys.path),
        "PYTHONWARNINGS": "ignore",
        "MLFLOW_BACKEND_STORE_URI": database,
        "MLFLOW_ARTIFACTS_DESTINATION": str(made.folder / "artifacts"),
        "MLFLOW_SERVE_ARTIFACTS": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_AUTH_DATABASE_URI": f"{database}?options=-csearch_path%3D{SCHEMA}",
        "MLFLOW_FLASK_SERVER_SECRET_KEY": "a-key-of-the-tests",
        **{f"MLFLOW_AUTH_{user.upper()}_PASSWORD": password for user, password in PASSWORDS.items()},
    }
    command = [sys.executable, "-m", "ad_platform.tracking.server"]
    command += ["--host", "127.0.0.1", "--port", str(made.port), "--workers", "1"]
    with (made.folder / "mlflow.log").open("wb") as output:
        return subprocess.Popen(command, env=env, cwd=made.folder, stdout=output, stderr=output)
