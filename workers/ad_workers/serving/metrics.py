"""What Prometheus is told: requests, pictures, batches and seconds, summed over all processes.

Import it after PROMETHEUS_MULTIPROC_DIR is set: prometheus_client looks once.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.multiprocess import MultiProcessCollector

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

requests = Counter("adctl_requests", "Requests to score pictures, by status.", ["status"])
seconds = Histogram("adctl_request_seconds", "From a request's headers to its answer.", buckets=SECONDS)
in_flight = Gauge("adctl_requests_in_flight", "Requests being answered.", multiprocess_mode="livesum")
pictures = Counter("adctl_pictures", "Pictures that were scored.")
batch = Histogram(
    "adctl_batch_pictures", "Pictures scored at a time.", buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256)
)
scoring = Histogram("adctl_scoring_seconds", "To score the pictures of a batch.", buckets=SECONDS)
loads = Counter(
    "adctl_model_loads", "Models loaded by scorers: one each at the start, and when an alias moves."
)
revision = Gauge(
    "adctl_model_revision",
    "The revision of the decision behind the served model.",
    ["model"],
    multiprocess_mode="mostrecent",
)
CONTENT_TYPE = CONTENT_TYPE_LATEST


def text() -> bytes:
    """Return everything as Prometheus reads it."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry)
    found: bytes = generate_latest(registry)
    return found
