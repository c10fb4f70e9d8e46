"""The messages in the package are what their descriptions make, and so are their bytes."""

from pathlib import Path

import pytest
from tests.protos import FOLDER, SOURCE, make_protos

from tetrarch.network.proto import node_pb2


def test_generated_files_are_current(tmp_path: Path) -> None:
    make_protos(tmp_path)
    for made in sorted(tmp_path.rglob("*_pb2.py*")):
        kept = SOURCE / made.relative_to(tmp_path)
        assert made.read_text() == kept.read_text(), f"run: python -m tests.protos ({kept.name})"
    assert len(list(FOLDER.glob("*_pb2.py"))) == len(list(FOLDER.glob("*.proto"))) == 3


@pytest.mark.parametrize(
    ("message", "wire"),
    [
        (node_pb2.HandshakeRequest(nonce=b"ab"), "0a026162"),
        (
            node_pb2.HandshakeResponse(
                version=1, block0=b"a", node_id=b"b", signature=b"c", nonce=b"d"
            ),
            "08011201611a01622201632a0164",
        ),
        (node_pb2.ClientAuthRequest(node_id=b"a", signature=b"b"), "0a0161120162"),
        (node_pb2.TipResponse(block_header=b"a"), "0a0161"),
        (node_pb2.PeersRequest(limit=32), "0820"),
        (node_pb2.PeersResponse(peers=[b"a"]), "120161"),
        (node_pb2.PullHeadersRequest(to=b"a"), "120161"),
        (node_pb2.BlockEvent(announce={"content": b"a"}), "0a030a0161"),
        (node_pb2.BlockEvent(solicit={"ids": [b"a"]}), "12030a0161"),
        (node_pb2.BlockEvent(missing={"to": b"a"}), "1a03120161"),
        (node_pb2.Gossip(nodes=[b"a", b"b"]), "120161120162"),
    ],
)
def test_fields_stand_where_the_reference_has_them(message: object, wire: str) -> None:
    assert message.SerializeToString().hex() == wire  # type: ignore[attr-defined]
