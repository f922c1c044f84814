"""A witness forked from a bare process scores what it is handed, and its silence is told from its scores."""

import json
import subprocess
import sys
from pathlib import Path

import torch

from ad_detectors import checkpoint, registry
from ad_detectors.fitting import ContextCore, run_fit
from ad_detectors.testing import MemoryImages, pictures
from ad_workers.witness import PICTURES, Question, Witness

ASKING = """
import json, os, sys
import torch
import ad_detectors.evaluation, ad_detectors.checkpoint
if pid := os.fork():  # torch is there and has threads; a child of such a process has one
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
from ad_workers.witness import Question, Witness

question = Question(**json.loads(sys.argv[1]))
held, told = os.pipe()
honest, killed, hurried, forgotten, strange = (Witness.fork() for _ in range(5))
answer = honest.ask(question, lambda: None)
print(json.dumps(answer.scores["scores"].tolist()))
os.kill(killed._pid, 9)
print(json.dumps(killed.ask(question, lambda: None).gone))
class Stop(BaseException): pass
def stop(): raise Stop
os.kill(hurried._pid, 19)  # or it may have answered before anybody looks around
try:
    hurried.ask(question, stop)
except Stop:
    print(json.dumps("stopped"))
missing = Question(**{**json.loads(sys.argv[1]), "model": "/nowhere"})
print(json.dumps(strange.ask(missing, lambda: None).failed))
for each in (honest, killed, hurried, forgotten, strange):
    each.close()
    each.close()
try:
    os.waitpid(-1, os.WNOHANG)
except ChildProcessError:
    print(json.dumps("nobody is left"))
"""


def test_a_witness_answers_or_it_is_said_why_not(tmp_path: Path) -> None:
    detector, images = registry.create("pixel_mean", {"image_size": 16}), pictures(6, 16)
    run_fit(detector, MemoryImages(images), ContextCore(detector, torch.device("cpu"), 0))
    checkpoint.save_model(tmp_path / "model", "pixel_mean", detector.config, detector.state())
    checkpoint.save({PICTURES: images}, tmp_path / "asked")
    question = {
        "model": str(tmp_path / "model"),
        "pictures": str(tmp_path / "asked"),
        "answer": str(tmp_path / "answer"),
        "device": "cpu",
        "threads": 1,
        "detector": "pixel_mean",
        "sealed": [],
        "free": [],
    }
    Question(**question)  # type: ignore[arg-type]
    command = [sys.executable, "-c", ASKING, json.dumps(question)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    scores, gone, stopped, failed, left = map(json.loads, done.stdout.splitlines())
    assert scores == detector.score(images).images.tolist()
    assert "cannot be reached" in gone or "ended without a word" in gone
    assert stopped == "stopped"
    assert failed.startswith("StateError: cannot read /nowhere/config.json")
    assert left == "nobody is left"


def test_a_process_with_threads_is_not_forked() -> None:
    import threading

    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    try:
        assert Witness.fork() is None
    finally:
        done.set()
        thread.join()
