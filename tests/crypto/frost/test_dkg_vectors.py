"""Key generation's values as the Zcash Foundation has them."""

import json

import pytest
from tests.vectors_path import vectors

from tetrarch.crypto.frost.dkg import Generation, Opening, public_keys
from tetrarch.crypto.frost.keys import (
    Keys,
    Quorum,
    SecretShare,
    evaluate,
    evaluate_points,
    verify_share,
    with_taproot_tweak,
)
from tetrarch.crypto.frost.proofs import KnowledgeProof, is_known
from tetrarch.crypto.frost.suites import (
    ED25519,
    RISTRETTO255,
    SECP256K1,
    SECP256K1_TAPROOT,
    Suite,
)

FILES = {
    "zcash-ed25519-vectors_dkg": ED25519,
    "zcash-ristretto255-vectors_dkg": RISTRETTO255,
    "zcash-secp256k1-vectors_dkg": SECP256K1,
    "zcash-secp256k1-tr-vectors_dkg": SECP256K1_TAPROOT,
}


@pytest.mark.parametrize(("name", "suite"), FILES.items())
def test_generation(name: str, suite: Suite) -> None:
    vector = json.loads((vectors("frost") / f"{name}.json").read_text())
    given, group = vector["inputs"], suite.group
    raw = lambda index, field: bytes.fromhex(given[str(index)][field])  # noqa: E731
    openings, polynomials = {}, {}
    for index in (1, 2, 3):
        assert given[str(index)]["identifier"] == index
        polynomials[index] = tuple(
            group.decode_scalar(raw(index, field)) for field in ("signing_key", "coefficient")
        )
        commitments = tuple(
            group.decode_point(bytes.fromhex(each)) for each in given[str(index)]["vss_commitments"]
        )
        assert commitments == tuple(group.multiply_base(each) for each in polynomials[index])
        proof = raw(index, "proof_of_knowledge")
        size = len(proof) - 32
        told = proof[:size] if size == group.point_size_bytes else b"\x02" + proof[:size]
        known = KnowledgeProof(group.decode_point(told), group.decode_scalar(proof[size:]))
        prefix = group.to_scalar(index)
        assert is_known(suite, commitments[0], known, prefix=prefix, context=b"")
        wrong = group.to_scalar(index + 1)
        assert not is_known(suite, commitments[0], known, prefix=wrong, context=b"")
        openings[index] = Opening(commitments, known, commitments[0])
    generation = Generation(suite, Quorum(2, 3), bytes(32))
    public = public_keys(generation, openings)
    for index in (1, 2, 3):
        total = evaluate(suite, polynomials[index], index)
        for other in {1, 2, 3} - {index}:
            part = evaluate(suite, polynomials[other], index)
            told_part = given[str(index)]["signing_shares"][str(other)]
            assert part.hex() == told_part
            expected = evaluate_points(suite, openings[other].commitments, index)
            assert group.multiply_base(part) == expected
            total = group.add_scalars(total, part)
        keys = Keys(public, SecretShare(index, total))
        if suite is SECP256K1_TAPROOT:
            keys = with_taproot_tweak(suite, keys)
        assert keys.secret.reveal() == raw(index, "signing_share")
        assert keys.public.share_of(index) == raw(index, "verifying_share")
        assert keys.public.key.hex() == given["verifying_key"]
        assert verify_share(suite, keys)
