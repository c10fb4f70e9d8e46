"""Whatever a node knew of others it knows after a restart; bans most of all."""

import asyncio
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.network.overlay.support import BOTH, NOW_S, address, node_id
from tests.network.overlay.world import Node, nodes_of, until

from tetrarch.network.conduct import Fault, Tip
from tetrarch.network.overlay.known import Known, KnownLimits
from tetrarch.network.overlay.memory_chain import MemoryChain
from tetrarch.network.overlay.node_store import SCHEMA, NodeStore
from tetrarch.network.overlay.nodes import Disposition, Heard, Nodes
from tetrarch.network.overlay.policy import PolicyRules
from tetrarch.network.overlay.profile import BLOCKS, NodeId, Profile, sign_profile
from tetrarch.network.overlay.spreading import ItemId
from tetrarch.network.overlay.stored import StoredNodeDamaged
from tetrarch.storage.database import Database
from tetrarch.storage.inline import InlineDatabase


def signed(number: int, time_s: int = NOW_S) -> Profile:
    key = Ed25519PrivateKey.from_private_bytes(number.to_bytes(32, "big"))
    return sign_profile(
        key.sign,
        node=NodeId(key.public_key().public_bytes_raw()),
        time_s=time_s,
        address=address(f"20.0.{number}.1"),
        interests=BOTH,
    )


def empty() -> Nodes:
    made: list[Nodes] = []

    def dropped(node: NodeId) -> None:
        made[0].dropped(node)

    known = Known(KnownLimits(), Random(1), held=lambda _: False, took=lambda _: None, lost=dropped)
    made.append(Nodes(node_id(1000), known, PolicyRules()))
    return made[0]


A, B, C, D = (signed(number) for number in range(1, 5))


def lived() -> Nodes:
    nodes = empty()
    for each in (A, B, C):
        nodes.hear(each, each.node, now_s=NOW_S)
    nodes.met(A.node, now_s=NOW_S + 1, latency_s=0.25)
    conduct = nodes.conduct(A.node)
    assert conduct is not None
    conduct.brought(BLOCKS, NOW_S + 2, first=True)
    conduct.tip = Tip(ItemId(b"t" * 32), 7, NOW_S + 3)
    nodes.report_failure(A.node, now_s=NOW_S + 4)
    nodes.report_fault(B.node, Fault.INVALID_BLOCK, now_s=NOW_S + 5)
    nodes.ban(C.node, "it is us who know", now_s=NOW_S + 6)
    return nodes


def kept(storage: InlineDatabase, *, now_s: float = NOW_S + 10) -> Nodes:
    nodes = empty()
    asyncio.run(NodeStore(storage, nodes).load(now_s=now_s))
    return nodes


def test_all_is_there_again() -> None:
    storage = InlineDatabase.open((SCHEMA,))
    before = lived()
    asyncio.run(NodeStore(storage, before).save())
    after = kept(storage)
    assert set(after) == set(before) == {A.node, B.node}
    for node in (A.node, B.node):
        assert after.conduct(node) == before.conduct(node)
        assert after.disposition(node) is before.disposition(node)
        assert after.times_quarantined(node) == before.times_quarantined(node)
    assert after.known.profiles == before.known.profiles
    assert after.quarantined == before.quarantined
    assert after.bans == before.bans
    assert after.hear(replace(C, time_s=NOW_S + 9), C.node, now_s=NOW_S + 10) is Heard.BANNED


def test_who_was_silent_meanwhile_is_forgotten_and_who_was_put_aside_stays_so() -> None:
    storage = InlineDatabase.open((SCHEMA,))
    asyncio.run(NodeStore(storage, lived()).save())
    after = kept(storage, now_s=NOW_S + 5000)
    assert after.disposition(A.node) is Disposition.FORGOTTEN
    assert after.conduct(A.node) is None
    assert after.disposition(B.node) is Disposition.QUARANTINED


def test_only_what_changed_is_written_and_what_is_gone_is_removed() -> None:
    storage = InlineDatabase.open((SCHEMA,))
    nodes = lived()
    store = NodeStore(storage, nodes)

    async def main() -> None:
        await store.save()
        changes = storage._connection.total_changes
        await store.save()
        assert storage._connection.total_changes == changes
        nodes.met(A.node, now_s=NOW_S + 50)
        nodes.forget(B.node)
        nodes.unban(C.node)
        await store.save()
        assert storage._connection.total_changes == changes + 3

    asyncio.run(main())
    after = kept(storage)
    assert set(after) == {A.node}
    assert not after.bans


@pytest.mark.parametrize("table", ["overlay_nodes", "overlay_bans"])
def test_damage_is_said(table: str) -> None:
    storage = InlineDatabase.open((SCHEMA,))
    asyncio.run(NodeStore(storage, lived()).save())
    storage._connection.execute(f"UPDATE {table} SET content = x'c1'")
    with pytest.raises(StoredNodeDamaged):
        kept(storage)


def test_a_record_that_its_node_did_not_sign_is_not_believed() -> None:
    storage = InlineDatabase.open((SCHEMA,))
    nodes = empty()
    record = D.record[:-1] + bytes([D.record[-1] ^ 1])
    nodes.hear(replace(D, record=record), D.node, now_s=NOW_S)
    asyncio.run(NodeStore(storage, nodes).save())
    with pytest.raises(StoredNodeDamaged, match="signature"):
        kept(storage)


def test_a_node_that_is_restarted_dials_whom_it_knew_and_never_whom_it_banned(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        nodes = nodes_of(tmp_path, 4)
        path = tmp_path / "overlay.sqlite"
        database = Database.open(path, (SCHEMA,))
        keeper = Node(tmp_path / "3", nodes[3].overlay.settings, MemoryChain(), database)
        async with nodes[0].running(), nodes[1].running(), nodes[2].running():
            async with keeper.running():
                await until(lambda: len(keeper.links) == 3)
                await keeper.overlay.ban(nodes[1].node, "for a reason")
                await until(lambda: nodes[1].node not in keeper.links)
            await database.close()
            database = Database.open(path, (SCHEMA,))
            settings = replace(keeper.overlay.settings, trusted=())  # nobody tells it of anybody
            again = Node(tmp_path / "3", settings, MemoryChain(), database)
            async with again.running():
                await until(lambda: {nodes[0].node, nodes[2].node} <= set(again.links))
                assert set(again.nodes.bans) == {nodes[1].node}
                assert nodes[1].node not in again.nodes.known
        await database.close()

    asyncio.run(main())
