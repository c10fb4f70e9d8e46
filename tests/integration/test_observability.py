"""Goal: what an operator looks at is really there: metrics, dashboards, health, traces, dumps.

Method: four node processes on a development chain, with a trace collector of the test's own. After
one and a half epochs every query of the dashboard must find its metrics on every node, and those
that a healthy run fills must have series; traces of all nodes meet; dumps replay to decisions.
"""

import json
import threading
import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.integration.processes import (
    Devchain,
    NodeProcess,
    create_cluster,
    get_json,
    run_tetrarch,
    running,
)
from tests.observability.test_dashboard import CONSTANT, queries
from tests.promql import parse

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

KEYS = range(8)
LAST_SLOT = 18  # attestations of the first epoch have ended by then
BLOCKS_MAX = 3  # of the loop by own work: a start and its first collections
# What has no series as long as nothing is wrong, or where no validator client is.
QUIET = {
    "core_tracker_failed_duties_total",
    "core_tracker_failed_duty_reasons_total",
    "core_tracker_unexpected_events_total",
    "core_consensus_timeout_total",
    "tetrarch_consensus_round_changes_total",
    "tetrarch_consensus_faults_total",
    "tetrarch_mesh_dropped_messages_total",
    "app_eth2_errors_total",
    "app_log_error_total",
    "app_log_warn_total",
    "app_health_checks",  # after the first minute
    "core_validatorapi_request_total",
    "core_validatorapi_request_error_total",
    "core_validatorapi_request_latency_seconds_bucket",
}


class Collector:
    """An OTLP/HTTP receiver in a thread."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                collector.bodies.append(json.loads(body))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    @contextmanager
    def serving(self) -> Iterator[None]:
        thread = threading.Thread(target=self._server.serve_forever)
        thread.start()
        try:
            yield
        finally:
            self._server.shutdown()
            thread.join()
            self._server.server_close()

    def nodes_by_trace(self, name: str) -> dict[str, set[str]]:
        """Which nodes gave a span of that name to each trace."""
        found: dict[str, set[str]] = defaultdict(set)
        for body in self.bodies:
            for whole in body["resourceSpans"]:
                told = {each["key"]: each["value"] for each in whole["resource"]["attributes"]}
                node = told["cluster_peer"]["stringValue"]
                for span in whole["scopeSpans"][0]["spans"]:
                    if span["name"] == name:
                        found[span["traceId"]].add(node)
        return found


def scrape(node: NodeProcess) -> dict[str, list[dict[str, str]]]:
    """The labels of every series, by sample name."""
    with urllib.request.urlopen(f"{node.url}/metrics", timeout=20) as answer:
        text = answer.read().decode()
    found: dict[str, list[dict[str, str]]] = defaultdict(list)
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found[sample.name].append(sample.labels)
    return found


def busy_above(node: NodeProcess, bound: str) -> float:
    with urllib.request.urlopen(f"{node.url}/metrics", timeout=20) as answer:
        families = text_string_to_metric_families(answer.read().decode())
        samples = {
            (sample.name, sample.labels.get("le")): sample.value
            for family in families
            for sample in family.samples
            if sample.name.startswith("tetrarch_event_loop_busy_seconds")
        }
    count = samples["tetrarch_event_loop_busy_seconds_count", None]
    return count - samples["tetrarch_event_loop_busy_seconds_bucket", bound]


def test_everything_an_operator_looks_at_is_there(
    tmp_path: Path, tell: Callable[[object], None]
) -> None:
    cluster, collector = create_cluster(tmp_path, KEYS), Collector()
    chain = Devchain(tmp_path, validators=len(KEYS), start_s=14)
    for index in range(4):
        (cluster / f"node{index}" / "tetrarch.toml").write_text(
            f'[monitoring]\ndebug = true\n[tracing]\nendpoint = "{collector.url}"\n'
        )
    nodes = [NodeProcess(index, cluster, chain.url) for index in range(4)]
    with collector.serving():
        with running(chain, *nodes):
            chain.wait_slot(LAST_SLOT)
            for node in nodes:
                _check_metrics(node)
                with urllib.request.urlopen(f"{node.url}/readyz", timeout=10) as answer:
                    assert answer.read() == b"ready\n"
                checks = get_json(f"{node.url}/health")["checks"]
                failing = [each for each in checks if each["failing"]]
                # A loaded machine may take two rounds, which is a warning.
                assert [each for each in failing if each["severity"] == "critical"] == []
                _check_dump(node, tmp_path)
                held_up = busy_above(node, "0.02")
                tell(f"{node.name}: own work held up the loop for > 20 ms {held_up:.0f} times")
                assert held_up <= BLOCKS_MAX
        # What was open left when the nodes stopped.
        traces = collector.nodes_by_trace("core/duty.attester")
        assert max(len(found) for found in traces.values()) == 4
        signed = collector.nodes_by_trace("core/sigagg.aggregate")
        assert max(len(found) for found in signed.values()) == 4


def _check_metrics(node: NodeProcess) -> None:
    series = scrape(node)
    for title, expression in queries():
        query = parse(expression)
        for name, labels in query.selectors:
            if name in QUIET:
                continue
            assert series[name], (node.name, title, name)
            for each in series[name]:
                assert set(each) >= CONSTANT | labels, (node.name, title, name, each)
    (who,) = series["app_peer_name"]
    assert who["peer_name"] == who["cluster_peer"] == node.name


def _check_dump(node: NodeProcess, folder: Path) -> None:
    decided = [duty for duty in node.duties() if duty["round"] is not None]
    with urllib.request.urlopen(f"{node.url}/debug/consensus", timeout=20) as answer:
        file = folder / f"{node.name}.dump.json"
        file.write_bytes(answer.read())
    ended = run_tetrarch("consensus", "replay", file, "--json")
    assert ended.exit_code == 0, ended.stderr
    stories = {
        (story["slot"], story["type"]): story for story in json.loads(ended.stdout)["duties"]
    }
    assert len(decided) >= LAST_SLOT
    for duty in decided:
        story = stories[duty["slot"], duty["type"]]
        # Earlier where the node had to drop messages unheard: the dump has them all.
        assert story["decided_round"] is not None, story
        assert story["decided_round"] <= duty["round"], story
        assert story["unexplained"] == [], story


def test_debug_view_is_closed_unless_asked_for(tmp_path: Path) -> None:
    cluster = create_cluster(tmp_path, range(1))
    chain = Devchain(tmp_path, validators=1)
    node = NodeProcess(0, cluster, chain.url)
    with running(chain, node), pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(f"{node.url}/debug/consensus", timeout=10)
