"""Proposals: full, blinded and signed, in bytes and JSON, against the generic types."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.ethereum.spec.oracle import oracle_type
from tests.ssz.random_values import random_value

from tetrarch.errors import InputInvalid
from tetrarch.ethereum.spec.forks import spec_types
from tetrarch.ethereum.spec.proposals import Proposal, SignedProposal, sign_proposal
from tetrarch.ethereum.spec.values import Fork
from tetrarch.ssz.container import Container, Record

SIGNATURE = bytes(range(96))
FORMS = [
    pytest.param(fork, blinded, preset, id=f"{preset}-{fork.value}-{form}")
    for preset in ("minimal", "mainnet")
    for fork in Fork
    for form, blinded in (("full", False), ("blinded", True))
    if fork.at_least(Fork.BELLATRIX) or not blinded
]


def names(fork: Fork, blinded: bool) -> tuple[str, str]:
    """Names of the unsigned and the signed type."""
    if blinded:
        return "BlindedBeaconBlock", "SignedBlindedBeaconBlock"
    if fork.at_least(Fork.DENEB):
        return "BlockContents", "SignedBlockContents"
    return "BeaconBlock", "SignedBeaconBlock"


def types(fork: Fork, blinded: bool, preset: str) -> tuple[Container, Container]:
    table = spec_types(fork, preset)
    unsigned, signed = names(fork, blinded)
    return getattr(table, unsigned), getattr(table, signed)


def sample(fork: Fork, blinded: bool, preset: str) -> tuple[Record, Record, Proposal]:
    """What is produced, the block in it, and the proposal."""
    kind, _ = types(fork, blinded, preset)
    produced = random_value(kind, Random(f"{fork}/{blinded}/{preset}"))
    proposal = Proposal.from_ssz(fork, blinded, produced.encode(), preset=preset)
    return produced, produced.block if hasattr(produced, "block") else produced, proposal


@pytest.mark.parametrize(("fork", "blinded", "preset"), FORMS)
def test_proposal_holds_the_block(fork, blinded, preset):
    produced, block, proposal = sample(fork, blinded, preset)
    assert proposal.ssz == produced.encode()
    assert proposal.hash_tree_root() == block.hash_tree_root()
    assert proposal.header.hash_tree_root() == block.hash_tree_root()
    assert proposal.header.slot == block.slot
    assert proposal.randao_reveal == block.body.randao_reveal
    assert proposal.graffiti == block.body.graffiti
    if not fork.at_least(Fork.BELLATRIX):
        assert proposal.fee_recipient is None
    else:
        name = "execution_payload_header" if blinded else "execution_payload"
        assert proposal.fee_recipient == getattr(block.body, name).fee_recipient
    assert proposal.to_json() == produced.to_json()
    assert Proposal.from_json(fork, blinded, proposal.to_json(), preset=preset) == proposal


@pytest.mark.parametrize(("fork", "blinded", "preset"), FORMS)
def test_signed_proposal_is_the_signed_type(fork, blinded, preset):
    produced, block, proposal = sample(fork, blinded, preset)
    _, signed_kind = types(fork, blinded, preset)
    signed_block = {"message": block, "signature": SIGNATURE}
    if hasattr(produced, "block"):
        inner = spec_types(fork, preset).SignedBeaconBlock(**signed_block)
        rest = {"kzg_proofs": produced.kzg_proofs, "blobs": produced.blobs}
        expected = signed_kind(signed_block=inner, **rest)
    else:
        expected = signed_kind(**signed_block)

    signed = sign_proposal(proposal, SIGNATURE)

    assert signed.ssz == expected.encode()
    assert signed.to_json() == expected.to_json()
    assert (signed.fork, signed.blinded, signed.preset) == (fork, blinded, preset)
    assert signed.header == proposal.header
    assert SignedProposal.from_ssz(fork, blinded, signed.ssz, preset=preset) == signed
    assert SignedProposal.from_json(fork, blinded, signed.to_json(), preset=preset) == signed


@pytest.mark.parametrize("fork", [Fork.BELLATRIX, Fork.DENEB, Fork.ELECTRA, Fork.FULU])
def test_full_and_blinded_form_have_one_root(fork):
    table = spec_types(fork, "minimal")
    block = random_value(table.BeaconBlock, Random(fork.value))
    payload = block.body.execution_payload
    lists = table.ExecutionPayload.fields
    header = {
        name: getattr(payload, name)
        if name in lists
        else lists[name.removesuffix("_root")].hash_tree_root(
            getattr(payload, name.removesuffix("_root"))
        )
        for name in table.ExecutionPayloadHeader.fields
    }
    body = {name: getattr(block.body, name) for name in table.BeaconBlockBody.fields}
    del body["execution_payload"]
    blinded_body = table.BlindedBeaconBlockBody(
        execution_payload_header=table.ExecutionPayloadHeader(**header), **body
    )
    fields = {name: getattr(block, name) for name in table.BeaconBlock.fields}
    blinded = table.BlindedBeaconBlock(**{**fields, "body": blinded_body})
    assert blinded.hash_tree_root() == block.hash_tree_root()


def test_equality_is_of_bytes_fork_and_form():
    _, _, bellatrix = sample(Fork.CAPELLA, False, "minimal")
    same = Proposal.from_ssz(Fork.CAPELLA, False, bellatrix.ssz, preset="minimal")
    assert same == bellatrix
    assert hash(same) == hash(bellatrix)
    _, _, blinded = sample(Fork.CAPELLA, True, "minimal")
    assert blinded != bellatrix
    assert sign_proposal(same, SIGNATURE) != sign_proposal(same, bytes(96))
    assert bellatrix.ssz.hex()[:40] not in repr(bellatrix)


def test_what_is_no_proposal_is_refused():
    with pytest.raises(InputInvalid, match="blinded"):
        Proposal.from_ssz(Fork.ALTAIR, True, b"", preset="minimal")
    with pytest.raises(InputInvalid):
        SignedProposal.from_json(Fork.ALTAIR, True, {}, preset="minimal")
    _, _, proposal = sample(Fork.ALTAIR, False, "minimal")
    for length in (0, 95, 97):
        with pytest.raises(InputInvalid):
            sign_proposal(proposal, bytes(length))
    for value in JUNK:
        for fork in (Fork.ALTAIR, Fork.ELECTRA):
            with pytest.raises(InputInvalid):
                SignedProposal.from_json(fork, False, value, preset="minimal")
            with pytest.raises(InputInvalid):
                Proposal.from_json(fork, False, value, preset="minimal")


JUNK: list[object] = [
    None,
    [],
    {},
    {"message": {}},
    {"signed_block": {"message": {}}},
    {"block": 1},
]
EMPTY_CONTENTS = sign_proposal(
    Proposal.from_ssz(
        Fork.ELECTRA,
        False,
        spec_types(Fork.ELECTRA, "minimal").BlockContents.default().encode(),
        preset="minimal",
    ),
    SIGNATURE,
).ssz


@settings(max_examples=400, deadline=None, derandomize=True)
@given(st.data())
def test_mutated_signed_contents_are_judged_as_the_oracle_does(data):
    mutated = bytearray(EMPTY_CONTENTS)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, 130))
        word = data.draw(
            st.sampled_from((0, 11, 12, 13, 100, 112, len(mutated), len(mutated) - 1, 2**32 - 1))
        )
        mutated[at : at + 4] = word.to_bytes(4, "little")
    if data.draw(st.booleans()):
        del mutated[data.draw(st.integers(0, len(mutated))) :]
    oracle = oracle_type(Fork.ELECTRA, "minimal", "SignedBlockContents")
    try:
        expected = oracle.decode_bytes(bytes(mutated)).encode_bytes() == mutated
    except Exception:  # noqa: BLE001 - the oracle refuses by many kinds of error
        expected = False
    try:
        signed = SignedProposal.from_ssz(Fork.ELECTRA, False, bytes(mutated), preset="minimal")
    except InputInvalid:
        assert not expected
    else:
        assert expected
        assert signed.ssz == mutated
