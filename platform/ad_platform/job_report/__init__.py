"""One page about a job that opens anywhere, offline too: can its detector be used, and what says so."""

from ad_platform.job_report.page import HERE, PAGE, page_of

__all__ = ["HERE", "PAGE", "page_of"]
