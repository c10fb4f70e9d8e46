"""Goal: only what a restricted key of a TPM signed becomes claims, and the measurement names it all.

Method: a quote of swtpm, and quotes by a key of our own, which can be wrong in any single way.
"""

import hashlib
from collections.abc import Callable
from functools import cache, partial
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.attestation.tpm2_quoted import DOCUMENT

from tetrarch.attestation.claims import BackEnd
from tetrarch.attestation.errors import EvidenceInvalid
from tetrarch.attestation.software import Report, encode_report
from tetrarch.attestation.tpm2 import (
    DOCUMENT_MAX_BYTES,
    Document,
    encode_document,
    extra_data,
    measurement_of,
    verify_tpm2,
)
from tetrarch.attestation.tpm_structures import (
    ATTESTING,
    Algorithm,
    Attribute,
    encode_selection,
    public_area,
    sized,
)

REPORT = Report(b"\1" * 32, 3, b"\2" * 64, ("landlock:7", "seccomp"))
REGISTERS = (0, 7, 9)
CONTENTS = b"\3" * 32 + b"\4" * 32 + bytes(32)


@cache
def own_key() -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(7, ec.SECP256R1())


def public(key: ec.EllipticCurvePrivateKey, attributes: Attribute = ATTESTING) -> bytes:
    numbers = key.public_key().public_numbers()
    return public_area(attributes, numbers.x.to_bytes(32, "big"), numbers.y.to_bytes(32, "big"))


def quoted(
    *,
    magic: int = 0xFF544347,
    kind: int = 0x8018,
    said: bytes | None = None,
    is_safe: int = 1,
    selection: bytes = encode_selection(REGISTERS),
    digest: bytes = hashlib.sha256(CONTENTS).digest(),
) -> bytes:
    return b"".join(
        (
            magic.to_bytes(4, "big"),
            kind.to_bytes(2, "big"),
            sized(b"\0\x0b" + bytes(32)),
            sized(extra_data(encode_report(REPORT)) if said is None else said),
            (1234).to_bytes(8, "big") + (5).to_bytes(4, "big") + (6).to_bytes(4, "big"),
            bytes((is_safe,)),
            (0xABC).to_bytes(8, "big"),
            selection,
            sized(digest),
        )
    )


def signature(quote: bytes, key: ec.EllipticCurvePrivateKey) -> bytes:
    r, s = decode_dss_signature(key.sign(quote, ec.ECDSA(hashes.SHA256())))
    head = Algorithm.ECDSA.to_bytes(2, "big") + Algorithm.SHA256.to_bytes(2, "big")
    return head + sized(r.to_bytes(32, "big")) + sized(s.to_bytes(32, "big"))


def document(quote: bytes | None = None, **parts: bytes) -> bytes:
    """As a TPM would make it of ``REPORT``, but for what is given."""
    quote = quoted() if quote is None else quote
    made = Document(
        report=encode_report(REPORT),
        public_key=public(own_key()),
        quote=quote,
        signature=signature(quote, own_key()),
        contents=CONTENTS,
    )
    return encode_document(msgspec.structs.replace(made, **parts))


def test_a_quote_of_a_tpm_verifies() -> None:
    claims = verify_tpm2(DOCUMENT)
    assert claims.back_end is BackEnd.TPM2
    assert (claims.bound, claims.security_version) == (b"\2" * 64, 1)
    assert claims.details["program"] == "01" * 32
    assert claims.details["protections"] == "landlock:7, seccomp"
    assert claims.details["pcrs"] == "0,1,2,3,4,5,6,7,8,9,11,14"
    for number in (0, 7, 11):
        measured = hashlib.sha256(b"boot %d" % number).digest()
        extended = hashlib.sha256(bytes(32) + measured).hexdigest()
        assert claims.details[f"pcr{number}"] == extended
    assert not claims.is_debug


