"""Run a worker without the command line: `python -m ad_workers`."""

import sys

from ad_platform.settings import load
from ad_workers.main import start

sys.exit(start(load()))
