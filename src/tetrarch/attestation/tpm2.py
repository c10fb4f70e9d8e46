"""Evidence of an enclave that is a process on a machine with a TPM 2.0: a quote. Pure.

The TPM signs its PCRs, into which the firmware and the boot loader measured what they started,
together with a hash of what the process says of itself. So the measurement names three things at once:

    the TPM's key       which machine; the key is made for one enclave and never leaves the TPM
    the PCRs            how it was booted
    the program         which enclave, by the process's own word, as for ``software``

What it does not prove: that the process is what it says. Whoever is root on that machine, in that boot
state, and reads the enclave's sealed secret can make such evidence for another process. Nor does it
prove by itself that the key is in a TPM: who lists the measurement saw it printed on the machine.
"""

import hashlib
import hmac
from typing import Annotated, Final

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from tetrarch.attestation import software
from tetrarch.attestation.claims import BackEnd, Claims
from tetrarch.attestation.errors import EvidenceInvalid
from tetrarch.attestation.tpm_structures import (
    ATTESTING,
    DIGEST_SIZE_BYTES,
    REGISTERS,
    Malformed,
    PublicKey,
    Quote,
    encode_selection,
    read_signature,
)
from tetrarch.decoding import UNDECODABLE

DOCUMENT_MAX_BYTES: Final = 8 << 10
_STRUCTURE_MAX_BYTES = 1 << 10
_TAG: Final = b"tetrarch tpm2 evidence v1"
_MEASUREMENT_TAG: Final = b"tetrarch tpm2 measurement v1"

Structure = Annotated[bytes, msgspec.Meta(max_length=_STRUCTURE_MAX_BYTES)]


class Document(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """``report``: ``software.encode_report``; the rest as the TPM writes it.

    ``contents``: of the quoted PCRs, ascending, 32 bytes each.
    """

    report: Annotated[bytes, msgspec.Meta(max_length=software.DOCUMENT_MAX_BYTES)]
    public_key: Structure
    quote: Structure
    signature: Structure
    contents: Annotated[bytes, msgspec.Meta(max_length=len(REGISTERS) * DIGEST_SIZE_BYTES)]


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Document)


def encode_document(document: Document) -> bytes:
    """The evidence."""
    return _ENCODER.encode(document)


def extra_data(report: bytes) -> bytes:
    """What a quote must carry for ``report``: 32 bytes, which every TPM has room for."""
    return hashlib.sha256(_TAG + report).digest()


def is_signed(key: PublicKey, signed: bytes, signature: bytes) -> bool:
    """Whether ``key`` signed it; ``signature`` as the TPM writes it [TPMT_SIGNATURE].

    Raises:
        Malformed: the signature is none, or the key is no point of its curve.
    """
    r, s = read_signature(signature)
    try:
        public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), key.point)
        public.verify(encode_dss_signature(r, s), signed, ec.ECDSA(hashes.SHA256()))
    except ValueError:
        raise Malformed("its key is no point of P-256") from None
    except InvalidSignature:
        return False
    return True


def measurement_of(
    *, key_name: bytes, registers: tuple[int, ...], digest: bytes, program: bytes
) -> bytes:
    """SHA-256 over the key's name, which PCRs and what they hold, and the program."""
    parts = (_MEASUREMENT_TAG, key_name, encode_selection(registers), digest, program)
    return hashlib.sha256(b"".join(parts)).digest()  # each part has one size


def verify_tpm2(document: bytes) -> Claims:
    """The claims of a quote that a TPM's restricted key signed for the report beside it.

    That it is one machine's key is for the policy to say: it is part of the measurement.

    Raises:
        EvidenceInvalid: says what is wrong.

    Cost: about 0.2 ms.
    """
    if len(document) > DOCUMENT_MAX_BYTES:
        raise _invalid("its size")
    try:
        parts = _DECODER.decode(document)
        report = software.decode_report(parts.report)
        key = PublicKey.read(parts.public_key)
        quote = Quote.read(parts.quote)
        _check_key(key)
        genuine = is_signed(key, parts.quote, parts.signature)
    except UNDECODABLE:
        raise _invalid("no document") from None
    except Malformed as error:
        raise _invalid(str(error)) from None
    if not genuine:
        raise _invalid("its signature")
    if not hmac.compare_digest(quote.extra_data, extra_data(parts.report)):
        raise _invalid("its quote is about something else")
    if len(parts.contents) != len(quote.registers) * DIGEST_SIZE_BYTES:
        raise _invalid("the contents of another number of PCRs")
    if hashlib.sha256(parts.contents).digest() != quote.digest:
        raise _invalid("its PCRs are not those that were quoted")
    return Claims(
        back_end=BackEnd.TPM2,
        measurement=measurement_of(
            key_name=key.name,
            registers=quote.registers,
            digest=quote.digest,
            program=report.measurement,
        ),
        security_version=report.security_version,
        bound=report.bound,
        is_debug=False,
        details=_details(report, key, quote, parts.contents),
    )


def _check_key(key: PublicKey) -> None:
    if absent := ATTESTING & ~key.attributes:
        raise _invalid(f"its key is not of the kind that attests: {absent.name} is missing")
    if key.attributes != ATTESTING:
        raise _invalid("its key is for something else, too")


def _details(
    report: software.Report, key: PublicKey, quote: Quote, contents: bytes
) -> dict[str, str]:
    pairs = zip(quote.registers, range(0, len(contents), DIGEST_SIZE_BYTES), strict=True)
    values = {number: contents[at : at + DIGEST_SIZE_BYTES] for number, at in pairs}
    return {
        "protections": ", ".join(report.protections),
        "program": report.measurement.hex(),
        "key": key.name.hex(),
        "firmware": f"{quote.firmware:016x}",
        "resets": f"{quote.resets}.{quote.restarts}",
        # Only of the TPM's own clock, which nothing here rests on: nonces show that it is new.
        "clock_is_safe": str(quote.is_clock_safe).lower(),
        "pcrs": ",".join(str(number) for number in quote.registers),
        **{f"pcr{number}": value.hex() for number, value in values.items() if any(value)},
    }


def _invalid(reason: str) -> EvidenceInvalid:
    return EvidenceInvalid("verify evidence", back_end=BackEnd.TPM2, reason=reason)
