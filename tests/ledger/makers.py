"""Makers of blocks for tests: real keys, headers signed as a node signs them."""

from dataclasses import dataclass, replace
from functools import cache
from hashlib import blake2b

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tetrarch.crypto.kes import KesKey
from tetrarch.crypto.vrf import VrfKey
from tetrarch.entropy import system_entropy
from tetrarch.ledger.accounts import AccountId, add_value
from tetrarch.ledger.blocks import content_hash
from tetrarch.ledger.dates import BlockDate
from tetrarch.ledger.fragments.kind import Body
from tetrarch.ledger.fragments.signed import SignedFragment
from tetrarch.ledger.headers import NO_PARENT, BftProof, BlockId, Header, PoolId, PraosProof
from tetrarch.ledger.leaders import Pool, PraosLeaders
from tetrarch.ledger.praos import drawn, vrf_input
from tetrarch.ledger.tables import Base, Draft, first_layer


def header_at(date: BlockDate) -> Header:
    """Without content and without a proof."""
    return Header(
        content_size_bytes=0,
        date=date,
        chain_length=1,
        content_hash=content_hash(b""),
        parent=NO_PARENT,
    )


@cache
def bft_key(number: int) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(blake2b(b"%d" % number, digest_size=32).digest())


def bft_public(number: int) -> bytes:
    return bft_key(number).public_key().public_bytes_raw()


def bft_signed(header: Header, number: int) -> Header:
    """As leader ``number`` signs it."""
    header = replace(header, proof=BftProof(bft_public(number)))
    return replace(header, proof=BftProof(bft_public(number), bft_key(number).sign(header.signed)))


@dataclass(frozen=True)
class PoolKeys:
    """Of one pool. The evolving key is kept as of its first period."""

    pool: PoolId
    vrf: VrfKey
    kes_data: bytes
    kes_public: bytes

    def registered(self, stake: int, *, kes_start_slot: int = 0) -> Pool:
        return Pool(
            stake=stake,
            vrf_key=self.vrf.public_key,
            kes_key=self.kes_public,
            kes_start_slot=kes_start_slot,
        )

    def kes_at(self, period: int) -> KesKey:
        key = KesKey(bytearray(self.kes_data))
        for _ in range(period):
            key.evolve()
        return key

    def signed(self, header: Header, leaders: PraosLeaders, *, period: int | None = None) -> Header:
        """As the pool signs it, drawn or not."""
        slot = header.date.slot
        vrf_proof = self.vrf.prove(vrf_input(leaders.nonce, slot), system_entropy)
        if period is None:
            period = leaders.kes_period(self.pool, slot) or 0
        header = replace(header, proof=PraosProof(self.pool, vrf_proof))
        signature = self.kes_at(period).sign(header.signed)
        return replace(header, proof=PraosProof(self.pool, vrf_proof, signature))

    def is_drawn(self, leaders: PraosLeaders, slot: int) -> bool:
        message = vrf_input(leaders.nonce, slot)
        return drawn(message, self.vrf.evaluate(message)) < leaders.threshold(self.pool)

    def slots_drawn(self, leaders: PraosLeaders) -> list[int]:
        """Of the epoch."""
        return [slot for slot in range(leaders.era.slots_per_epoch) if self.is_drawn(leaders, slot)]


@cache
def pool_keys(number: int) -> PoolKeys:
    seed = blake2b(b"pool %d" % number, digest_size=64).digest()
    kes = KesKey.generate(seed[32:])
    return PoolKeys(
        pool=PoolId(blake2b(seed, digest_size=32).digest()),
        vrf=VrfKey.generate(lambda size_bytes: (seed * 2)[:size_bytes]),
        kes_data=kes.to_bytes(),
        kes_public=kes.public_key,
    )


BLOCK0 = BlockId(bytes(range(32)))


def account_id(number: int) -> AccountId:
    """Of the same keys that sign as leaders."""
    return AccountId(bft_public(number))


def signed_fragment(
    number: int,
    body: Body,
    *,
    counter: int = 0,
    last_epoch: int = 1,
    fee: int = 0,
    block0: BlockId = BLOCK0,
) -> SignedFragment:
    """As account ``number`` signs it."""
    fragment = SignedFragment(
        payer=account_id(number), counter=counter, last_epoch=last_epoch, fee=fee, body=body
    )
    return replace(fragment, signature=bft_key(number).sign(fragment.to_sign(block0)))


def draft_of(*values: int) -> Draft:
    """A state in which account 0 holds the first value, and so on."""
    draft = first_layer(Base()).draft()
    for number, value in enumerate(values):
        add_value(draft, account_id(number), value)
    return draft
