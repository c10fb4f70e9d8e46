"""The validator API, as its operator sees it: metrics and log lines of its answers."""

from tetrarch.observability.logs import Log
from tetrarch.observability.metrics import Metrics


class RequestWatch:
    """``answered`` is the server's callback of that name."""

    def __init__(self, metrics: Metrics, log: Log) -> None:
        self._requests = metrics.counter("validator_api_requests_total")
        self._seconds = metrics.histogram("validator_api_request_seconds")
        self._log = log

    def answered(self, route: str, status: int, duration_s: float, user_agent: str) -> None:
        """An answer has left. ``route`` is the server's own name for it, not what was asked."""
        self._requests.labels(route, f"{status // 100}xx").inc()
        self._seconds.labels(route).observe(duration_s)
        self._log.debug(
            "validator_api_answered",
            route=route,
            status=status,
            duration_ms=round(duration_s * 1000, 1),
            client=user_agent,
        )
