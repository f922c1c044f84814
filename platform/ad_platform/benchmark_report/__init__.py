"""One page about a benchmark that opens anywhere: who is best at what, beside what was published, and why."""

from ad_platform.benchmark_report.page import PAGE, page_of

__all__ = ["PAGE", "page_of"]
