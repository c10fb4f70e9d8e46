"""Bytes in, typed values out, and nothing else; signatures bind every field and the cluster."""

from contextlib import suppress
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.consensus.building import COMMIT, DUTY, PREPARE, ROUND_CHANGE, A, B

from tetrarch.consensus.codec import (
    ITEMS_MAX,
    VALUE_SIZE_MAX_BYTES,
    Codec,
    Item,
    MessageInvalid,
    SignatureWrong,
    ValueItem,
    WantItem,
    hash_value,
)
from tetrarch.consensus.identity import K1Identity
from tetrarch.consensus.messages import Envelope, Message, MessageType, SignedMessage, ValueHash
from tetrarch.crypto.k1 import IdentityKey
from tetrarch.duties.types import Duty, DutyType
from tetrarch.network.frames import PAYLOAD_SIZE_MAX
from tetrarch.sim.identities import real_identities

IDENTITIES = real_identities("codec", 4)


def codec(node: int = 0, cluster_id: bytes = b"c" * 32) -> Codec:
    return Codec(identity=IDENTITIES(node), cluster_id=cluster_id, node_count=4)


def envelope(parts: int = 0) -> Envelope:
    own = codec()
    proof = tuple(
        codec(node).sign(Message(PREPARE, DUTY, node, 1, A)) for node in (1, 2, 3, 0)[:parts]
    )
    return Envelope(own.sign(Message(ROUND_CHANGE, DUTY, 0, 2, A, 1, B)), proof)


def test_payload_comes_back_as_it_was() -> None:
    items: tuple[Item, ...] = (
        envelope(),
        envelope(3),
        ValueItem(DUTY, b"some value"),
        WantItem(Duty(2**64 - 1, DutyType.INFO_SYNC), A),
    )
    assert codec(1).decode(codec().encode(items)) == items
    assert codec(1).decode(codec().encode(())) == ()


def test_signed_bytes_are_the_documented_ones() -> None:
    """An independent reading of the table in the module's docstring."""
    from hashlib import sha256

    message = Message(COMMIT, Duty(258, DutyType.ATTESTER), 3, 5, A, 4, B)
    parts = [
        b"tetrarch/qbft/1\0",
        b"c" * 32,
        bytes([3]),
        (258).to_bytes(8, "big"),
        bytes([2]),
        (3).to_bytes(2, "big"),
        (5).to_bytes(4, "big"),
        A,
        (4).to_bytes(4, "big"),
        B,
    ]
    assert codec().digest(message) == sha256(b"".join(parts)).digest()
    assert len(b"".join(parts)) == 16 + 32 + 84


def test_signature_of_the_source_is_needed() -> None:
    good = envelope(3)
    codec(1).check(good)
    wrong = Envelope(SignedMessage(good.message, bytes(65)), good.justification)
    with pytest.raises(SignatureWrong):
        codec(1).check(wrong)
    forged = codec(2).sign(Message(PREPARE, DUTY, 1, 1, A))  # node 2 signs as node 1
    with pytest.raises(SignatureWrong):
        codec(1).check(Envelope(good.signed, (forged,)))


def test_signature_binds_every_field() -> None:
    signed = codec().sign(Message(ROUND_CHANGE, DUTY, 0, 2, A, 1, B))
    for change in (
        {"type": MessageType.COMMIT},
        {"duty": Duty(1, DutyType.ATTESTER)},
        {"duty": Duty(0, DutyType.PROPOSER)},
        {"source": 1},
        {"round": 3},
        {"value_hash": B},
        {"prepared_round": 0},
        {"prepared_hash": A},
    ):
        other = SignedMessage(replace(signed.message, **change), signed.signature)
        with pytest.raises(SignatureWrong):
            codec(1).check(Envelope(other))


def test_signature_of_another_cluster_is_refused() -> None:
    signed = codec(0, b"d" * 32).sign(Message(PREPARE, DUTY, 0, 1, A))
    with pytest.raises(SignatureWrong):
        codec(1).check(Envelope(signed))


def test_each_signature_is_checked_once() -> None:
    class Counting:
        checks = 0

        def sign(self, digest: bytes) -> bytes:
            return IDENTITIES(1).sign(digest)

        def verify(self, source: int, digest: bytes, signature: bytes) -> bool:
            self.checks += 1
            return IDENTITIES(1).verify(source, digest, signature)

    counting = Counting()
    reader = Codec(identity=counting, cluster_id=b"c" * 32, node_count=4)
    for _ in range(3):
        reader.check(envelope(3))
    assert counting.checks == 4
    reader.check(Envelope(reader.sign(Message(PREPARE, DUTY, 1, 1, A))))
    assert counting.checks == 4, "own signatures are known"


