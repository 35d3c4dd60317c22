"""What a replica counts, for Prometheus."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

#: Of an answer, in seconds; of a batch, in images.
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_IMAGES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 1024)


class ServingMetrics:
    """The counters of one replica; several in a process do not share any.

    Attributes:
        requests: Answered requests, by HTTP status.
        images: Answered images, by model and version.
        failures: Promotions and histories that could not be taken up, by model.
        batch_images: Images of each batch.
        seconds: From the first byte of a request to the last of its answer.
        in_hand: Requests with a body that are not answered yet.
    """

    content_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self._all = CollectorRegistry()
        self.requests = Counter("convfleet_requests", "Answered requests.", ["status"], registry=self._all)
        self.images = Counter("convfleet_images", "Answered images.", ["model", "version"], registry=self._all)
        self.failures = Counter(
            "convfleet_takeup_failures", "Changes of a model that were not taken up.", ["model"], registry=self._all
        )
        self.batch_images = Histogram(
            "convfleet_batch_images", "Images of a batch.", buckets=_IMAGES, registry=self._all
        )
        self.seconds = Histogram("convfleet_request_seconds", "Of a request.", buckets=_SECONDS, registry=self._all)
        self.in_hand = Gauge("convfleet_requests_in_hand", "Requests that are being answered.", registry=self._all)

    def text(self) -> bytes:
        """Returns all counters as Prometheus reads them."""
        return bytes(generate_latest(self._all))
