"""The key that members share signs when enough of them do, always the same, and for nobody else."""

from itertools import combinations

from tests.election.support import shared_secrets

from tetrarch.election.cluster_key import ClusterKey, ClusterShare

ROOT, SECRETS = shared_secrets(4)
SHARES = [ClusterShare(secret) for secret in SECRETS]
KEY = ClusterKey(ROOT.public_key(), tuple(secret.public_key() for secret in SECRETS), 3)
DATA = b"tetrarch/test/ something to sign"
SIGNATURES = {index: share.sign(DATA) for index, share in enumerate(SHARES)}


def test_any_that_are_enough_make_the_one_signature() -> None:
    made = {
        KEY.combine({index: SIGNATURES[index] for index in some})
        for count in (3, 4)
        for some in combinations(range(4), count)
    }
    (signature,) = made
    assert KEY.signed(DATA, signature)
    assert not KEY.signed(DATA + b"!", signature)


def test_each_share_is_told_apart() -> None:
    for index, signature in SIGNATURES.items():
        assert [KEY.signed_share(other, DATA, signature) for other in range(4)] == [
            other == index for other in range(4)
        ]
    assert not KEY.signed_share(4, DATA, SIGNATURES[0])
    assert not KEY.signed_share(-1, DATA, SIGNATURES[3])


def test_one_false_share_makes_no_signature() -> None:
    false = {**{index: SIGNATURES[index] for index in (0, 1)}, 2: SIGNATURES[3]}
    assert not KEY.signed(DATA, KEY.combine(false))


def test_bytes_that_are_no_signature_are_none() -> None:
    for bad in (b"", b"x" * 96, bytes(96), SIGNATURES[0][:-1], SIGNATURES[0] + b"0"):
        assert not KEY.signed_share(0, DATA, bad)
        assert not KEY.signed(DATA, bad)
