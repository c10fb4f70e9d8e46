"""The judge itself: it must see what is wrong, or every test that leans on it is worth nothing."""

import json

import pytest
from tests.openapi import BeaconApi, Unknown

JSON = {"Content-Type": "application/json"}
DUTY = {
    "pubkey": "0x" + "ab" * 48,
    "validator_index": "1",
    "committee_index": "0",
    "committee_length": "8",
    "committees_at_slot": "1",
    "validator_committee_index": "3",
    "slot": "9",
}
ROOT = "0x" + "11" * 32


@pytest.fixture(scope="module")
def api() -> BeaconApi:
    return BeaconApi()


def answer(value: object) -> bytes:
    return json.dumps(value).encode()


def duties(**changes: object) -> bytes:
    return answer(
        {"dependent_root": ROOT, "execution_optimistic": False, "data": [{**DUTY, **changes}]}
    )


def test_right_answer_passes(api: BeaconApi) -> None:
    path = "/eth/v1/validator/duties/attester/1"
    api.check_response("post", path, status=200, headers=JSON, body=duties())


@pytest.mark.parametrize(
    "changes", [{"pubkey": "0xab"}, {"slot": 9}, {"slot": "nine"}, {"slot": None}]
)
def test_wrong_field_is_named(api: BeaconApi, changes: dict[str, object]) -> None:
    path = "/eth/v1/validator/duties/attester/1"
    with pytest.raises(AssertionError, match=rf"data\[0\]\.{next(iter(changes))}"):
        api.check_response("post", path, status=200, headers=JSON, body=duties(**changes))


def test_missing_header_is_named(api: BeaconApi) -> None:
    with pytest.raises(AssertionError, match="Eth-Consensus-Version"):
        api.check_response(
            "get", "/eth/v3/validator/blocks/1", status=200, headers=JSON, body=b"{}"
        )


def test_unknown_endpoint_status_and_content_type_are_refused(api: BeaconApi) -> None:
    for method, path, status, headers in (
        ("get", "/eth/v9/validator/blocks/1", 200, JSON),
        ("get", "/eth/v1/beacon/genesis", 201, JSON),
        ("get", "/eth/v1/beacon/genesis", 200, {"Content-Type": "text/html"}),
    ):
        with pytest.raises(Unknown):
            api.check_response(method, path, status=status, headers=headers, body=b"{}")


def test_error_body_must_be_the_apis(api: BeaconApi) -> None:
    path = "/eth/v1/validator/attestation_data"
    good = answer({"code": 408, "message": "too late"})
    api.check_response("get", path, status=408, headers=JSON, body=good)
    for bad in (b"oops", answer({"message": "x"}), answer({"code": 500, "message": "x"})):
        with pytest.raises(AssertionError):
            api.check_response("get", path, status=408, headers=JSON, body=bad)


def test_block_of_a_fork_is_judged_deeply(api: BeaconApi) -> None:
    headers = {
        **JSON,
        "Eth-Consensus-Version": "deneb",
        "Eth-Execution-Payload-Blinded": "false",
        "Eth-Execution-Payload-Value": "1",
        "Eth-Consensus-Block-Value": "1",
    }
    body = answer(
        {
            "version": "deneb",
            "execution_payload_blinded": False,
            "execution_payload_value": "1",
            "consensus_block_value": "1",
            "data": {"slot": "1"},
        }
    )
    with pytest.raises(AssertionError, match="data"):
        api.check_response(
            "get", "/eth/v3/validator/blocks/1", status=200, headers=headers, body=body
        )
    request = {"Content-Type": "application/json", "Eth-Consensus-Version": "electra"}
    with pytest.raises(AssertionError):
        api.check_request(
            "post", "/eth/v2/beacon/pool/attestations", headers=request, body=b'[{"data":{}}]'
        )


def test_a_long_string_has_its_length(api: BeaconApi) -> None:
    path = "/eth/v1/beacon/blobs/head"
    for characters, right in ((262_144, True), (262_143, False), (262_145, False)):
        blobs = {
            "execution_optimistic": False,
            "finalized": False,
            "data": ["0x" + "a" * characters],
        }
        try:
            api.check_response("get", path, status=200, headers=JSON, body=answer(blobs))
        except AssertionError:
            assert not right, characters
        else:
            assert right, characters
