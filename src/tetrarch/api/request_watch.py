"""The validator API, as its operator sees it: metrics and log lines of its answers."""

from tetrarch.clock import Clock
from tetrarch.observability.logs import Log
from tetrarch.observability.metrics import Metrics

# Bounded: what a client sends must not become a series.
_CONTENT_TYPES = ("", "application/json", "application/octet-stream")
_STATUS_ERROR_MIN = 400


class RequestWatch:
    """``answered`` is the server's callback of that name."""

    def __init__(self, metrics: Metrics, log: Log, clock: Clock) -> None:
        self._requests = metrics.counter("validator_api_requests_total")
        self._seconds = metrics.histogram("validator_api_request_seconds")
        self._metrics = metrics
        self._user_agent = ""
        self.last_request_s: float | None = None  # wall clock; None: there was none yet
        self._clock = clock
        self._log = log.bind(topic="vapi")

    def answered(
        self, route: str, status: int, duration_s: float, user_agent: str, content_type: str
    ) -> None:
        """An answer has left. ``route`` is the server's own name for it, not what was asked."""
        self.last_request_s = self._clock.wall_s()
        self._count_by_reference(route, status, duration_s, content_type)
        if user_agent != self._user_agent:
            self._user_agent = user_agent
            self._metrics.set_only("core_validatorapi_vc_user_agent", user_agent)
        self._requests.labels(route, f"{status // 100}xx").inc()
        self._seconds.labels(route).observe(duration_s)
        self._log.debug(
            "validator_api_answered",
            route=route,
            status=status,
            duration_ms=round(duration_s * 1000, 1),
            client=user_agent,
        )

    def _count_by_reference(
        self, route: str, status: int, duration_s: float, content_type: str
    ) -> None:
        histogram = self._metrics.histogram
        histogram("core_validatorapi_request_latency_seconds").labels(route).observe(duration_s)
        if route == "proxy":
            proxied = histogram("core_validatorapi_proxy_request_latency_seconds")
            proxied.labels(route).observe(duration_s)
        known = content_type if content_type in _CONTENT_TYPES else "other"
        self._metrics.counter("core_validatorapi_request_total").labels(route, known).inc()
        if status >= _STATUS_ERROR_MIN:
            errors = self._metrics.counter("core_validatorapi_request_error_total")
            errors.labels(route, str(status)).inc()
