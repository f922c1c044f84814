"""How a server ends: at once while it loads; later on what it has begun is answered first."""

import multiprocessing
import os
import shutil
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil

from ad_platform.lifeline import REQUESTS

PROBE = 1.0  # seconds to find out whether somebody listens; only a refusal, which is immediate, says no


def end_at_request(port: int, folder: Path, tell: Callable[[], None]) -> None:
    """Have SIGTERM and Ctrl-C end this process; its forks end at once until they set handlers of their own.

    `port` is where it will listen on this machine, `folder` is removed by an end at once; `tell` comes first.
    """
    us = os.getpid()

    def stop(*_: object) -> None:
        if os.getpid() != us:
            os._exit(os.EX_OK)
        for number in REQUESTS:
            signal.signal(number, signal.SIG_IGN)
        tell()
        if _listens(port):
            raise KeyboardInterrupt  # LitServe waits for it, and ends in good order
        # What is raised while it loads may never arrive: Python swallows it after a fork, and some modules do
        # while they are imported.
        _kill_children()
        shutil.rmtree(folder, ignore_errors=True)
        for stream in (sys.stdout, sys.stderr):
            with suppress(RuntimeError, OSError, ValueError):  # it may be in the midst of writing
                stream.flush()
        os._exit(os.EX_OK)

    for number in REQUESTS:
        signal.signal(number, stop)


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), PROBE).close()
    except ConnectionRefusedError:
        return False
    except OSError:
        pass  # it has more to do than it can take
    return True


def _kill_children() -> None:
    """End those too that are not known yet, before they miss what they were to be told."""
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            # It cleans up after the others, and ends by itself.
            if "multiprocessing.resource_tracker" not in " ".join(child.cmdline()):
                child.kill()


def end_children() -> None:
    """End whatever LitServe left, so that nothing waits for it at the exit."""
    for child in multiprocessing.active_children():
        with suppress(OSError, ValueError):
            child.terminate()
            child.join(5)
            if child.is_alive():
                child.kill()
