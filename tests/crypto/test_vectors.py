"""All 104 cases of the Ethereum BLS suite. A case without a judge is a failure, not a skip."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.vectors_path import vectors

from tetrarch.crypto import batch, bls
from tetrarch.crypto.blst import ffi, lib
from tetrarch.crypto.points import PublicKeyPoint, SignaturePoint, hash_to_g2
from tetrarch.entropy import system_entropy

CASES_EXPECTED = 104
FOLDER = vectors("bls")
CASES = sorted(FOLDER.rglob("*.json"))


def raw(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


def judge_sign(given: Any) -> str | None:
    try:
        secret = bls.SecretKey.from_bytes(raw(given["privkey"]))
    except bls.ScalarOutOfRange:
        return None
    return "0x" + secret.sign(raw(given["message"])).hex()


def judge_verify(given: Any) -> bool:
    return bls.verify(raw(given["pubkey"]), raw(given["message"]), raw(given["signature"]))


def judge_aggregate(given: Any) -> str | None:
    try:
        return "0x" + bls.aggregate([raw(signature) for signature in given]).hex()
    except bls.NothingToAggregate:
        return None


def judge_fast_aggregate_verify(given: Any) -> bool:
    keys = [raw(key) for key in given["pubkeys"]]
    return bls.fast_aggregate_verify(keys, raw(given["message"]), raw(given["signature"]))


def judge_aggregate_verify(given: Any) -> bool:
    keys = [raw(key) for key in given["pubkeys"]]
    messages = [raw(message) for message in given["messages"]]
    return bls.aggregate_verify(keys, messages, raw(given["signature"]))


def judge_batch_verify(given: Any) -> bool:
    triples = zip(given["pubkeys"], given["messages"], given["signatures"], strict=True)
    try:
        claims = [
            batch.Claim(PublicKeyPoint.parse(raw(k)), raw(m), SignaturePoint.parse(raw(s)))
            for k, m, s in triples
        ]
    except bls.PointAtInfinity:
        return False
    return batch.verify_all(claims, entropy=system_entropy)


def judge_deserialization(kind: type[PublicKeyPoint | SignaturePoint], data: bytes) -> bool:
    try:
        point = kind.parse(data, allow_infinity=True)
    except bls.BlsInputInvalid:
        with pytest.raises(bls.BlsInputInvalid):
            kind.parse(data)
        return False
    if point.is_infinity():  # well formed, and refused wherever a key or signature is meant
        with pytest.raises(bls.PointAtInfinity):
            kind.parse(data)
    assert point.to_bytes() == data
    return True


def judge_deserialization_g1(given: Any) -> bool:
    return judge_deserialization(PublicKeyPoint, raw(given["pubkey"]))


def judge_deserialization_g2(given: Any) -> bool:
    return judge_deserialization(SignaturePoint, raw(given["signature"]))


def judge_hash_to_g2(given: Any) -> dict[str, str]:
    suite = b"QUUX-V01-CS02-with-BLS12381G2_XMD:SHA-256_SSWU_RO_"  # the vectors' own domain
    message = given["msg"].encode()
    point = ffi.new("blst_p2 *")
    lib.blst_hash_to_g2(point, message, len(message), suite, len(suite), ffi.NULL, 0)
    out = SignaturePoint.from_jacobian(point, in_subgroup=False)
    assert out.in_subgroup()
    assert hash_to_g2(message) is not None
    memory = bytes(ffi.buffer(out.affine))
    words = [_from_montgomery(memory[at : at + 48]) for at in range(0, 192, 48)]
    x0, x1, y0, y1 = (f"0x{word:096x}" for word in words)
    return {"x": f"{x0},{x1}", "y": f"{y0},{y1}"}


def _from_montgomery(word: bytes) -> int:
    from tetrarch.crypto.blst import FIELD_MODULUS

    return int.from_bytes(word, "little") * pow(2**384, -1, FIELD_MODULUS) % FIELD_MODULUS


JUDGES = {
    "sign": judge_sign,
    "verify": judge_verify,
    "aggregate": judge_aggregate,
    "fast_aggregate_verify": judge_fast_aggregate_verify,
    "aggregate_verify": judge_aggregate_verify,
    "batch_verify": judge_batch_verify,
    "deserialization_G1": judge_deserialization_g1,
    "deserialization_G2": judge_deserialization_g2,
    "hash_to_G2": judge_hash_to_g2,
}


def test_the_suite_is_complete() -> None:
    assert len(CASES) == CASES_EXPECTED
    assert {path.parent.name for path in CASES} == JUDGES.keys()


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_official_case(path: Path) -> None:
    case = json.loads(path.read_text())
    assert JUDGES[path.parent.name](case["input"]) == case["output"]
