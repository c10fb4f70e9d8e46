"""Whatever a block has that it must not: it is refused with a reason, leaves nothing, and the right one is taken after it."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import pytest
from tests.ledger.chain_maker import (
    bft_block,
    keys_as,
    next_praos,
    praos_block,
    praos_genesis,
    praos_leaders,
    unsigned_block,
)
from tests.ledger.makers import bft_key, bft_public, bft_signed
from tests.ledger.test_chain import GENESIS, ROOT, Opened, grown, opened, run, transfer

from tetrarch.ledger.applying import Place, first_place
from tetrarch.ledger.blocks import (
    Block,
    Fragment,
    encode_block,
    encode_content,
)
from tetrarch.ledger.checkpoints import encode_certificate
from tetrarch.ledger.dates import BlockDate
from tetrarch.ledger.finality import Certificate, Link
from tetrarch.ledger.fragments.signed import SignedFragment, encode_fragment
from tetrarch.ledger.genesis import genesis_block
from tetrarch.ledger.headers import Header, PraosProof
from tetrarch.ledger.tables import Base
from tetrarch.network.overlay.chain import Verdict
from tetrarch.network.overlay.profile import BLOCKS, FRAGMENTS

(ONE, FIRST), (TWO, SECOND), (_, RIGHT) = grown(ROOT, 1, 2, 3)
DATE = BlockDate(0, 3)
Making: TypeAlias = Callable[[], bytes]


def by(number: int, block: Block, **changes: object) -> bytes:
    """With another header, which leader ``number`` signs."""
    header = replace(block.header, **changes)  # type: ignore[arg-type]
    return encode_block(replace(block, header=bft_signed(header, number)))


def upon(*fragments: SignedFragment | Fragment) -> bytes:
    return encode_block(bft_block(TWO, DATE, *fragments))


def certificate(*numbers: int, signed_by: Sequence[int] | None = None) -> Fragment:
    link = Link(ROOT.checkpoint, ONE.checkpoint)
    signers = signed_by or numbers
    signatures = {
        bft_public(number): bft_key(signer).sign(link.to_sign(ROOT.id))
        for number, signer in zip(numbers, signers, strict=True)
    }
    return encode_certificate(Certificate(link, signatures))


def other_content() -> bytes:
    """A header that a leader signed, over what it does not have."""
    header = encode_block(bft_block(TWO, DATE))
    content = encode_content((Fragment(encode_fragment(transfer(TWO))),))
    return header + content


PAID = transfer(TWO)
LARGE = Fragment(bytes([1]) + bytes(16_384))
# By what is wrong: the block, and a part of the reason that is told.
BAD: dict[str, tuple[Making, str]] = {
    "wrong parent": (lambda: by(0, RIGHT, parent=ONE.id), "expected=2"),
    "wrong length": (lambda: by(0, RIGHT, chain_length=7), "expected=3"),
    "slot before its parent": (lambda: by(2, RIGHT, date=BlockDate(0, 2)), "after=0.2"),
    "slot that its epoch has not": (lambda: by(1, RIGHT, date=BlockDate(0, 1000)), "slots_per"),
    "future": (lambda: by(0, RIGHT, date=BlockDate(0, 504)), "its slot has not begun"),
    "another's turn": (lambda: by(1, RIGHT), "another leader's turn"),
    "false signature": (
        lambda: encode_block(
            replace(RIGHT, header=replace(RIGHT.header, proof=bft_signed(SECOND.header, 0).proof))
        ),
        "signature is false",
    ),
    "wrong content hash": (other_content, "content"),
    "half of it": (lambda: encode_block(RIGHT)[:-3], "header"),
    "certificate of too few": (lambda: upon(certificate(0, 1)), "needed=3"),
    "certificate with a false signature": (
        lambda: upon(certificate(0, 1, 2, signed_by=(0, 1, 3))),
        "verify vote",
    ),
    "certificate with a stranger": (lambda: upon(certificate(0, 1, 2, 8)), "may not vote"),
    "certificates after payments": (lambda: upon(PAID, certificate(0, 1, 2)), "no such kind"),
    "double spend in one block": (lambda: upon(PAID, PAID), "counter=0 expected=1"),
    "overspend": (lambda: upon(transfer(TWO, value=1001)), "holds=1000"),
    "oversize fragment": (lambda: upon(LARGE), ""),
    "oversize block": (lambda: upon(*(Fragment(LARGE[:-9]),) * 7), "maximum=102400"),
    "unknown kind": (lambda: upon(Fragment(b"\x63" + bytes(200))), "no such kind"),
    "signed for another chain": (
        lambda: upon(replace(PAID, signature=bft_key(0).sign(PAID.unsigned))),
        "signature is false",
    ),
}


async def refused(node: Opened, data: bytes, reason: str) -> None:
    tip, waiting = node.tip.id, len(node.chain.mempool)
    kept = len((await node.store.finals()).blocks), len(node.chain.tree)
    assert await node.chain.take(BLOCKS, data) is Verdict.INVALID
    lines = node.log.find("ledger_refused", what="block")
    told = [" ".join(f"{name}={value}" for name, value in line.items()) for line in lines]
    assert reason in told[-1], told[-1]
    assert (node.tip.id, len(node.chain.mempool)) == (tip, waiting)
    assert kept == (len((await node.store.finals()).blocks), len(node.chain.tree))


@pytest.mark.parametrize("what", BAD)
def test_a_block_with_it_is_refused_and_leaves_nothing(what: str, tmp_path: Path) -> None:
    make, reason = BAD[what]

    async def main() -> None:
        async with opened(tmp_path, GENESIS) as node:
            for block in (FIRST, SECOND):
                assert await node.take(block) is Verdict.NEW
            await refused(node, make(), reason)
            assert await node.take(RIGHT) is Verdict.NEW
        async with opened(tmp_path, GENESIS) as again:
            assert again.tip.id == RIGHT.header.id, "nothing is lost, nor more than there was"

    run(main())


def test_what_a_chain_spent_is_not_spent_again(tmp_path: Path) -> None:
    spent = grown(ROOT, 1, 2, payer=0)
    twice = bft_block(spent[-1][0], DATE, transfer(ROOT, value=1))

    async def main() -> None:
        async with opened(tmp_path, GENESIS) as node:
            for _, block in spent:
                assert await node.take(block) is Verdict.NEW
            await refused(node, encode_block(twice), "counter=0 expected=2")
            again = encode_fragment(transfer(ROOT, value=1))
            assert await node.chain.take(FRAGMENTS, again) is Verdict.STALE

    run(main())


# -- by stake -------------------------------------------------------------------------------------


def not_drawn(place: Place) -> BlockDate:
    """A slot that the pool of account 1, which has a tenth, did not draw."""
    leaders = praos_leaders(place, 0)
    after = place.header.date.slot + 1
    slot = next(slot for slot in range(after, 20) if not keys_as(1).is_drawn(leaders, slot))
    return BlockDate(0, slot)


def drawn(place: Place) -> BlockDate:
    leaders = praos_leaders(place, 0)
    after = place.header.date.slot + 1
    return BlockDate(0, next(s for s in range(after, 15) if keys_as(0).is_drawn(leaders, s)))


def with_proof(place: Place, **changes: object) -> Header:
    block = praos_block(place, drawn(place), 0)
    assert isinstance(block.header.proof, PraosProof)
    return replace(block.header, proof=replace(block.header.proof, **changes))  # type: ignore[arg-type]


def other_period(place: Place, period: int) -> Header:
    block = unsigned_block(place, drawn(place))
    return keys_as(0).signed(block.header, praos_leaders(place, 0), period=period)


def flipped(proof: bytes) -> bytes:
    return proof[:-1] + bytes([proof[-1] ^ 1])


BY_STAKE: dict[str, tuple[Callable[[Place], Header], str]] = {
    "bad VRF": (
        lambda place: with_proof(
            place,
            vrf_proof=flipped(praos_block(place, drawn(place), 0).header.proof.vrf_proof),  # type: ignore[union-attr]
        ),
        "what was drawn is false",
    ),
    "another's VRF": (
        lambda place: with_proof(
            place,
            vrf_proof=praos_block(place, drawn(place), 1).header.proof.vrf_proof,  # type: ignore[union-attr]
        ),
        "what was drawn is false",
    ),
    "not drawn": (
        lambda place: praos_block(place, not_drawn(place), 1).header,
        "was not drawn",
    ),
    "a KES period that is over": (lambda place: other_period(place, 1), "expected=0"),
    "a KES period of long after": (lambda place: other_period(place, 9), "expected=0"),
    "unknown pool": (lambda place: with_proof(place, pool=bytes(32)), "no such pool"),
    "false KES signature": (
        lambda place: with_proof(
            place,
            kes_signature=flipped(praos_block(place, drawn(place), 0).header.proof.kes_signature),  # type: ignore[union-attr]
        ),
        "signature is false",
    ),
}


@pytest.mark.parametrize("what", BY_STAKE)
def test_by_stake_too(what: str, tmp_path: Path) -> None:
    genesis = genesis_block(praos_genesis(900, 100))
    root = first_place(genesis, Base())
    make, reason = BY_STAKE[what]
    place, number = next_praos(root, pools=2)
    right = praos_block(root, place.header.date, number)

    async def main() -> None:
        async with opened(tmp_path, genesis) as node:
            await refused(node, encode_block(Block(make(root), ())), reason)
            assert await node.take(right) is Verdict.NEW

    run(main())
