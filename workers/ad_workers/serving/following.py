"""A process that notices when an alias moves, fetches the model, and says what is served from then on."""

import logging
import os
import signal
import time
from pathlib import Path

from ad_platform import settings as environment
from ad_platform import structured_logs
from ad_platform.client import Client
from ad_platform.errors import AdctlError
from ad_platform.specs import Json
from ad_workers.serving import offered

log = logging.getLogger("ad_workers.serving")


def follow(text: str, path: Path, seconds: float, known: tuple[Json, ...]) -> None:
    """Look every few seconds, for as long as whoever started this process lives.

    What cannot be reached or fetched now is said once and tried again; meanwhile the served model stays.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the whole group; the server ends this one
    structured_logs.configure("%(asctime)s %(levelname)s %(message)s", level=logging.INFO)
    parent, said = os.getppid(), ""
    while os.getppid() == parent:
        time.sleep(seconds)
        try:
            with Client(environment.load()) as client:
                wanted = offered.identity(client, text)
                if wanted != known:
                    found = offered.find(client, text)
                    offered.write(found, path)
                    log.info(
                        "serving %s, revision %s, job %s from now on", found.name, found.revision, found.job
                    )
            known, said = wanted, ""
        except AdctlError as error:
            if str(error) != said:
                log.warning("the served model stays as it is: %s", error)
            said = str(error)
