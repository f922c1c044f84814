"""One page about a sweep that opens anywhere, offline too, and the table of its trials."""

from ad_platform.sweeps.report.building import PAGE, TABLE, build
from ad_platform.sweeps.report.facts import Optimism, ReportFacts, TestScore, facts_of
from ad_platform.sweeps.report.reading import report_of

__all__ = ["PAGE", "TABLE", "Optimism", "ReportFacts", "TestScore", "build", "facts_of", "report_of"]
