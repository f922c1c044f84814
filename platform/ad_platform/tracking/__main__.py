"""Run this node's shipper: `python -m ad_platform.tracking --lifeline FD`."""

from ad_platform.tracking.main import main

raise SystemExit(main())
