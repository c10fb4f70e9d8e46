"""Who lies to nodes whose leaders are elected: with copies of all leaders' keys, and of no election member's."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from random import Random
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tetrarch.ledger.applying import Place
from tetrarch.ledger.blocks import Block, Fragment, content_hash, encode_block, encode_content
from tetrarch.ledger.elections import elected_of
from tetrarch.ledger.headers import BftProof, Header
from tetrarch.ledger.tree import Tree
from tetrarch.sim.ledger_election import LedgerElection
from tetrarch.sim.ledger_node import Item


class Lie(Enum):
    """What is told."""

    TOO_FEW = "a certificate by too few"
    FORGED = "a certificate with a false signature"
    FOREIGN = "a certificate of another election"
    AGAIN = "a certificate that was told before"
    BLOCK_BY_TOO_FEW = "a block whose maker too few elected"
    BLOCK_AGAIN = "a block of a term that is over, with its certificate"
    BLOCK_BARE = "a block without the certificate that it needs"
    BLOCK_BESIDE = "a block of the term before, beside the first one of the next"


LIAR: Final = 99  # no node's number
CERTIFICATES: Final = frozenset({Lie.TOO_FEW, Lie.FORGED, Lie.FOREIGN, Lie.AGAIN})
# What holds, though who tells it means no good.
TRUE: Final = frozenset({Lie.AGAIN, Lie.BLOCK_BESIDE})


@dataclass(frozen=True, slots=True)
class Telling:
    """``to`` whom a lie is told, in a slot."""

    slot: float
    lie: Lie
    to: int


class Liar:
    """``secrets``: leaders' keys, by their place."""

    def __init__(self, election: LedgerElection, secrets: Sequence[bytes], rng: Random) -> None:
        self._election = election
        self._keys = [Ed25519PrivateKey.from_private_bytes(secret) for secret in secrets]
        self._rng = rng
        self._told: dict[Item, Lie] = {}

    @property
    def false(self) -> tuple[Item, ...]:
        """What no node may take."""
        return tuple(item for item, lie in self._told.items() if lie not in TRUE)

    def lie_of(self, content: bytes) -> Lie:
        """What it was that was told."""
        return next(lie for item, lie in self._told.items() if item.content == content)

    def tell(self, lie: Lie, tree: Tree, slot: float) -> Item | None:
        """What to tell a node whose blocks are in ``tree``; None: nothing comes of it now."""
        is_block = lie not in CERTIFICATES
        content = self._block(lie, tree, int(slot)) if is_block else self._certificate(lie, slot)
        if content is None:
            return None
        item = Item(is_block, content)
        self._told[item] = lie
        return item

    def _certificate(self, lie: Lie, slot: float) -> Fragment | None:
        terms = tuple(self._election.certified.values())
        above = replace(
            self._rng.choice(terms), number=terms[-1].number + self._rng.randrange(1, 9)
        )
        match lie:
            case Lie.TOO_FEW:
                return self._election.by_too_few(above)
            case Lie.FORGED:
                return self._election.forged(above)
            case Lie.FOREIGN:
                return self._election.of_another(above)
            case _:
                certified = self._election.certified
                told = [data for data, term in certified.items() if term.slot <= slot]
                return self._rng.choice(told) if told else None

    def _block(self, lie: Lie, tree: Tree, slot: int) -> bytes | None:
        tip, certified = tree.tip, self._election.certified
        elected = elected_of(tip.layer)
        known = 0 if elected is None else elected.term
        others = [
            each for each in certified.values() if elected is None or each.leader != elected.member
        ]
        if lie is Lie.BLOCK_BESIDE:
            return self._beside(tree, slot)
        if not others:
            return None
        term = self._rng.choice(others)
        if lie is Lie.BLOCK_BARE:
            return self._made(tip, slot, term.leader)
        if lie is Lie.BLOCK_BY_TOO_FEW:
            above = replace(term, number=known + 1)
            return self._made(tip, slot, above.leader, self._election.by_too_few(above))
        over = [data for data, each in certified.items() if each in others and each.number < known]
        if not over:
            return None
        data = self._rng.choice(over)
        return self._made(tip, slot, certified[data].leader, data)

    def _beside(self, tree: Tree, slot: int) -> bytes | None:
        """Upon what the newest term's first block stands upon, unless that is final: so its leader seems to go on."""
        for place in tree.line():
            parent = tree.get(place.header.parent)
            before = None if parent is None else elected_of(parent.layer)
            if parent is not None and before is not None and before != elected_of(place.layer):
                return self._made(parent, slot, before.member)
        return None

    def _made(self, parent: Place, slot: int, maker: int, *fragments: Fragment) -> bytes:
        content, key = encode_content(fragments), self._keys[maker]
        public = key.public_key().public_bytes_raw()
        header = Header(
            content_size_bytes=len(content),
            date=parent.settings.era.date(max(slot, parent.slot + 1)),
            chain_length=parent.header.chain_length + 1,
            content_hash=content_hash(content),
            parent=parent.id,
            proof=BftProof(public),
        )
        signed = replace(header, proof=BftProof(public, key.sign(header.signed)))
        return encode_block(Block(signed, fragments))
