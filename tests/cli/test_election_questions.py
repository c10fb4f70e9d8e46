"""``tetrarch election leader``, ``members`` and ``watch``: against a real member, and what is none."""

import json
import signal
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from tests.cli.test_election import TETRARCH, command
from tests.ports import free_ports


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """The first of two members, the other not started: there is no leader yet."""
    own, other, monitoring = free_ports(3)
    arguments = ("-p", own, "-n", other, "--monitoring-port", monitoring)
    process = subprocess.Popen(
        (*TETRARCH, "node", *map(str, arguments)),
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if "monitoring_listening" in line:
            break
    yield f"http://127.0.0.1:{monitoring}", process
    process.kill()
    process.communicate()


def test_member_without_a_leader_says_so(alone: tuple[str, "subprocess.Popen[str]"]) -> None:
    url, _ = alone
    said = command("leader", "--url", url)
    assert (said.returncode, said.stdout) == (1, "no leader was certified yet\n")
    said = command("leader", "--url", url, "--json")
    assert (said.returncode, json.loads(said.stdout)) == (1, {"leader": None})
    said = command("members", "--url", url)
    assert said.returncode == 0
    first, second, *lines = said.stdout.splitlines()
    assert first == "bft, lowest, no leases; 2 of 2 make a leader"
    assert second.startswith("configuration ")
    assert sorted(line.split("  ")[1].strip() for line in lines) == ["silent", "this node"]


def test_leader_is_told_and_each_new_one_until_the_node_ends(tmp_path: Path) -> None:
    ports = free_ports(3)
    monitoring = f"http://127.0.0.1:{ports[2]}"
    nodes = [
        subprocess.Popen(
            (*TETRARCH, "node", "-p", str(own), "-n", str(other), *options),
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        for own, other, options in (
            (ports[0], ports[1], ("--monitoring-port", str(ports[2]))),
            (ports[1], ports[0], ()),
        )
    ]
    try:
        assert nodes[0].stdout is not None
        line = nodes[0].stdout.readline()
        said = command("leader", "--url", monitoring, "--certificate")
        assert json.loads(said.stdout) == json.loads(line)
        watching = subprocess.Popen(
            (*TETRARCH, "watch", "--url", monitoring, "--json"),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert watching.stdout is not None
        told = json.loads(watching.stdout.readline())
        assert told["certificate"] == json.loads(line)
        nodes[0].send_signal(signal.SIGTERM)
        _, errors = watching.communicate(timeout=30)
        assert watching.returncode == 69, errors
        assert "node_away" in errors
    finally:
        for node in nodes:
            node.kill()
            node.communicate()


@pytest.mark.parametrize("question", ["leader", "members", "watch"])
def test_nobody_there_is_one_line_and_says_what_to_do(question: str) -> None:
    (port,) = free_ports(1)
    said = command(question, "--url", f"http://127.0.0.1:{port}")
    assert said.returncode == 69
    assert said.stderr.count("\n") == 1
    assert "node_away" in said.stderr
    assert "--url" in said.stderr


class _Odd(BaseHTTPRequestHandler):
    body = b""
    kind = "application/json"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", self.kind)
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.parametrize(
    ("question", "kind", "body"),
    [
        ("leader", "application/json", b"[]"),
        ("leader", "application/json", b'{"leader": {"term": 1}}'),
        ("leader", "text/html", b"<html>"),
        (
            "leader",
            "application/json",
            json.dumps(
                {
                    "leader": {
                        "term": 1,
                        "leader": "\x1b[2J",  # would clear the terminal
                        "members": [],
                        "is_own": True,
                        "certificate": {},
                    }
                }
            ).encode(),
        ),
        ("members", "application/json", b"{}"),
        ("watch", "application/json", b"{}"),
        ("watch", "text/event-stream", b"data: []\n\n"),
        ("watch", "text/event-stream", b"data: " + b"x" * (5 << 20) + b"\n\n"),
    ],
)
def test_odd_answers_are_one_line(question: str, kind: str, body: bytes) -> None:
    handler = type("Odd", (_Odd,), {"body": body, "kind": kind})
    server = HTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        said = command(question, "--url", f"http://127.0.0.1:{server.server_port}")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert said.returncode == 65, said.stderr
    assert said.stderr.count("\n") == 1, said.stderr
    assert "node_answer_invalid" in said.stderr
    assert "\x1b" not in said.stderr + said.stdout
