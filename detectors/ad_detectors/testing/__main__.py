"""`python -m ad_detectors.testing record NAME` writes golden values; `check` compares with them."""

from __future__ import annotations

import sys

from ad_detectors.testing.commands import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
