"""Whom a node dials at its operator's word: linked, or told why not; never more than so many.

Dials by the layers' choice are tried with whole nodes in ``test_overlay``.
"""

import asyncio
import socket
from collections import Counter
from dataclasses import replace
from pathlib import Path

from tests.network.overlay.world import LOOPBACK, Node, nodes_of, until

from tetrarch.network.overlay.addresses import Address
from tetrarch.network.overlay.dials import CONNECTS_MAX
from tetrarch.network.overlay.settings import TrustedPeer


def all_linked(nodes: list[Node]) -> bool:
    return all(len(node.links) == len(node.nodes.known) == len(nodes) - 1 for node in nodes)


def test_whom_the_operator_names_is_linked_at_once_and_kept(tmp_path: Path) -> None:
    async def main() -> None:
        one, other = nodes_of(tmp_path, 2, trusted=())
        async with one.running(), other.running():
            (address,) = other.overlay.addresses
            outcome = await one.overlay.connect(TrustedPeer(address=address))
            assert (outcome.node, outcome.why_not) == (other.node, "")
            await until(lambda: all_linked([one, other]))
            named = TrustedPeer(
                address=address,
                node=other.node,
                certificate=other.overlay.identity.certificate_hash,
            )
            assert await one.overlay.connect(named) == outcome  # linked already
            assert all_linked([one, other])

    asyncio.run(main())


def test_why_whom_the_operator_names_is_not_linked_is_said(tmp_path: Path) -> None:
    async def main() -> None:
        one, other, third = nodes_of(tmp_path, 3, trusted=())
        async with one.running(), other.running():

            async def why_not(**changes: object) -> str:
                peer = replace(TrustedPeer(address=other.overlay.addresses[0]), **changes)  # type: ignore[arg-type]
                outcome = await one.overlay.connect(peer)
                assert other.node not in one.links
                await until(lambda: one.node not in other.links)  # if they met, it hears our end
                return outcome.why_not

            own = one.overlay.addresses[0]
            assert "overlay_node_differs" in await why_not(address=own)
            absent = third.overlay.addresses[0]
            assert "connection_refused" in await why_not(address=absent)
            assert "overlay_node_differs" in await why_not(node=third.node)
            pinned = await why_not(certificate=b"x" * 32)
            assert "overlay_certificate_not_pinned" in pinned
            await one.overlay.ban(other.node, "for a reason")
            assert "banned" in await why_not()
            await one.overlay.unban(other.node)
            await other.overlay.ban(one.node, "for a reason")
            outcome = await one.overlay.connect(TrustedPeer(address=other.overlay.addresses[0]))
            assert outcome.node == other.node
            assert outcome.why_not  # it met us, and hung up
            assert not one.nodes.known.profiles

    asyncio.run(main())


def test_a_mistaken_id_costs_its_node_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        nodes = nodes_of(tmp_path, 3)
        one, other, third = nodes
        async with one.running(), other.running(), third.running():
            await until(lambda: all_linked(nodes))
            mistaken = TrustedPeer(address=other.overlay.addresses[0], node=third.node)
            assert (await one.overlay.connect(mistaken)).why_not
            conduct = one.nodes.conduct(third.node)
            assert conduct is not None
            assert not conduct.faults

    asyncio.run(main())


def test_who_is_silent_is_given_up_and_so_many_are_tried_at_once(tmp_path: Path) -> None:
    async def main() -> None:
        (one,) = nodes_of(tmp_path, 1)
        listener = socket.create_server((str(LOOPBACK), 0), backlog=2 * CONNECTS_MAX)
        silent = TrustedPeer(address=Address(LOOPBACK, listener.getsockname()[1]))
        async with one.running():
            tries = (one.overlay.connect(silent) for _ in range(CONNECTS_MAX + 1))
            outcomes = await asyncio.gather(*tries)
            said = Counter("timeout" in outcome.why_not for outcome in outcomes)
            assert said == {True: CONNECTS_MAX, False: 1}
            (refused,) = (each for each in outcomes if "timeout" not in each.why_not)
            assert refused.why_not == f"{CONNECTS_MAX} are kept already"
            again = await one.overlay.connect(replace(silent, address=one.overlay.addresses[0]))
            assert "kept already" not in again.why_not
        listener.close()

    asyncio.run(main())


def test_a_node_that_does_not_run_yet_dials_once_it_does(tmp_path: Path) -> None:
    async def main() -> None:
        one, other = nodes_of(tmp_path, 2, trusted=())
        async with other.running():
            early = asyncio.create_task(
                one.overlay.connect(TrustedPeer(address=other.overlay.addresses[0]))
            )
            await asyncio.sleep(0)
            async with one.running():
                assert (await early).node == other.node
                assert other.node in one.links

    asyncio.run(main())


def test_who_is_banned_while_he_is_kept_is_left_alone(tmp_path: Path) -> None:
    async def main() -> None:
        one, other = nodes_of(tmp_path, 2, trusted=())
        async with one.running(), other.running():
            outcome = await one.overlay.connect(TrustedPeer(address=other.overlay.addresses[0]))
            assert outcome.node == other.node
            await one.overlay.ban(other.node, "for a reason")
            await until(lambda: one.overlay._dials._connects == 0)
            assert other.node not in one.links

    asyncio.run(main())
