"""What the contract asks of another process: `python -m ad_detectors.testing child ORDER`."""

from __future__ import annotations

import json
import sys

from ad_detectors.testing import elsewhere

if __name__ == "__main__":
    sys.stdout.write(elsewhere.answer(json.loads(sys.argv[2])) + "\n")
