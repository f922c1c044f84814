"""Looks for planted secrets wherever a cluster writes: files, databases, the broker, command lines."""

import secrets
import shutil
import subprocess
import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import psutil

from ad_platform.cluster import dotenv
from composed import Composed

DATABASES = ("adctl", "optuna", "mlflow", "postgres")
STORAGE = "storage.env"
# Where secrets lie on purpose: what compose hands to redis and postgres as files for them alone.
ON_PURPOSE = ("configs", "bin")


def plant(folder: Path) -> None:
    """Give a cluster keys of a storage beside the secrets of its .env, and have it log as JSON."""
    keys = {"AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": "Canary", "HF_TOKEN": "hf_Canary"}
    lines = [f"{name}={start}{secrets.token_hex(12)}" for name, start in keys.items()]
    (folder / STORAGE).write_text("\n".join([*lines, "ADCTL_LOG=json"]) + "\n")
    options = f'{{"key": "x", "secret": "Canary{secrets.token_hex(12)}"}}'
    with (folder / dotenv.NAME).open("a") as env:
        env.write(f"STORAGE_OPTIONS={options}\n")


def planted(stack: Composed) -> Mapping[str, str]:
    """Return every secret of a cluster by what it is called."""
    found = {name: value for name, value in stack.env.items() if dotenv.is_secret(name)}
    found |= dotenv.parse((stack.folder / STORAGE).read_text())
    found["STORAGE_OPTIONS"] = stack.env["STORAGE_OPTIONS"].split('"')[-2]
    return {name: value for name, value in found.items() if name != "ADCTL_LOG"}


def texts(stack: Composed) -> Iterator[tuple[str, bytes]]:
    """Give what the cluster has written, by where it lies."""
    for path in sorted(stack.root.rglob("*")):
        top = path.relative_to(stack.root).parts[0]
        if top not in ON_PURPOSE and path.is_file() and not path.is_symlink():
            yield str(path.relative_to(stack.root)), path.read_bytes()
    yield from dumps(stack)
    yield from broker(stack)
    for process in family(stack):
        yield f"the command line of {process.pid}", b" ".join(map(str.encode, process.cmdline()))


def dumps(stack: Composed) -> Iterator[tuple[str, bytes]]:
    """Give each database as text, since the server keeps long values compressed."""
    program = shutil.which("pg_dump", path=stack.environment("postgres")["PATH"])
    assert program is not None
    for name in DATABASES:
        command = [program, "-h", str(stack.socket), "-U", "postgres", "--inserts", name]
        done = subprocess.run(command, env=stack.environment("postgres"), capture_output=True, check=True)
        yield f"the database {name}", done.stdout


def broker(stack: Composed) -> Iterator[tuple[str, bytes]]:
    """Give all that the broker holds."""
    import redis

    with redis.Redis(port=stack.ports["redis"], password=stack.env["REDIS_PASSWORD"]) as client:
        for key in client.scan_iter():
            yield f"the broker's {key!r}", client.dump(key) or b""


def family(stack: Composed) -> list[psutil.Process]:
    """Return every living process of a cluster."""
    started = [psutil.Process(one.pid) for one in stack.processes.values() if one.poll() is None]
    found = []
    for process in (*started, *(child for one in started for child in one.children(recursive=True))):
        with suppress(psutil.NoSuchProcess):  # it has ended meanwhile
            found += [process] if process.cmdline() else []
    return found


def heard(content: bytes, canaries: Mapping[str, str]) -> list[str]:
    """Return the names of the secrets that stand in a content, as they are or in a zipped part of it."""
    parts = [content]
    if content[:2] == b"\x1f\x8b":
        parts.append(zlib.decompress(content, wbits=31))
    return [name for name, value in canaries.items() for part in parts if value.encode() in part]
