"""Strict reading: another version, unknown, missing or malformed fields, each named."""

import json
from typing import Any

import pytest
from tests.cluster.cluster_world import deal, documents

from tetrarch.cluster.documents import lock_document, parse_lock
from tetrarch.errors import InputInvalid


@pytest.fixture(scope="module")
def lock_json() -> bytes:
    return documents(deal())[0]


def refusal(document: dict[str, Any]) -> str:
    with pytest.raises(InputInvalid) as caught:
        parse_lock(json.dumps(document).encode())
    return str(caught.value)


def test_is_indented_by_one_space_and_stable(lock_json):
    assert lock_json.startswith(b'{\n "cluster_definition": {\n  "name"')
    assert lock_document(parse_lock(lock_json)) == lock_json


@pytest.mark.parametrize("version", ["v1.10.0", "v1.0.0", "v1.12.0", "", "1.11.0"])
def test_other_versions_are_named_as_unsupported(lock_json, version):
    document = json.loads(lock_json)
    document["cluster_definition"]["version"] = version
    text = refusal(document)
    assert "cluster_definition.version" in text
    assert "v1.11.0" in text


def test_unknown_field_is_refused_by_name(lock_json):
    document = json.loads(lock_json)
    document["cluster_definition"]["operators"][1]["nickname"] = "x"
    text = refusal(document)
    assert "nickname" in text
    assert "operators[" in text


def test_missing_field_is_named(lock_json):
    document = json.loads(lock_json)
    del document["distributed_validators"][0]["builder_registration"]["message"]["gas_limit"]
    assert "gas_limit" in refusal(document)


@pytest.mark.parametrize(
    "value", ["ff" * 32, "0x" + "ff" * 31, "0x" + "gg" * 32, "0x" + "ff " * 21 + "f", "0x", 5, None]
)
def test_malformed_hex_is_named(lock_json, value):
    document = json.loads(lock_json)
    document["lock_hash"] = value
    assert "lock_hash" in refusal(document)


@pytest.mark.parametrize("value", ["032000000000", "-1", "1.5", "", str(2**64), "٣"])
def test_malformed_amount_is_named(lock_json, value):
    document = json.loads(lock_json)
    document["distributed_validators"][1]["partial_deposit_data"][0]["amount"] = value
    assert "distributed_validators[1].partial_deposit_data[0].amount" in refusal(document)


def test_empty_signature_may_be_0x(lock_json):
    document = json.loads(lock_json)
    document["cluster_definition"]["creator"]["config_signature"] = "0x"
    assert parse_lock(json.dumps(document).encode()) == parse_lock(lock_json)


def test_null_deposit_amounts_are_none_named(lock_json):
    document = json.loads(lock_json)
    document["cluster_definition"]["deposit_amounts"] = None
    assert parse_lock(json.dumps(document).encode()).definition.deposit_amounts == ()


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b"null", b"{", b"\xff", b'{"cluster_definition":1}', b'{"x":' + b"[" * 60_000],
)
def test_other_json_is_refused(data):
    with pytest.raises(InputInvalid):
        parse_lock(data)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("name", "é" * 129),
        ("uuid", "é" * 33),
        ("timestamp", "x" * 33),
        ("dkg_algorithm", "é" * 17),
        ("consensus_protocol", "é" * 129),
        ("threshold", 2**64),
        ("num_validators", -1),
        ("target_gas_limit", 1.5),
        ("compounding", 1),
    ],
)
def test_values_beyond_their_limits_are_named(lock_json, name, value):
    document = json.loads(lock_json)
    document["cluster_definition"][name] = value
    assert name in refusal(document)


def test_other_letters_in_a_record_are_refused(lock_json):
    document = json.loads(lock_json)
    document["cluster_definition"]["operators"][2]["enr"] = "enr:é"
    assert "operators[2].enr" in refusal(document)


def test_lone_surrogate_is_refused(lock_json):
    data = lock_json.replace(b'"name": ""', b'"name": "\\ud800"')
    with pytest.raises(InputInvalid):
        parse_lock(data)
