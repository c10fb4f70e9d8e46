"""A quorum of known voters vouches for a state and its voters; whatever else is shown proves nothing."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from tests.ledger.chain_maker import bft_block
from tests.ledger.state_world import OLD, ROOT, change, linked

from tetrarch.errors import PeerFault
from tetrarch.ledger.applying import Place, apply_block
from tetrarch.ledger.blocks import Block, Fragment
from tetrarch.ledger.checkpoints import encode_certificate
from tetrarch.ledger.finality import Certificate, Voters
from tetrarch.ledger.headers import BlockId
from tetrarch.ledger.membership import encode_change, membership_of
from tetrarch.ledger.state_chunks import StateRefused, digest_of
from tetrarch.ledger.state_proofs import (
    StateProof,
    check_proofs,
    decode_proof,
    encode_proof,
    needed_proofs,
)

FIRST = membership_of(ROOT.layer).members


def grown(place: Place, slot: int, *fragments: Fragment) -> tuple[Place, Block]:
    block = bft_block(place, place.settings.era.date(slot), *fragments)
    return apply_block(place, block), block


def proof_of(
    state: Place, block: Block, *, certificate: Certificate, headers: Sequence[Place] = ()
) -> StateProof:
    voters = membership_of(state.layer).members
    return StateProof(block, tuple(each.header for each in headers), certificate, voters)


# Epoch 0 ends with NINE, and TEN says so; ELEVEN and TWELVE are upon it.
NINE, _ = grown(ROOT, 9)
TEN, TEN_BLOCK = grown(NINE, 10)
ELEVEN, _ = grown(TEN, 11)
TWELVE, _ = grown(ELEVEN, 12)
PLAIN = proof_of(NINE, TEN_BLOCK, certificate=linked(NINE, TEN, 0, 1, 2))


def check(proof: StateProof, trusted: Voters = FIRST) -> None:
    proof.check(trusted, ROOT.id)


def test_votes_for_the_block_that_has_it_prove_a_state() -> None:
    check(PLAIN)
    assert PLAIN.state_height == 1
    assert PLAIN.digest == digest_of(NINE.layer)
    assert check_proofs([PLAIN], FIRST, ROOT.id) == digest_of(NINE.layer)


def test_votes_for_a_later_block_prove_it_by_the_headers_between() -> None:
    certificate = linked(ELEVEN, TWELVE, 1, 2, 3)
    check(proof_of(NINE, TEN_BLOCK, certificate=certificate, headers=[ELEVEN, TWELVE]))
    for headers in ([TWELVE], [ELEVEN], [TWELVE, ELEVEN], []):
        with pytest.raises(StateRefused, match=r"no branch|another block"):
            check(proof_of(NINE, TEN_BLOCK, certificate=certificate, headers=headers))


def test_too_few_votes_prove_nothing() -> None:
    few = replace(PLAIN, certificate=linked(NINE, TEN, 0, 1))
    with pytest.raises(StateRefused, match="needed"):
        check(few)
    strangers = replace(PLAIN, certificate=linked(NINE, TEN, 0, 1, 4, 5, 6))
    with pytest.raises(StateRefused, match="needed"):
        check(strangers)


def test_what_nobody_signed_proves_nothing() -> None:
    signatures = dict(linked(NINE, TEN, 0, 1, 2).signatures)
    signatures |= dict(linked(TEN, ELEVEN, 2).signatures)  # for something else
    forged = replace(PLAIN, certificate=Certificate(PLAIN.certificate.link, signatures))
    with pytest.raises(PeerFault, match="verify vote"):
        check(forged)
    with pytest.raises(PeerFault, match="verify vote"):
        PLAIN.check(FIRST, BlockId(bytes(32)))


def test_who_is_not_known_is_not_looked_at() -> None:
    false = linked(TEN, ELEVEN, 5).signatures  # of somebody else, for something else
    signatures = {**PLAIN.certificate.signatures, **false}
    check(replace(PLAIN, certificate=Certificate(PLAIN.certificate.link, signatures)))


def test_votes_that_make_nothing_final_prove_nothing() -> None:
    """They are for a block of a branch that may never count."""
    skipping = proof_of(
        NINE, TEN_BLOCK, certificate=linked(NINE, ELEVEN, 0, 1, 2), headers=[ELEVEN]
    )
    with pytest.raises(StateRefused, match="nothing is final"):
        check(skipping)
    below = proof_of(NINE, TEN_BLOCK, certificate=linked(ROOT, NINE, 0, 1, 2))
    with pytest.raises(StateRefused, match="another block"):
        check(below)


def test_a_block_without_a_digest_proves_nothing() -> None:
    block = bft_block(TEN, TEN.settings.era.date(11))
    bare = proof_of(TEN, block, certificate=linked(TEN, ELEVEN, 0, 1, 2))
    with pytest.raises(StateRefused, match="no state digest"):
        check(bare)


def test_other_voters_than_those_of_the_state_are_refused() -> None:
    """Who could choose them would vouch for all that comes after."""
    chosen = replace(PLAIN, voters=Voters({bytes(32): 1}))
    with pytest.raises(StateRefused, match="voters are not those"):
        check(chosen)


def changed() -> tuple[StateProof, StateProof, StateProof]:
    """Epoch 0's, the one by which others vote, and epoch 2's, by these."""
    eleven, _ = grown(TEN, 11, encode_change(change()))
    votes = [linked(ROOT, NINE, 0, 1, 2), linked(NINE, TEN, 0, 1, 2)]
    twelve, _ = grown(eleven, 12, *map(encode_certificate, votes))
    votes = [linked(TEN, eleven, 0, 1, 2), linked(eleven, twelve, 0, 1, 2)]
    thirteen, _ = grown(twelve, 13, *map(encode_certificate, votes))
    fourteen, block = grown(thirteen, 14)
    both = linked(thirteen, fourteen, 0, 1, 2, 3, 4, 5)
    handed = proof_of(thirteen, block, certificate=both)
    votes = [linked(twelve, thirteen, 0, 1, 2, 3, 4, 5), both]
    fifteen, _ = grown(fourteen, 15, *map(encode_certificate, votes))
    twenty, block = grown(fifteen, 20)
    last = proof_of(fifteen, block, certificate=linked(fifteen, twenty, 4, 5, 6))
    assert set(membership_of(fifteen.layer).members.weights) != set(FIRST.weights)
    return PLAIN, handed, last


def test_voters_are_followed_from_proof_to_proof() -> None:
    plain, handed, last = changed()
    digest = check_proofs([plain, handed, last], FIRST, ROOT.id)
    assert digest == last.digest
    assert check_proofs([handed, last], FIRST, ROOT.id) == digest
    for proofs in ([plain, last], [last], [last, handed]):
        with pytest.raises(PeerFault, match=r"needed|not in order"):
            check_proofs(proofs, FIRST, ROOT.id)


def test_no_proofs_prove_nothing_and_none_is_shown_twice() -> None:
    with pytest.raises(StateRefused, match="nothing proves it"):
        check_proofs([], FIRST, ROOT.id)
    with pytest.raises(StateRefused, match="not in order"):
        check_proofs([PLAIN, PLAIN], FIRST, ROOT.id)


def test_only_what_is_needed_is_given() -> None:
    plain, handed, last = changed()
    assert needed_proofs([plain, handed, last], FIRST) == [handed, last]
    assert needed_proofs([plain, handed], FIRST) == [handed]
    assert needed_proofs([plain], FIRST) == [plain]
    assert needed_proofs([], FIRST) == []


def test_a_proof_has_one_form() -> None:
    certificate = linked(ELEVEN, TWELVE, *OLD)
    for proof in (
        PLAIN,
        proof_of(NINE, TEN_BLOCK, certificate=certificate, headers=[ELEVEN, TWELVE]),
    ):
        data = encode_proof(proof)
        assert decode_proof(data) == proof
        for wrong in (data[:-1], data + b"\0", b"\1" + data[1:], b""):
            with pytest.raises(PeerFault):
                decode_proof(wrong)
