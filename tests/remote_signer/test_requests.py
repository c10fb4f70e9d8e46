"""The JSON of signing requests: what is sent is what is read, on every fork."""

from typing import Any

import msgspec
import pytest
from tests.remote_signer.signer_world import (
    FORKS,
    VALIDATORS,
    block_of,
    chain_for,
    payloads_of,
)

from tetrarch.duties.enclave_signing import request_of
from tetrarch.duties.plausible import signing_root
from tetrarch.duties.types import Payload
from tetrarch.enclave.approval import signing_root_of
from tetrarch.errors import InputInvalid
from tetrarch.ethereum.spec.values import Fork
from tetrarch.remote_signer.requests import (
    KindUnsupported,
    SigningRootDiffers,
    body_of,
    needs_whole_block,
    parse,
)

PUBKEY = VALIDATORS.pubkeys[0]


def sent(payload: Payload, fork: Fork) -> dict[str, Any]:
    """The JSON of ``payload`` after a way over the wire."""
    body = body_of(request_of(PUBKEY, payload), chain_for(fork), block=block_of(fork))
    decoded: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(body.value))
    return decoded


@pytest.mark.parametrize("fork", FORKS)
def test_every_kind_is_read_as_it_was_sent(fork: Fork) -> None:
    chain = chain_for(fork)
    for payload in payloads_of(fork):
        request = request_of(PUBKEY, payload)
        value = sent(payload, fork)
        assert parse(value, pubkey=PUBKEY, chain=chain) == request
        assert signing_root_of(request, chain) == signing_root(payload, chain)
        assert value["signingRoot"] == "0x" + signing_root(payload, chain).hex()


@pytest.mark.parametrize("fork", FORKS)
def test_kinds_have_the_names_and_members_of_the_api(fork: Fork) -> None:
    aggregate = "AGGREGATE_AND_PROOF" + ("_V2" if fork.at_least(Fork.ELECTRA) else "")
    expected = {
        "ATTESTATION": "attestation",
        "BLOCK_V2": "beacon_block",
        "RANDAO_REVEAL": "randao_reveal",
        "AGGREGATION_SLOT": "aggregation_slot",
        aggregate: "aggregate_and_proof",
        "SYNC_COMMITTEE_MESSAGE": "sync_committee_message",
        "SYNC_COMMITTEE_SELECTION_PROOF": "sync_aggregator_selection_data",
        "SYNC_COMMITTEE_CONTRIBUTION_AND_PROOF": "contribution_and_proof",
        "VOLUNTARY_EXIT": "voluntary_exit",
        "VALIDATOR_REGISTRATION": "validator_registration",
    }
    values = [sent(payload, fork) for payload in payloads_of(fork)]
    common = {"type", "signingRoot", "fork_info"}
    assert {v["type"]: next(iter(set(v) - common)) for v in values} == expected
    without = {v["type"] for v in values if "fork_info" not in v}
    assert without == {"VALIDATOR_REGISTRATION"}


def test_blocks_are_whole_before_bellatrix_and_headers_after() -> None:
    altair, fulu = (sent(payloads_of(fork)[1], fork) for fork in (Fork.ALTAIR, Fork.FULU))
    assert altair["beacon_block"]["version"] == "ALTAIR"
    assert "body" in altair["beacon_block"]["block"]
    assert fulu["beacon_block"]["version"] == "FULU"
    assert set(fulu["beacon_block"]["block_header"]) == {
        "slot",
        "proposer_index",
        "parent_root",
        "state_root",
        "body_root",
    }


def test_header_without_its_block_cannot_be_sent_before_bellatrix() -> None:
    request = request_of(PUBKEY, payloads_of(Fork.ALTAIR)[1])
    chain = chain_for(Fork.ALTAIR)
    assert needs_whole_block(request, chain)
    other = block_of(Fork.ALTAIR, randao=b"\xcc" * 96)
    for block in (None, other):
        with pytest.raises(InputInvalid):
            body_of(request, chain, block=block)


def test_fork_info_names_the_fork_before() -> None:
    value = sent(payloads_of(Fork.ELECTRA)[0], Fork.ELECTRA)
    assert value["fork_info"] == {
        "fork": {"previous_version": "0x15000000", "current_version": "0x15000000", "epoch": "0"},
        "genesis_validators_root": "0x" + (b"g" * 32).hex(),
    }


@pytest.mark.parametrize("name", ["signingRoot", "signing_root"])
def test_another_signing_root_than_the_contents_is_refused(name: str) -> None:
    value = sent(payloads_of(Fork.ELECTRA)[2], Fork.ELECTRA)
    value.pop("signingRoot")
    parse(value, pubkey=PUBKEY, chain=chain_for(Fork.ELECTRA))
    value[name] = "0x" + "11" * 32
    with pytest.raises(SigningRootDiffers):
        parse(value, pubkey=PUBKEY, chain=chain_for(Fork.ELECTRA))


def test_another_chain_is_refused() -> None:
    value = sent(payloads_of(Fork.ELECTRA)[2], Fork.ELECTRA)
    value["fork_info"]["genesis_validators_root"] = "0x" + "11" * 32
    with pytest.raises(SigningRootDiffers):
        parse(value, pubkey=PUBKEY, chain=chain_for(Fork.ELECTRA))


@pytest.mark.parametrize("kind", ["DEPOSIT", "BLOCK", "", None, 7, ["ATTESTATION"]])
def test_other_kinds_are_refused(kind: object) -> None:
    value = sent(payloads_of(Fork.ELECTRA)[2], Fork.ELECTRA) | {"type": kind}
    with pytest.raises(KindUnsupported):
        parse(value, pubkey=PUBKEY, chain=chain_for(Fork.ELECTRA))


@pytest.mark.parametrize("number", range(10))
def test_a_request_that_lacks_a_member_is_bad_input(number: int) -> None:
    value = sent(payloads_of(Fork.ELECTRA)[number], Fork.ELECTRA)
    for name in set(value) - {"signingRoot"}:
        shorter = {key: each for key, each in value.items() if key != name}
        with pytest.raises(InputInvalid):
            parse(shorter, pubkey=PUBKEY, chain=chain_for(Fork.ELECTRA))
    for broken in (None, 3, ["x"], "x"):
        with pytest.raises(InputInvalid):
            parse(broken, pubkey=PUBKEY, chain=chain_for(Fork.ELECTRA))


def test_a_version_that_is_not_the_slots_is_refused() -> None:
    for number in (1, 4):
        value = sent(payloads_of(Fork.ELECTRA)[number], Fork.ELECTRA)
        outer = value["beacon_block" if number == 1 else "aggregate_and_proof"]
        outer["version"] = "FULU"
        with pytest.raises(InputInvalid):
            parse(value, pubkey=PUBKEY, chain=chain_for(Fork.ELECTRA))
