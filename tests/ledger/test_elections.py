"""Blocks of a chain whose leaders are elected hold by a certificate that is in the chain, and by nothing else."""

import json
from collections.abc import Iterable
from dataclasses import replace

import pytest
from tests.election.support import KEYS, configuration, leading, view_of
from tests.ledger.chain_maker import bft_genesis, unsigned_block
from tests.ledger.makers import bft_signed

from tetrarch.election.certificates import LeaderCertificate
from tetrarch.election.configuration import Configuration, Rule
from tetrarch.election.documents import certificate_fields, configuration_document
from tetrarch.election.keys import MemberKeys
from tetrarch.election.statements import Leader
from tetrarch.errors import PeerFault
from tetrarch.ledger.applying import (
    BlockRefused,
    Place,
    apply_block,
    first_place,
    leaders_of,
    split_content,
)
from tetrarch.ledger.blocks import Block, Fragment
from tetrarch.ledger.dates import BlockDate
from tetrarch.ledger.elections import (
    SIZE_BYTES_MAX,
    Elected,
    ElectionRefused,
    decode_election,
    elected_of,
    encode_document,
    encode_election,
    is_election,
)
from tetrarch.ledger.genesis import Genesis, GenesisInvalid, genesis_block, read_genesis
from tetrarch.ledger.leaders import BftLeaders, LeaderRefused
from tetrarch.ledger.parameters import Mode, Parameters
from tetrarch.ledger.tables import Base

C = configuration(4)
MEMBER_KEYS = MemberKeys(tuple(key.public_key().public_bytes_raw() for key in KEYS[:4]))
DOCUMENT = configuration_document(C, MEMBER_KEYS)
PARAMETERS = Parameters(mode=Mode.ELECTED, slots_per_epoch=10)


def elected_genesis(document: bytes = DOCUMENT, count: int = 4) -> Genesis:
    return bft_genesis(count, parameters=PARAMETERS, election=document)


ROOT = first_place(genesis_block(elected_genesis()), Base())


def certificate(
    member: int, term: int, signers: Iterable[int] = (0, 1, 2), c: Configuration = C
) -> LeaderCertificate:
    return leading(Leader(view_of(c, term=term), member), signers)


def election(member: int, term: int, signers: Iterable[int] = (0, 1, 2)) -> Fragment:
    return encode_election(certificate(member, term, signers), C)


def block(place: Place, slot: int, maker: int, *fragments: Fragment) -> Block:
    made = unsigned_block(place, BlockDate(0, slot), fragments)
    return replace(made, header=bft_signed(made.header, maker))


def refused(place: Place, one: Block, *, reason: str, kind: type[PeerFault] = PeerFault) -> None:
    with pytest.raises(kind) as caught:
        apply_block(place, one)
    assert reason in str(caught.value)


def test_its_first_block_names_the_election() -> None:
    genesis = elected_genesis()
    assert read_genesis(genesis_block(genesis)) == genesis
    assert elected_of(ROOT.layer) is None
    assert leaders_of(ROOT.layer, 0) is None


def test_a_first_block_without_all_that_judges_certificates_begins_no_chain() -> None:
    for wrong in (
        {"parameters": PARAMETERS},
        {"parameters": replace(PARAMETERS, mode=Mode.BFT), "election": DOCUMENT},
    ):
        with pytest.raises(GenesisInvalid, match="goes with mode elected"):
            bft_genesis(4, **wrong)
    unknown = configuration_document(C, MemberKeys((*MEMBER_KEYS.raw[:3], None)))
    for document, count, why in (
        (DOCUMENT, 3, "leaders=3"),
        (unknown, 4, "key is not in it"),
        (b"{}", 4, "missing required field"),
    ):
        with pytest.raises(GenesisInvalid) as caught:
            first_place(genesis_block(elected_genesis(document, count)), Base())
        assert why in str(caught.value)


