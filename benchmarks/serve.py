"""Measure `adctl serve` against MLflow's server, and add it to RESULTS.md: `python benchmarks/serve.py`.

Both serve the same registered model's folder on this machine, one after the other and the other way round,
and are asked for the same pictures, one in a request, by as many clients at a time. Without --model a DDAD of
few steps is fitted to drawn screws: how good it is does not matter here.
"""

import sys
from pathlib import Path

# A script's folder comes first on the path, and there platform.py would hide the standard library's.
HERE = Path(__file__).resolve().parent
sys.path[:] = [*(entry for entry in sys.path if entry and Path(entry).resolve() != HERE), str(HERE)]

import argparse  # noqa: E402
import base64  # noqa: E402
import json  # noqa: E402
import os  # noqa: E402
import signal  # noqa: E402
import socket  # noqa: E402
import subprocess  # noqa: E402
import tempfile  # noqa: E402
import threading  # noqa: E402
import time  # noqa: E402
from collections.abc import Iterator, Sequence  # noqa: E402
from contextlib import contextmanager  # noqa: E402
from dataclasses import dataclass, field  # noqa: E402
from http.client import HTTPConnection  # noqa: E402

from parts.figures import keep, section  # noqa: E402

from ad_detectors import registry  # noqa: E402
from ad_detectors.data.layout import image_files  # noqa: E402
from ad_detectors.data.synth import make  # noqa: E402
from ad_detectors.local import fit_local  # noqa: E402
from ad_platform.tracking.pyfunc import save_pyfunc  # noqa: E402

PATIENCE = 600.0
HEADERS = ("server", "clients", "images", "images/s", "p50", "p99", "slowest")
PLAIN, OURS = "mlflow models serve", "adctl serve"
VERSIONS = ("torch", "mlflow", "litserve", "uvicorn")


@dataclass
class Load:
    """What clients saw: the seconds that each picture took, and their scores."""

    seconds: list[float] = field(default_factory=list)
    scores: dict[int, float] = field(default_factory=dict)
    spent: float = 0.0

    @property
    def rate(self) -> float:
        """Return images per second."""
        return len(self.seconds) / self.spent

    def at(self, share: float) -> float:
        """Return what a share of the pictures took at most."""
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    def cells(self, server: str, clients: int) -> list[str]:
        """Return a row of the table."""
        took = [f"{1000 * value:.0f} ms" for value in (self.at(0.5), self.at(0.99), max(self.seconds))]
        return [server, str(clients), str(len(self.seconds)), f"{self.rate:.2f}", *took]