def test_any_other_bit_is_refused() -> None:
    for place in range(len(DOCUMENT) * 8):
        changed = bytearray(DOCUMENT)
        changed[place // 8] ^= 1 << place % 8
        with pytest.raises(EvidenceInvalid):
            verify_tpm2(bytes(changed))


def test_claims_are_what_the_quote_and_the_report_say() -> None:
    claims = verify_tpm2(document())
    assert (claims.bound, claims.security_version) == (REPORT.bound, 3)
    assert claims.details == {
        "protections": "landlock:7, seccomp",
        "program": "01" * 32,
        "key": "000b" + hashlib.sha256(public(own_key())).hexdigest(),
        "firmware": "0000000000000abc",
        "resets": "5.6",
        "clock_is_safe": "true",
        "pcrs": "0,7,9",
        "pcr0": "03" * 32,
        "pcr7": "04" * 32,
    }


def test_measurement_names_key_boot_and_program() -> None:
    parts: dict[str, Any] = {
        "key_name": b"\0\x0b" + hashlib.sha256(public(own_key())).digest(),
        "registers": REGISTERS,
        "digest": hashlib.sha256(CONTENTS).digest(),
        "program": REPORT.measurement,
    }
    first = measurement_of(**parts)
    assert verify_tpm2(document()).measurement == first
    others: dict[str, Any] = {
        "key_name": b"\0\x0b" + bytes(32),
        "registers": (0, 7, 10),
        "digest": bytes(32),
        "program": bytes(32),
    }
    assert len({first, *(measurement_of(**{**parts, name: others[name]}) for name in parts)}) == 5


def test_another_program_on_this_machine_has_another_measurement() -> None:
    report = encode_report(msgspec.structs.replace(REPORT, measurement=b"\7" * 32))
    quote = quoted(said=extra_data(report))
    assert verify_tpm2(document(quote, report=report)).measurement != (
        verify_tpm2(document()).measurement
    )


OTHER = ec.derive_private_key(8, ec.SECP256R1())
NO_POINT = public_area(ATTESTING, b"\1" * 32, b"\2" * 32)
RSA = b"\0\x01" + public(own_key())[2:]
POLICY = public(own_key())[:8] + sized(bytes(32)) + public(own_key())[10:]
TWO_BANKS = (2).to_bytes(4, "big") + encode_selection(REGISTERS)[4:]
SHA1_BANK = (1).to_bytes(4, "big") + b"\0\x04\x03" + bytes(3)
FOUR_BYTES = (1).to_bytes(4, "big") + b"\0\x0b\x04" + bytes(4)
WRONG: dict[str, tuple[Callable[[], bytes], str]] = {
    "nothing": (lambda: b"", "no document"),
    "no document": (lambda: msgspec.msgpack.encode([1, 2]), "no document"),
    "too large": (lambda: bytes(DOCUMENT_MAX_BYTES + 1), "its size"),
    "report is none": (lambda: document(report=b"x"), "no document"),
    "another report": (
        lambda: document(report=encode_report(msgspec.structs.replace(REPORT, security_version=9))),
        "about something else",
    ),
    "bound to something else": (
        lambda: document(report=encode_report(msgspec.structs.replace(REPORT, bound=b"o" * 64))),
        "about something else",
    ),
    "about nothing": (lambda: document(quoted(said=b"")), "about something else"),
    "said by no TPM": (lambda: document(quoted(magic=0xFF544348)), "not said by a TPM"),
    "a certified counter": (lambda: document(quoted(kind=0x8014)), "another kind of statement"),
    "neither yes nor no": (lambda: document(quoted(is_safe=2)), "neither yes nor no"),
    "quote cut short": (lambda: document(quoted()[:-1]), "too short"),
    "quote with more": (lambda: document(quoted() + b"\0"), "after its end"),
    "long extra data": (lambda: document(quoted(said=bytes(67))), "too long"),
    "two banks": (lambda: document(quoted(selection=TWO_BANKS)), "PCR banks"),
    "SHA-1": (lambda: document(quoted(selection=SHA1_BANK)), "PCR bank"),
    "more PCRs": (lambda: document(quoted(selection=FOUR_BYTES)), "number of PCRs"),
    "other PCRs": (lambda: document(contents=bytes(96)), "not those that were quoted"),
    "fewer PCRs": (lambda: document(contents=CONTENTS[:-32]), "another number of PCRs"),
    "no PCRs": (lambda: document(contents=b""), "another number of PCRs"),
    "by another key": (lambda: document(signature=signature(quoted(), OTHER)), "its signature"),
    "another's key": (lambda: document(public_key=public(OTHER)), "its signature"),
    "zero signature": (
        lambda: document(signature=b"\0\x18\0\x0b" + 2 * sized(bytes(32))), "its signature"),
    "RSA signature": (lambda: document(signature=b"\0\x14\0\x0b"), "signature algorithm"),
    "SHA-1 signature": (lambda: document(signature=b"\0\x18\0\x04"), "signature algorithm"),
    "no signature": (lambda: document(signature=b""), "too short"),
    "signature with more": (
        lambda: document(signature=signature(quoted(), own_key()) + b"\0"), "after its end"),
    "no point": (lambda: document(public_key=NO_POINT), "no point"),
    "RSA key": (lambda: document(public_key=RSA), "kind of key"),
    "short coordinate": (
        lambda: document(public_key=public_area(ATTESTING, bytes(31), bytes(32))), "coordinate"),
    "decrypts, too": (
        lambda: document(public_key=public(own_key(), ATTESTING | Attribute.DECRYPT)), "else, too"),
    "another use": (
        lambda: document(public_key=public(own_key(), ATTESTING | Attribute(1 << 7))), "else, too"),
    "a policy": (lambda: document(public_key=POLICY), "too long"),
    **{
        f"not {attribute.name}": (
            partial(document, public_key=public(own_key(), ATTESTING & ~attribute)),
            f"{attribute.name} is missing",
        )
        for attribute in ATTESTING
    },
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_each_fault_has_its_own_reason(name: str) -> None:
    make, reason = WRONG[name]
    with pytest.raises(EvidenceInvalid, match=reason):
        verify_tpm2(make())


PARTS = ("report", "public_key", "quote", "signature", "contents")


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(PARTS), st.binary(max_size=300))
def test_no_bytes_are_more_than_refused(part: str, noise: bytes) -> None:
    with pytest.raises(EvidenceInvalid):
        verify_tpm2(document(**{part: noise}))
    with pytest.raises(EvidenceInvalid):
        verify_tpm2(b"\x95" + noise)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_signed_noise_is_no_quote(noise: bytes) -> None:
    """A restricted key would not sign it; ours does."""
    with pytest.raises(EvidenceInvalid):
        verify_tpm2(document(noise))
