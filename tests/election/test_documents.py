"""Configurations and certificates as JSON: they come back, and what is wrong is named."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.election.support import KEYS, configuration, leading, sharing, view_of

from tetrarch.election.certificates import CertificateInvalid, certificate_of, check_leader
from tetrarch.election.configuration import Configuration, Rule
from tetrarch.election.documents import (
    DOCUMENT_MAX_BYTES,
    certificate_fields,
    configuration_document,
    read_certificate,
    read_configuration,
)
from tetrarch.election.keys import MemberKeys
from tetrarch.election.quorums import Mode
from tetrarch.election.statements import Leader
from tetrarch.errors import ConfigInvalid

C = Configuration(
    members=("a:1", "b:2", "c:3", "d:4"),
    mode=Mode.BFT,
    rule=Rule.ROUND_ROBIN,
    lease_ms=500,
    cluster=b"\7" * 32,
    epoch=3,
)
KNOWN = MemberKeys(tuple(key.public_key().public_bytes_raw() for key in KEYS[:4]))
LEADER = Leader(view_of(C, (0, 2, 3), term=9, previous=b"p" * 32, vacated=True), 2)
CERTIFICATE = leading(LEADER, (0, 2, 3))


def document(**changes: Any) -> bytes:
    return json.dumps(certificate_fields(CERTIFICATE, C) | changes).encode()


def refused(text: bytes) -> str:
    with pytest.raises(CertificateInvalid) as caught:
        check_leader(read_certificate(text, C), C, KNOWN)
    return str(caught.value)


def test_configuration_comes_back() -> None:
    read, keys = read_configuration(configuration_document(C, KNOWN))
    assert (read, read.hash, keys.raw) == (C, C.hash, KNOWN.raw)
    half = MemberKeys((None, KNOWN.raw[1], None, None))
    assert read_configuration(configuration_document(C, half))[1].raw == half.raw
    assert read_configuration(configuration_document(C))[1].raw == (None,) * 4


def test_certificate_comes_back_and_is_proven() -> None:
    read = read_certificate(document(), C)
    assert read == CERTIFICATE
    check_leader(read, C, KNOWN)


def test_first_words_are_for_people() -> None:
    fields = certificate_fields(CERTIFICATE, C)
    assert list(fields)[:3] == ["term", "leader", "members"]
    assert (fields["term"], fields["leader"], fields["members"]) == (
        9,
        "c:3",
        ("a:1", "c:3", "d:4"),
    )


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"leader": "e:5"}, "names no member"),
        ({"leader": "a:1"}, "false signature"),
        ({"leader": "b:2"}, "leader is not in the view"),
        ({"members": ["c:3", "a:1", "d:4"]}, "ascending"),
        ({"members": ["a:1", "c:3"]}, "quorum"),
        ({"term": 10}, "false signature"),
        ({"term": 0}, "term"),
        ({"vacated": False}, "false signature"),
        ({"previous": ""}, "false signature"),
        ({"previous": "zz"}, "previous"),
        ({"epoch": 4}, "contradicts"),
        ({"rule": "lowest"}, "contradicts"),
        ({"mode": "crash"}, "contradicts"),
        ({"cluster": "00" * 32}, "contradicts"),
        ({"configuration_hash": "00" * 32}, "another configuration"),
        ({"seed": "0g"}, "seed"),
        ({"seed": "AB"}, "seed"),
        ({"seed": "00"}, "seed does not fit"),
        ({"more": 1}, "unknown field"),
    ],
)
def test_each_wrong_field_is_named(changes: dict[str, Any], reason: str) -> None:
    assert reason in refused(document(**changes))


def test_signers_are_judged() -> None:
    signatures = certificate_fields(CERTIFICATE, C)["signatures"]
    fewer = dict(list(signatures.items())[1:])
    assert "quorum" in refused(document(signatures=fewer))
    foreign = fewer | {"x:9": signatures["a:1"]}
    assert "names no member" in refused(document(signatures=foreign))
    twice = fewer | {"b:2": signatures["c:3"]}
    assert "false signature" in refused(document(signatures=twice))
    for name, text in signatures.items():
        flipped = f"{int(text[:2], 16) ^ 1:02x}{text[2:]}"
        assert "false signature" in refused(document(signatures=signatures | {name: flipped}))


def test_signer_written_twice_counts_once() -> None:
    text = document().decode()
    (first, signature), (second, _), *_ = certificate_fields(CERTIFICATE, C)["signatures"].items()
    doubled = text.replace(f'"{second}": "', f'"{first}": "')
    assert text.count(f'"{first}": "{signature}"') == 1
    assert refused(doubled.encode())
    # The same signer with the same signature, in the place of another: below a quorum.
    again = json.dumps(certificate_fields(leading(LEADER, (0, 2)), C))
    again = again.replace(f'"{first}": "', f'"{first}": "{signature}", "{first}": "')
    assert "quorum" in refused(again.encode())


def test_certificate_with_any_other_bit_is_refused() -> None:
    text = json.dumps(certificate_fields(CERTIFICATE, C), separators=(",", ":")).encode()
    for place in range(8 * len(text)):
        changed = bytearray(text)
        changed[place // 8] ^= 1 << place % 8
        refused(bytes(changed))


@given(st.integers(0, 10_000))
def test_certificate_cut_short_is_refused(cut: int) -> None:
    text = document()
    refused(text[: cut % len(text)])


@given(st.binary(max_size=200))
def test_noise_is_no_certificate(noise: bytes) -> None:
    refused(noise)


@pytest.mark.parametrize("data", [b'{"type":"\xff"}', b'{"members":["\xff"]}', b"[" * 4000])
def test_bytes_that_are_no_text_are_no_document(data: bytes) -> None:
    refused(data)
    with pytest.raises(ConfigInvalid):
        read_configuration(data)


def test_size_is_bounded() -> None:
    assert "maximum" in refused(b" " * (DOCUMENT_MAX_BYTES + 1))
    with pytest.raises(ConfigInvalid, match="maximum"):
        read_configuration(b" " * (DOCUMENT_MAX_BYTES + 1))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"members": ["b:2", "a:1", "c:3", "d:4"]}, "sorted"),
        ({"lease_ms": 501}, "computed="),
        ({"keys": {"x:9": "00" * 32}}, "key of no member"),
        ({"keys": {"a:1": "00"}}, "keys"),
        ({"mode": "raft"}, "mode"),
    ],
)
def test_wrong_configuration_is_named(changes: dict[str, Any], reason: str) -> None:
    fields = json.loads(configuration_document(C, KNOWN)) | changes
    with pytest.raises(ConfigInvalid) as caught:
        read_configuration(json.dumps(fields).encode())
    assert reason in str(caught.value)


def test_other_members_are_another_configuration() -> None:
    assert "another configuration" in refused(
        json.dumps(
            certificate_fields(
                leading(Leader(view_of(configuration()), 0), (0, 1, 2)), configuration()
            )
        ).encode()
    )


def test_shared_key_and_its_signature_come_back() -> None:
    c, shares = sharing()
    read, _ = read_configuration(configuration_document(c))
    assert (read, read.hash) == (c, c.hash)
    leader = Leader(view_of(c), 1)
    signatures = {index: shares[index].sign(leader.signing_bytes) for index in range(3)}
    certificate = certificate_of(leader, signatures, c)
    assert certificate is not None
    text = json.dumps(certificate_fields(certificate, c)).encode()
    assert read_certificate(text, c) == certificate
    check_leader(read_certificate(text, read), read, KNOWN)


@pytest.mark.parametrize(
    "changes",
    [
        {"threshold": 0},
        {"threshold": 1},
        {"public_key": "00"},
        {"public_shares": []},
        {"colour": 1},
    ],
)
def test_shared_key_that_is_none_is_refused(changes: dict[str, Any]) -> None:
    c, _ = sharing()
    written = json.loads(configuration_document(c))
    written["cluster_key"] |= changes
    with pytest.raises(ConfigInvalid):
        read_configuration(json.dumps(written).encode())