def main() -> None:
    """Measure, print the table, and put it on top of RESULTS.md."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, metavar="DIR", help="a registered model's folder")
    parser.add_argument("--detector", default="ddad")
    parser.add_argument("--preset", default="tiny")
    parser.add_argument("--size", type=int, default=64, help="pixels of a side that the detector sees")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 16])
    parser.add_argument(
        "--seconds", type=float, default=20.0, help="for each server, number of clients and turn"
    )
    parser.add_argument("--no-write", action="store_true", help="only print")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="adctl-bench-") as name:
        folder = Path(name)
        make(folder / "screw", seed=0, train=40, test_good=8, per_defect=4, size=256)
        bodies = [_body(path) for part in (folder / "screw" / "test").iterdir() for path in image_files(part)]
        model = given.model or _fitted(given, folder)
        loads: dict[tuple[str, int], Load] = {}
        for server in (PLAIN, OURS, OURS, PLAIN):
            with _serving(server, model, folder) as port:
                for clients in given.clients:
                    _ask(port, bodies, clients, given.seconds, loads.setdefault((server, clients), Load()))
    _same_scores(list(loads.values()))
    rows = [
        loads[server, clients].cells(server, clients) for clients in given.clients for server in (PLAIN, OURS)
    ]
    words = [_ratio(loads[PLAIN, clients], loads[OURS, clients], clients) for clients in given.clients]
    what = given.model.name if given.model else f"{given.detector}/{given.preset} at {given.size} px"
    text = section(
        f"serving {what}",
        HEADERS,
        rows,
        f"python benchmarks/serve.py {' '.join(sys.argv[1:])}".strip(),
        VERSIONS,
        [*words, "Scores are the same to the bit, whichever server gave them."],
    )
    sys.stdout.write(text)
    if not given.no_write:
        keep(text)


def _fitted(given: argparse.Namespace, folder: Path) -> Path:
    more = {"steps": 2, "scale_images": 1} if given.detector == "ddad" else {}
    config = registry.resolve(given.detector, given.preset, {"image_size": given.size, **more})
    fit_local(given.detector, config, folder / "screw", folder / "fit", device="auto")
    bundle = folder / "bundle"
    bundle.mkdir()
    for file in ("config.json", "state.safetensors", "state.json"):
        (bundle / file).write_bytes((folder / "fit" / file).read_bytes())
    save_pyfunc(bundle, folder / "model")
    return folder / "model"


@contextmanager
def _serving(server: str, model: Path, folder: Path) -> Iterator[int]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    if server == OURS:
        command = ["-m", "ad_cli", "serve", str(model), "--port", str(port)]
    else:
        command = [
            "-m",
            "mlflow",
            "models",
            "serve",
            "-m",
            str(model),
            "--env-manager",
            "local",
            "-p",
            str(port),
        ]
    # For both alike: threads that spin while they wait slow a shared machine.
    environment = {**os.environ, "ADCTL_HOME": str(folder / "home"), "OMP_WAIT_POLICY": "PASSIVE"}
    environment["PYTHONPATH"] = os.pathsep.join(sys.path)
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, *command], env=environment, stdout=log, stderr=log, start_new_session=True
        )
    try:
        deadline = time.monotonic() + PATIENCE
        while not _ready(port, "/ready" if server == OURS else "/ping"):
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"{server} did not start:\n{(folder / 'server.log').read_text()[-2000:]}")
            time.sleep(0.2)
        yield port
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(60)


def _ready(port: int, path: str) -> bool:
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def _body(path: Path) -> bytes:
    return json.dumps({"inputs": [base64.b64encode(path.read_bytes()).decode()]}).encode()


def _ask(port: int, bodies: Sequence[bytes], clients: int, seconds: float, load: Load) -> None:
    """Let clients ask for a while, each for the next picture as soon as it has an answer."""
    _one(HTTPConnection("127.0.0.1", port), bodies[0])  # the first request of a process loads and compiles
    lock, number = threading.Lock(), iter(range(1 << 30))
    began = time.perf_counter()

    def client() -> None:
        connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        while time.perf_counter() - began < seconds:
            with lock:
                which = next(number) % len(bodies)
            started = time.perf_counter()
            score = _one(connection, bodies[which])
            with lock:
                load.seconds.append(time.perf_counter() - started)
                if load.scores.setdefault(which, score) != score:
                    raise SystemExit(f"picture {which} scored {score} and {load.scores[which]}")

    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    load.spent += time.perf_counter() - began


def _one(connection: HTTPConnection, body: bytes) -> float:
    connection.request("POST", "/invocations", body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    text = answer.read()
    if answer.status != 200:
        raise SystemExit(f"status {answer.status}: {text[:500]!r}")
    return float(json.loads(text)["predictions"][0]["score"])


def _same_scores(loads: Sequence[Load]) -> None:
    for load in loads[1:]:
        both = load.scores.keys() & loads[0].scores.keys()
        if any(load.scores[which] != loads[0].scores[which] for which in both):
            raise SystemExit("the servers give different scores")


def _ratio(plain: Load, ours: Load, clients: int) -> str:
    who = f"{clients} client{'s' * (clients != 1)}"
    faster, shorter = ours.rate / plain.rate, plain.at(0.99) / ours.at(0.99)
    return f"{who}: {faster:.2f} times MLflow's images per second, p99 {shorter:.2f} times as short."


if __name__ == "__main__":
    main()
