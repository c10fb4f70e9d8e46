"""What an operator orders of a node of the overlay is done, or refused by name."""

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.network.overlay.world import Node, nodes_of, until

from tetrarch.api.overlay_controls import overlay_controls
from tetrarch.errors import InputInvalid


async def ordered(one: Node, path: str, /, **asked: object) -> Any:
    """As it comes over the wire."""
    control = overlay_controls(one.overlay)[f"overlay/{path}"]
    return await control.act(msgspec.json.decode(msgspec.json.encode(asked), type=control.asked))


def test_a_node_is_dialled_banned_and_let_in_again(tmp_path: Path) -> None:
    async def main() -> None:
        one, two = nodes_of(tmp_path, 2, trusted=())
        address = two.overlay.addresses[0]
        async with one.running(), two.running():
            assert await ordered(one, "connect", peer=str(address)) == {
                "address": str(address),
                "node": two.node.hex(),
                "linked": True,
                "why_not": "",
            }
            await until(lambda: two.node in one.nodes.known)
            await ordered(one, "ban", node=two.node.hex()[:8], reason="for a reason")
            assert one.nodes.bans[two.node].reason == "for a reason"
            await until(lambda: two.node not in one.links)
            told = await ordered(one, "connect", peer=f"{address},{two.node.hex()}")
            assert not told["linked"]
            assert "banned" in told["why_not"]
            told = await ordered(one, "unban", node=two.node.hex()[:8])
            assert told == {"node": two.node.hex(), "was_banned": True}
            assert two.node not in one.nodes.bans
            told = await ordered(one, "unban", node=two.node.hex())
            assert told == {"node": two.node.hex(), "was_banned": False}

    asyncio.run(main())


def test_who_is_not_known_is_banned_by_the_whole_id(tmp_path: Path) -> None:
    async def main() -> None:
        (one,) = nodes_of(tmp_path, 1)
        await ordered(one, "ban", node="0x" + "ab" * 32)
        assert {node.hex(): ban.reason for node, ban in one.nodes.bans.items()} == {
            "ab" * 32: "by the operator"
        }
        for path, asked in (
            ("ban", {"node": "ab" * 31}),
            ("ban", {"node": one.node.hex()}),
            ("unban", {"node": "cdcd"}),
            ("connect", {"peer": "here"}),
            ("connect", {"peer": "127.0.0.1:1,zz"}),
        ):
            with pytest.raises(InputInvalid):
                await ordered(one, path, **asked)
        assert len(one.nodes.bans) == 1

    asyncio.run(main())


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("ban", {}),
        ("ban", {"node": "x" * 64}),
        ("ban", {"node": "ab" * 34}),
        ("ban", {"node": "ab" * 32 + "\n"}),
        ("ban", {"node": "abcd", "reason": "\x1b[2J"}),
        ("ban", {"node": "abcd", "reason": "x" * 256}),
        ("ban", {"node": "abcd", "more": 1}),
        ("unban", {"node": 7}),
        ("connect", {"peer": "\n"}),
        ("connect", {"peer": "x" * 256}),
    ],
)
def test_a_wrong_body_is_refused(tmp_path: Path, path: str, asked: dict[str, object]) -> None:
    (one,) = nodes_of(tmp_path, 1)
    with pytest.raises(msgspec.ValidationError):
        asyncio.run(ordered(one, path, **asked))
    assert not one.nodes.bans