def test_nobody_leads_before_the_first_term_and_who_is_elected_then_in_every_slot() -> None:
    refused(ROOT, block(ROOT, 1, 0), reason="nobody may make blocks")
    place = apply_block(ROOT, block(ROOT, 1, 2, election(2, 1)))
    assert elected_of(place.layer) == Elected(1, 2)
    for slot in (2, 3, 9):
        place = apply_block(place, block(place, slot, 2))
    leaders = leaders_of(place.layer, 1)
    assert isinstance(leaders, BftLeaders)
    assert {leaders.leader(slot) for slot in range(10)} == {elected_genesis().leaders[2]}


def test_another_member_s_block_holds_from_its_own_term_on() -> None:
    place = apply_block(ROOT, block(ROOT, 1, 2, election(2, 1)))
    refused(place, block(place, 2, 3), reason="turn", kind=LeaderRefused)
    refused(place, block(place, 2, 2, election(3, 2)), reason="turn", kind=LeaderRefused)
    place = apply_block(place, block(place, 2, 3, election(3, 5)))
    assert elected_of(place.layer) == Elected(5, 3)
    refused(place, block(place, 3, 2), reason="turn", kind=LeaderRefused)


def test_a_term_that_is_over_is_over() -> None:
    place = apply_block(ROOT, block(ROOT, 1, 2, election(2, 3)))
    for term in (1, 3):
        refused(place, block(place, 2, 1, election(1, term)), reason="after=3")


@pytest.mark.parametrize("signers", [(0, 1), (0,), ()])
def test_too_few_elect_nobody(signers: tuple[int, ...]) -> None:
    refused(ROOT, block(ROOT, 1, 2, election(2, 1, signers)), reason="", kind=ElectionRefused)


def test_a_signature_that_is_none_elects_nobody() -> None:
    good = certificate(2, 1)
    (first, (_, signature), *rest) = good.signatures
    false = replace_signatures(good, (first, (1, bytes(len(signature))), *rest))
    for wrong in (false, replace_signatures(good, (first, (3, signature)))):
        one = block(ROOT, 1, 2, encode_election(wrong, C))
        refused(ROOT, one, reason="", kind=ElectionRefused)


def replace_signatures(
    one: LeaderCertificate, signatures: tuple[tuple[int, bytes], ...]
) -> LeaderCertificate:
    return LeaderCertificate(one.leader, signatures)


def test_what_is_no_certificate_of_this_election_is_refused() -> None:
    other = configuration(4, rule=Rule.ROUND_ROBIN)
    foreign = encode_election(certificate(2, 1, c=other), other)
    good = election(2, 1)
    spaced = Fragment(good[:1] + b" " + good[1:])
    huge = Fragment(good + b" " * SIZE_BYTES_MAX)
    for wrong in (foreign, Fragment(good[:1]), Fragment(good[:-1]), spaced, huge):
        assert is_election(wrong)
        with pytest.raises(ElectionRefused):
            decode_election(wrong, ROOT.layer)
        refused(ROOT, block(ROOT, 1, 2, wrong), reason="", kind=ElectionRefused)
    assert decode_election(good, ROOT.layer).certificate == certificate(2, 1)


def test_other_chains_have_no_election() -> None:
    place = first_place(genesis_block(bft_genesis(4)), Base())
    with pytest.raises(ElectionRefused, match="not elected"):
        decode_election(election(2, 1), place.layer)


def test_a_block_has_one_election_and_has_it_first() -> None:
    refused(
        ROOT,
        block(ROOT, 1, 2, election(1, 1), election(2, 2)),
        reason="elections=2",
        kind=BlockRefused,
    )
    one = block(ROOT, 1, 2, election(2, 1), Fragment(b"\x01rest"))
    assert split_content(one).elections == (election(2, 1),)
    late = block(ROOT, 1, 2, Fragment(b"\x01rest"), election(2, 1))
    assert split_content(late).elections == ()


def test_what_members_print_is_what_travels() -> None:
    printed = json.dumps(certificate_fields(certificate(2, 1), C), indent=2).encode()
    assert encode_document(printed) == election(2, 1)
