"""A simulated node's ledger keys: the enclave's rules, on a disk that loses power."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import Final

import msgspec

from tetrarch.ledger.finality import Link, Voters
from tetrarch.ledger.fragments.signed import SignedFragment
from tetrarch.ledger.headers import BlockId, Header, PoolId
from tetrarch.ledger.keyring import KeptKeys, Keyring, LeaderIs, Lottery, TurnKeys, born
from tetrarch.ledger.membership import Change
from tetrarch.ledger.reservations import Kind, Receipt, Request

SIGNING_S: Final = 0.003
SLOT_S: Final = 0.0002  # of a schedule


@dataclass(slots=True)
class KeyDisk:
    """What is sealed on it, and what it was when it was last copied."""

    kept: KeptKeys
    copy: KeptKeys | None = None

    def store(self, kept: KeptKeys) -> None:
        """It is what is there from now on."""
        self.kept = kept

    def back_up(self) -> None:
        """Copy it."""
        self.copy = self.kept

    def restore(self) -> None:
        """Put the copy back."""
        self.kept = self.copy or self.kept


def seeded(rng: Random) -> Callable[[int], bytes]:
    """Entropy that is the same for the same seed."""
    return rng.randbytes


@cache
def _born(node: int, pool: PoolId | None) -> bytes:
    """Made once: a pool's keys take half a second, and no world's fate depends on them."""
    rng = Random(f"keys/{node}")
    disk = KeyDisk(born(seeded(rng)))
    keyring = Keyring(disk.kept, disk.store, seeded(rng))
    keyring.add_turn()
    if pool is not None:
        keyring.add_pool(pool)
    return msgspec.msgpack.encode(disk.kept)


def first_keys(node: int, pool: PoolId | None) -> KeptKeys:
    """Of a node with a leader in turn, and one of ``pool``, that were never used. Each call gives others' own to wipe."""
    return msgspec.msgpack.decode(_born(node, pool), type=KeptKeys)


def copy_of(kept: KeptKeys) -> KeptKeys:
    """The same, whose bytes are its own to wipe."""
    return msgspec.msgpack.decode(msgspec.msgpack.encode(kept), type=KeptKeys)


class SimKeys:
    """Implements ``leadership.ports.Keys``. ``on_block`` and ``on_vote`` hear of each signature that is made."""

    def __init__(
        self,
        disk: KeyDisk,
        block0: BlockId | None,
        rng: Random,
        *,
        on_block: Callable[[bytes, Header], None],
        on_vote: Callable[[bytes, Link], None],
    ) -> None:
        self._block0 = block0
        self._on_block = on_block
        self._on_vote = on_vote
        self._keyring = Keyring(disk.kept, disk.store, seeded(rng))
        if block0 is not None:
            self._keyring.bind(block0)
        self.voter = self._keyring.voter
        self.is_shared = self._keyring.is_shared

    async def leaders(self) -> tuple[LeaderIs, ...]:
        """See ``Keys``."""
        return self._keyring.leaders

    async def add_leader(self, pool: PoolId | None = None) -> LeaderIs:
        """See ``Keys``."""
        return self._keyring.add_turn() if pool is None else self._keyring.add_pool(pool)

    async def drop_leader(self, number: int) -> None:
        """See ``Keys``."""
        self._keyring.drop(number)

    async def slots(self, number: int, lottery: Lottery, slots: range) -> tuple[int, ...]:
        """See ``Keys``."""
        await asyncio.sleep(SLOT_S * len(slots))
        return self._keyring.drawn_in(number, lottery, slots)

    async def evolve(self, number: int, kes_period: int) -> None:
        """See ``Keys``."""
        self._keyring.evolve(number, kes_period)

    async def sign_block(
        self, number: int, header: Header, *, lottery: Lottery | None, kes_period: int
    ) -> Header:
        """See ``Keys``."""
        await asyncio.sleep(SIGNING_S)
        signed = self._keyring.sign_block(number, header, lottery=lottery, kes_period=kes_period)
        self._on_block(_public(self._keyring.leaders, number), signed)
        await asyncio.sleep(SIGNING_S)  # a crash may hit after it is made
        return signed

    async def sign_vote(self, link: Link) -> bytes:
        """See ``Keys``."""
        await asyncio.sleep(SIGNING_S)
        assert self._block0 is not None
        signature = self._keyring.sign_vote(link, self._block0)
        self._on_vote(self.voter, link)
        await asyncio.sleep(SIGNING_S)
        return signature

    async def sign_change(self, change: Change) -> bytes:
        """See ``Keys``."""
        assert self._block0 is not None
        return self._keyring.sign_change(change, self._block0)

    async def ask_span(self, kind: Kind, first: int, until: int) -> Request:
        """See ``Keys``."""
        assert self._block0 is not None
        return self._keyring.ask_span(kind, first, until, self._block0)

    async def grant(self, request: Request) -> Receipt:
        """See ``Keys``."""
        await asyncio.sleep(SIGNING_S)
        assert self._block0 is not None
        return self._keyring.grant(request, self._block0)

    async def hold(self, receipts: Sequence[Receipt], voters: tuple[Voters, ...]) -> None:
        """See ``Keys``."""
        await asyncio.sleep(SIGNING_S)
        assert self._block0 is not None
        self._keyring.hold(receipts, voters, self._block0)

    async def sign_fragment(self, fragment: SignedFragment) -> bytes:
        """See ``Keys``."""
        assert self._block0 is not None
        return self._keyring.sign_fragment(fragment, self._block0)


def _public(leaders: tuple[LeaderIs, ...], number: int) -> bytes:
    keys = next(each.keys for each in leaders if each.number == number)
    return keys.leader if isinstance(keys, TurnKeys) else keys.vrf_key
