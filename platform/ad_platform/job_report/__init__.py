"""One page about a job that opens anywhere, offline too: can its detector be used, and what says so."""

from ad_platform.job_report.page import PAGE, page_of

__all__ = ["PAGE", "page_of"]
