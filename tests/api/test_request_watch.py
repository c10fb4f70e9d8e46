"""Requests of validator clients: counted by route and status class, timed by route."""

from tetrarch.api.request_watch import RequestWatch
from tetrarch.observability.logs import SilentLog
from tetrarch.observability.metrics import Metrics

ROUTE = "/eth/v3/validator/blocks/{slot}"


def test_request_is_counted_and_timed() -> None:
    metrics = Metrics()
    watch = RequestWatch(metrics, SilentLog())
    for status, duration_s in ((200, 0.3), (204, 0.1), (503, 10.0)):
        watch.answered(ROUTE, status, duration_s, "client/1")
    watch.answered("proxy", 404, 0.01, "client/1")
    value = metrics.registry.get_sample_value
    requests = "tetrarch_validator_api_requests_total"
    assert value(requests, {"route": ROUTE, "status": "2xx"}) == 2
    assert value(requests, {"route": ROUTE, "status": "5xx"}) == 1
    assert value(requests, {"route": "proxy", "status": "4xx"}) == 1
    seconds = "tetrarch_validator_api_request_seconds"
    assert value(seconds + "_count", {"route": ROUTE}) == 3
    assert value(seconds + "_bucket", {"route": ROUTE, "le": "0.5"}) == 2
