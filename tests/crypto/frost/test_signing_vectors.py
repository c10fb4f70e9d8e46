"""Signing as RFC 9591 and the Zcash Foundation have it, byte for byte."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from tests.vectors_path import vectors

from tetrarch.crypto.frost.groups import Scalar
from tetrarch.crypto.frost.keys import Quorum, deal, verify_share
from tetrarch.crypto.frost.signing import Signing, aggregate, commit, is_share, sign
from tetrarch.crypto.frost.suites import (
    ED25519,
    RISTRETTO255,
    SECP256K1,
    SECP256K1_TAPROOT,
    Suite,
)

FILES = {
    "rfc9591-ed25519-sha512": ED25519,
    "rfc9591-ristretto255-sha512": RISTRETTO255,
    "rfc9591-secp256k1-sha256": SECP256K1,
    "zcash-ed25519-vectors": ED25519,
    "zcash-ed25519-vectors-big-identifier": ED25519,
    "zcash-ristretto255-vectors": RISTRETTO255,
    "zcash-ristretto255-vectors-big-identifier": RISTRETTO255,
    "zcash-secp256k1-vectors": SECP256K1,
    "zcash-secp256k1-vectors-big-identifier": SECP256K1,
    "zcash-secp256k1-tr-vectors": SECP256K1_TAPROOT,
    "zcash-secp256k1-tr-vectors-big-identifier": SECP256K1_TAPROOT,
}


def entropy_of(row: dict[str, Any]) -> Any:
    chunks: Iterator[bytes] = iter(
        bytes.fromhex(row[f"{kind}_nonce_randomness"]) for kind in ("hiding", "binding")
    )
    return lambda _size_bytes: next(chunks)


@pytest.mark.parametrize(("name", "suite"), FILES.items())
def test_two_rounds(name: str, suite: Suite) -> None:
    vector = json.loads((vectors("frost") / f"{name}.json").read_text())
    given, config = vector["inputs"], vector["config"]
    scalar = lambda text: suite.group.decode_scalar(bytes.fromhex(text))  # noqa: E731
    message = bytes.fromhex(given["message"])
    quorum = Quorum(int(config["MIN_PARTICIPANTS"]), int(config["MAX_PARTICIPANTS"]))
    coefficients = [scalar(text) for text in given["share_polynomial_coefficients"]]
    keys = deal(suite, quorum, scalar(given["group_secret_key"]), coefficients)
    public = keys[1].public
    told = given.get("group_public_key") or given["verifying_key_key"]
    assert public.key.hex() == told
    for row in given["participant_shares"]:
        own = keys[int(row["identifier"])]
        assert own.secret.reveal().hex() == row["participant_share"]
        assert verify_share(suite, own)

    nonces = {}
    for row in vector["round_one_outputs"]["outputs"]:
        index = int(row["identifier"])
        drawn = commit(suite, keys[index].secret, entropy_of(row))
        assert drawn.commitment.hiding.hex() == row["hiding_nonce_commitment"]
        assert drawn.commitment.binding.hex() == row["binding_nonce_commitment"]
        nonces[index] = drawn
    assert list(nonces) == [int(each) for each in given["participant_list"]]
    signing = Signing.begin(
        suite, public, {index: drawn.commitment for index, drawn in nonces.items()}, message
    )

    shares: dict[int, Scalar] = {}
    for row in vector["round_two_outputs"]["outputs"]:
        index = int(row["identifier"])
        shares[index] = sign(signing, keys[index], nonces[index])
        assert shares[index].hex() == row["sig_share"]
        assert is_share(signing, index, shares[index])
    signature = aggregate(signing, shares)
    assert signature.hex() == vector["final_output"]["sig"]
    assert suite.is_signed(public.key, message, signature)