def test_oversize_justification_is_refused() -> None:
    """No more than 2n parts, whatever the length says."""
    part = codec().sign(Message(PREPARE, DUTY, 0, 1, A))
    reader = codec(1)
    reader.decode(codec().encode([Envelope(part, (part,) * 8)]))
    with pytest.raises(MessageInvalid):
        reader.decode(codec().encode([Envelope(part, (part,) * 9)]))


def test_number_of_items_is_bounded() -> None:
    with pytest.raises(MessageInvalid):
        codec().decode(codec().encode([WantItem(DUTY, A)] * (ITEMS_MAX + 1)))


def test_largest_value_fits_a_frame_and_a_larger_one_is_refused() -> None:
    value = bytes(VALUE_SIZE_MAX_BYTES)
    payload = codec().encode([envelope(4), ValueItem(DUTY, value)])
    assert len(payload) <= PAYLOAD_SIZE_MAX
    codec().decode(payload)
    with pytest.raises(MessageInvalid):
        codec().decode(codec().encode([ValueItem(DUTY, value + b"x")]))


@pytest.mark.parametrize(
    "payload",
    [b"", b"\x02", b"\x01\x01", b"\x01\x09\0\0\0\0", b"\x01\x03\0\0\0\x09" + bytes(9)],
    ids=["empty", "version", "cut", "kind", "duty type 0"],
)
def test_malformed_payload_is_refused(payload: bytes) -> None:
    with pytest.raises(MessageInvalid):
        codec().decode(payload)


@pytest.mark.parametrize(
    ("offset", "value"), [(0, 0), (0, 6), (9, 0), (9, 14), (10, 9), (12, 255), (48, 255)]
)
def test_field_out_of_range_is_refused(offset: int, value: int) -> None:
    payload = bytearray(codec().encode([envelope()]))
    payload[6 + offset] = value
    with pytest.raises(MessageInvalid):
        codec().decode(bytes(payload))


@given(st.binary(max_size=400))
def test_garbage_never_raises_anything_else(payload: bytes) -> None:
    for candidate in (payload, b"\x01" + payload):
        with suppress(MessageInvalid):
            codec().decode(candidate)


def read(payload: bytes) -> None:
    for item in codec(1).decode(payload):
        assert isinstance(item, Envelope)
        codec(1).check(item)


def test_spoiled_payload_is_refused_or_fails_its_signature() -> None:
    rng = Random(1)
    good = codec().encode([envelope(3)])
    for _ in range(300):
        spoiled = bytearray(good)
        spoiled[rng.randrange(len(spoiled))] ^= 1 << rng.randrange(8)
        with pytest.raises((MessageInvalid, SignatureWrong)):
            read(bytes(spoiled))


def test_log_form_of_an_envelope_comes_back() -> None:
    assert codec().decode_envelope(codec().encode_envelope(envelope(3))) == envelope(3)


def test_description_names_what_is_said() -> None:
    payload = codec().encode([envelope(3), ValueItem(DUTY, b"xyz"), WantItem(DUTY, A)])
    assert codec().describe(payload) == (
        f"0/attester round_change round=2 value={A[:4].hex()} prepared=1:{B[:4].hex()}"
        f" justified_by=3 + 0/attester value 3B + 0/attester want {A[:4].hex()}"
    )
    assert codec().describe(b"??") == "garbage 2B"


def test_value_hash_is_sha256() -> None:
    assert hash_value(b"abc").hex().startswith("ba7816bf8f01cfea")
    assert ValueHash(hash_value(b"abc")) == hash_value(b"abc")


def test_identity_signs_for_itself_only() -> None:
    keys = [IdentityKey.from_bytes(bytes([n]) * 32) for n in (1, 2)]
    identity = K1Identity(key=keys[0], public_keys=[key.public_key() for key in keys])
    signature = identity.sign(b"d" * 32)
    assert identity.verify(0, b"d" * 32, signature)
    assert not identity.verify(1, b"d" * 32, signature)
    assert not identity.verify(0, b"e" * 32, signature)
    assert not identity.verify(0, b"d" * 32, bytes(65))
