"""Goal: a node behind a plain HTTP/2 reverse proxy is a node as any other; and so is one on IPv6.

Method: nginx with a certificate of an authority before a node without TLS. Others know the proxy's address
only, the third only from gossip, and so the certificate that it shows.
"""

from pathlib import Path

import pytest
from tests.integration.reverse_proxy import ReverseProxy
from tests.integration.test_overlay_processes import OverlayProcess, known, linked, running, until
from tests.ports import free_ports

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]


def test_a_node_behind_a_proxy_is_found_and_its_blocks_reach_all(tmp_path: Path) -> None:
    behind, second, third, port = free_ports(4)
    proxy = ReverseProxy(tmp_path / "nginx", port, behind)
    first = OverlayProcess(
        0,
        [behind],
        tmp_path / "first",
        "--plain",
        *("--public", f"127.0.0.1:{port}"),
        *("--proxy", "127.0.0.1", "--proxy-certificate", proxy.certificate_hash),
        *("--block-every-s", 1),
    )
    others = [
        OverlayProcess(1, [port, second], tmp_path / "second"),  # knows the proxy's address
        OverlayProcess(1, [second, third], tmp_path / "third", "--block-every-s", 3),
    ]
    for folder in ("first", "second", "third"):
        (tmp_path / folder).mkdir()
    nodes = [first, *others]
    with proxy.running(), running(nodes):
        until("all know all", lambda: all(known(node) == 2 for node in nodes))
        until("all are linked", lambda: all(linked(node) == 2 for node in nodes))
        height = max(node.height for node in nodes) + 3
        until("blocks at all", lambda: all(node.height >= height for node in nodes))
        for node in nodes:
            assert "Traceback" not in node.text, node.tail(60)
            assert "quarantined" not in node.text, node.tail(60)
    assert "/tetrarch.Overlay/Talk" in proxy.log  # a stream is written when it ends


def test_ipv6_and_ipv4_at_once(tmp_path: Path) -> None:
    ports = free_ports(3)
    first = OverlayProcess(0, ports, tmp_path, "--listen", f"[::1]:{ports[1]}")
    second = OverlayProcess(
        0,
        [ports[2]],
        tmp_path / "second",
        *("--listen", f"[::1]:{ports[2]}", "--public", f"[::1]:{ports[2]}"),
        *("--trusted", f"[::1]:{ports[1]}", "--block-every-s", 1),
    )
    (tmp_path / "second").mkdir()
    with running([first, second]):
        until("they are linked", lambda: linked(first) == linked(second) == 1)
        until("blocks at both", lambda: first.height >= 2)
        assert first.nodes()[0]["address"] == f"[::1]:{ports[2]}"
