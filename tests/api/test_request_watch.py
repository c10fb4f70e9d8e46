"""Requests of validator clients: counted by route and status class, timed by route."""

from tests.duties.duty_world import FixedClock

from tetrarch.api.request_watch import RequestWatch
from tetrarch.observability.logs import SilentLog
from tetrarch.observability.metrics import Metrics

ROUTE = "/eth/v3/validator/blocks/{slot}"
JSON = "application/json"


def watched() -> tuple[Metrics, RequestWatch]:
    metrics = Metrics()
    watch = RequestWatch(metrics, SilentLog(), FixedClock(1_000))
    for status, duration_s in ((200, 0.3), (204, 0.1), (503, 10.0)):
        watch.answered(ROUTE, status, duration_s, "client/1", JSON)
    watch.answered("proxy", 404, 0.01, "client/2", "text/of-the-client's-choice")
    return metrics, watch


def test_request_is_counted_and_timed() -> None:
    value = watched()[0].registry.get_sample_value
    requests = "tetrarch_validator_api_requests_total"
    assert value(requests, {"route": ROUTE, "status": "2xx"}) == 2
    assert value(requests, {"route": ROUTE, "status": "5xx"}) == 1
    assert value(requests, {"route": "proxy", "status": "4xx"}) == 1
    seconds = "tetrarch_validator_api_request_seconds"
    assert value(seconds + "_count", {"route": ROUTE}) == 3
    assert value(seconds + "_bucket", {"route": ROUTE, "le": "0.5"}) == 2


def test_request_is_counted_by_the_references_names_with_bounded_labels() -> None:
    metrics, watch = watched()
    value = metrics.registry.get_sample_value
    name = "core_validatorapi_request"
    assert value(f"{name}_total", {"endpoint": ROUTE, "content_type": JSON}) == 3
    assert value(f"{name}_total", {"endpoint": "proxy", "content_type": "other"}) == 1
    assert value(f"{name}_error_total", {"endpoint": ROUTE, "status_code": "503"}) == 1
    assert value(f"{name}_latency_seconds_count", {"endpoint": ROUTE}) == 3
    proxied = "core_validatorapi_proxy_request_latency_seconds_count"
    assert value(proxied, {"path": "proxy"}) == 1
    agent = "core_validatorapi_vc_user_agent"
    assert value(agent, {"user_agent": "client/2"}) == 1
    assert value(agent, {"user_agent": "client/1"}) is None
    assert watch.last_request_s == 1_000
