"""The port to BLS: bad bytes never raise, points are kept within bounds."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from tests.crypto.keys import sum_g2
from tests.duties.duty_world import CHAIN, Validators

from tetrarch.crypto.batch import Claim, find_false
from tetrarch.crypto.points import PublicKeyPoint, SignaturePoint, write_signature
from tetrarch.duties import group_crypto
from tetrarch.duties.group_crypto import BlsGroupCrypto, PartialClaim, PartialsFor
from tetrarch.duties.plausible import signing_root
from tetrarch.duties.types import PartialSignature, ShareIndex
from tetrarch.entropy import Entropy, system_entropy

VALIDATORS = Validators(1)
PUBKEY = VALIDATORS.pubkeys[0]
PARTIALS = {share: VALIDATORS.partials(share).partials[0] for share in (1, 2, 3, 4)}
PUBLIC_SHARES = [VALIDATORS.keys.public_share(PUBKEY, ShareIndex(s)) for s in (1, 2, 3, 4)]
ROOT = signing_root(PARTIALS[1].payload, CHAIN)


def said(signature: bytes, ordinate: bytes = b"") -> PartialSignature:
    return replace(PARTIALS[1], signature=signature, ordinate=ordinate)


@pytest.fixture
def crypto() -> BlsGroupCrypto:
    return BlsGroupCrypto(keys=VALIDATORS.keys, entropy=system_entropy)


def partials_for(**replaced: bytes) -> PartialsFor:
    signatures = {share: partial.signature for share, partial in PARTIALS.items()}
    signatures.update({int(name[1:]): signature for name, signature in replaced.items()})
    found = tuple((ShareIndex(share), signature) for share, signature in signatures.items())
    return PartialsFor(PUBKEY, ROOT, found)


@pytest.mark.parametrize("rubbish", [bytes(96), b"\xff" * 96, b"\xc0" + bytes(95)])
def test_rubbish_of_a_peer_is_named_and_combined_around(crypto, rubbish: bytes) -> None:
    crypto.arrived([said(rubbish), *(said(partial.signature) for partial in PARTIALS.values())])
    result = crypto.combine([partials_for(s4=rubbish)], avoid=())
    (signature,) = result.signatures
    assert signature is not None
    assert crypto.verifies(PUBKEY, ROOT, signature)


def test_ordinates_are_used_and_wrong_ones_change_nothing(crypto) -> None:
    wrong = b"\1" * 96
    for share, partial in PARTIALS.items():
        ordinate = wrong if share == 2 else ordinate_of(partial.signature)
        crypto.arrived([said(partial.signature, ordinate)])
    assert set(crypto._points) == {partial.signature for partial in PARTIALS.values()}
    result = crypto.combine([partials_for()], avoid=())
    assert result.culprits == ()
    assert crypto.verifies(PUBKEY, ROOT, result.signatures[0])


def ordinate_of(signature: bytes) -> bytes:
    return write_signature(SignaturePoint.parse(signature).affine)[1]


def test_too_few_right_partials_give_no_signature_and_name_the_culprits(crypto) -> None:
    result = crypto.combine([partials_for(s3=bytes(96), s4=b"\xff" * 96)], avoid=())
    assert result.signatures == (None,)
    assert set(result.culprits) == {(0, 3), (0, 4)}


def test_false_claims_are_found_among_right_ones(crypto) -> None:
    claims = [
        PartialClaim(PUBKEY, ShareIndex(1), ROOT, PARTIALS[1].signature),
        PartialClaim(PUBKEY, ShareIndex(2), ROOT, PARTIALS[1].signature),
        PartialClaim(PUBKEY, ShareIndex(3), ROOT, b"\xff" * 96),
        PartialClaim(PUBKEY, ShareIndex(4), ROOT, PARTIALS[4].signature),
    ]
    assert crypto.false_partials(claims) == (1, 2)
    assert crypto.false_partials([]) == ()


@pytest.fixture
def verified(monkeypatch) -> list[int]:
    """The shares whose partials took a pairing, in order."""
    shares: list[int] = []

    def note(claims: Sequence[Claim], *, entropy: Entropy) -> tuple[int, ...]:
        held = {PublicKeyPoint.parse(key): s for s, key in enumerate(PUBLIC_SHARES, start=1)}
        shares.extend(held[claim.public_key] for claim in claims)
        return find_false(claims, entropy=entropy)

    monkeypatch.setattr(group_crypto, "find_false", note)
    return shares


def claim_of(share: int, signature: bytes | None = None) -> PartialClaim:
    return PartialClaim(PUBKEY, ShareIndex(share), ROOT, signature or PARTIALS[share].signature)


def test_partials_after_the_group_signature_need_no_pairing(crypto, verified) -> None:
    assert crypto.combine([partials_of_shares(1, 2, 3)], avoid=()).signatures[0]
    assert crypto.false_partials([claim_of(4), claim_of(1)]) == ()
    assert verified == []


def test_false_partial_after_the_group_signature_is_found(crypto, verified) -> None:
    assert crypto.combine([partials_of_shares(1, 2, 4)], avoid=()).signatures[0]
    stranger = PARTIALS[1].signature
    assert crypto.false_partials([claim_of(2), claim_of(3, stranger), claim_of(4)]) == (1,)
    assert verified == [3]


def test_false_partials_that_cancel_each_other_do_not_condemn_a_right_one(crypto, verified) -> None:
    # Of shares 1, 2 and 3 the weights are 3, -3 and 1: the same point added to 1 and 2 is lost.
    strange = SignaturePoint.parse(PARTIALS[4].signature)
    shifted = {
        share: sum_g2(SignaturePoint.parse(PARTIALS[share].signature), strange).to_bytes()
        for share in (1, 2)
    }
    made_of = {**shifted, 3: PARTIALS[3].signature}
    found = tuple((ShareIndex(share), signature) for share, signature in made_of.items())
    assert crypto.combine([PartialsFor(PUBKEY, ROOT, found)], avoid=()).signatures[0]
    assert crypto.false_partials([claim_of(4)]) == ()
    assert verified == [4]


def test_another_root_of_the_same_validator_is_verified_by_itself(crypto, verified) -> None:
    assert crypto.combine([partials_of_shares(1, 2, 3)], avoid=()).signatures[0]
    assert crypto.false_partials([replace(claim_of(4), root=b"o" * 32)]) == (0,)
    assert verified == [4]


def test_kept_group_signatures_are_bounded(crypto, verified, monkeypatch) -> None:
    monkeypatch.setattr(group_crypto, "MADE_MAX", 0)
    assert crypto.combine([partials_of_shares(1, 2, 3)], avoid=()).signatures[0]
    assert crypto._made == {}
    assert crypto.false_partials([claim_of(4)]) == ()
    assert verified == [4]


def partials_of_shares(*shares: int) -> PartialsFor:
    found = tuple((ShareIndex(share), PARTIALS[share].signature) for share in shares)
    return PartialsFor(PUBKEY, ROOT, found)


@pytest.mark.parametrize("pubkey", [bytes(48), b"\xff" * 48])
def test_key_that_is_none_verifies_nothing(crypto, pubkey: bytes) -> None:
    assert not crypto.verifies(pubkey, ROOT, PARTIALS[1].signature)


def test_kept_points_are_bounded_and_used_ones_let_go(crypto, monkeypatch) -> None:
    monkeypatch.setattr(group_crypto, "POINTS_MAX", 2)
    crypto.arrived([said(partial.signature) for partial in PARTIALS.values()])
    assert list(crypto._points) == [PARTIALS[3].signature, PARTIALS[4].signature]
    crypto.combine([partials_for()], avoid=())
    assert crypto._points == {}


def test_arrivals_and_combinations_may_run_on_two_threads(crypto, monkeypatch) -> None:
    monkeypatch.setattr(group_crypto, "POINTS_MAX", 1)
    signatures = [partial.signature for partial in PARTIALS.values()]

    def arrive() -> None:
        for _ in range(50):
            crypto.arrived([said(signature) for signature in signatures])

    def combine() -> None:
        for _ in range(20):
            assert crypto.combine([partials_for()], avoid=()).signatures[0] is not None

    with ThreadPoolExecutor(2) as pool:
        for running in [pool.submit(arrive), pool.submit(combine)]:
            running.result()
