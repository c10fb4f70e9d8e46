"""The port to BLS: bad bytes never raise, points are kept within bounds."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from tests.duties.duty_world import CHAIN, Validators

from tetrarch.crypto.points import SignaturePoint, write_signature
from tetrarch.duties import group_crypto
from tetrarch.duties.group_crypto import BlsGroupCrypto, PartialClaim, PartialsFor
from tetrarch.duties.plausible import signing_root
from tetrarch.duties.types import PartialSignature, ShareIndex
from tetrarch.entropy import system_entropy

VALIDATORS = Validators(1)
PUBKEY = VALIDATORS.pubkeys[0]
PARTIALS = {share: VALIDATORS.partials(share).partials[0] for share in (1, 2, 3, 4)}
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
