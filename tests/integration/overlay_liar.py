"""A node of the overlay by somebody who means harm: the first argument is how.

usage: python -m tests.integration.overlay_liar KIND PORT TRUSTED_PORT FOLDER

Its key and its greetings are real, as anybody's are, and until SIGUSR1 comes it is honest: who lies at once
is put aside before most have heard of it.

* ``signature``: it gossips of another node what that one did not sign.
* ``block``: it sends blocks that are not valid.
* ``stream``: it never stops talking, as fast as its links take it, and reads what is sent.
"""

import asyncio
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.network.overlay.support import BOTH
from tests.network.overlay.world import LOOPBACK, RULES, Node

from tetrarch.network.overlay.addresses import Address
from tetrarch.network.overlay.memory_chain import INVALID, MemoryChain, make_block
from tetrarch.network.overlay.messages import (
    Item,
    Kind,
    Records,
    Status,
    encode_gossip,
    encode_item,
    encode_status,
)
from tetrarch.network.overlay.profile import BLOCKS, FRAGMENTS, sign_profile
from tetrarch.network.overlay.settings import OverlaySettings, TrustedPeer

KINDS = ("signature", "block", "stream")
EVERY_S = 0.2
AT_ONCE = 1000  # messages for each link, before others get the loop


class Liar:
    """What it says, over and over, to whoever is linked."""

    def __init__(self, kind: str, node: Node) -> None:
        self._kind = kind
        self._node = node

    async def lie(self) -> None:
        links, every_s = self._node.links, 0.0 if self._kind == "stream" else EVERY_S
        while True:
            for other in links:
                for kind, payload in self._lies():
                    links.send(other, kind, payload)
            await asyncio.sleep(every_s or 0.005)

    def _lies(self) -> Iterator[tuple[int, bytes]]:
        tip = self._node.chain.tip()
        if self._kind == "signature":
            own = self._profile()
            yield Kind.GOSSIP, encode_gossip(Records(own, (), (own[:-1] + bytes([own[-1] ^ 1]),)))
        elif self._kind == "block":
            yield Kind.ITEM, encode_item(Item(BLOCKS, make_block(tip, 1, INVALID)))
        else:
            for _ in range(AT_ONCE):
                yield Kind.STATUS, encode_status(Status(tip.block, tip.height))
                yield Kind.ITEM, encode_item(Item(FRAGMENTS, bytes(900)))

    def _profile(self) -> bytes:
        overlay = self._node.overlay
        return sign_profile(
            overlay.identity.sign,
            node=self._node.node,
            time_s=int(overlay.now_s()),
            address=overlay.addresses[0],
            interests=BOTH,
        ).record


async def run(kind: str, port: int, trusted_port: int, folder: Path) -> None:
    address = Address(LOOPBACK, port)
    settings = OverlaySettings(
        rules=RULES,
        listen=(address,),
        public=address,
        trusted=(TrustedPeer(address=Address(LOOPBACK, trusted_port)),),
    )
    node = Node(folder, settings, MemoryChain(b"trial"))
    begin = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, begin.set)
    async with node.running():
        await begin.wait()
        await Liar(kind, node).lie()


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])))
