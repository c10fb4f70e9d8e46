"""Members with real keys, and what they say."""

from collections.abc import Iterable
from dataclasses import replace
from random import Random

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tetrarch.crypto.bls import SecretKey
from tetrarch.crypto.threshold import split
from tetrarch.election.certificates import LeaderCertificate, ViewCertificate
from tetrarch.election.cluster_key import ClusterKey, ClusterShare
from tetrarch.election.configuration import Configuration, Rule
from tetrarch.election.quorums import Mode
from tetrarch.election.statements import NOTHING_BEFORE, Leader, S, Signed, View, Vote

KEYS = [Ed25519PrivateKey.from_private_bytes(bytes([index + 1]) * 32) for index in range(10)]


class Key:
    """One member's own."""

    def __init__(self, source: int) -> None:
        self._source = source

    def sign(self, data: bytes) -> bytes:
        return KEYS[self._source].sign(data)


class Keys:
    """Everybody's."""

    def verify(self, source: int, data: bytes, signature: bytes) -> bool:
        try:
            KEYS[source].public_key().verify(signature, data)
        except InvalidSignature:
            return False
        return True


def configuration(
    count: int = 4, mode: Mode = Mode.BFT, rule: Rule = Rule.LOWEST, lease_ms: int = 0
) -> Configuration:
    names = tuple(f"node{index}" for index in range(count))
    return Configuration(members=names, mode=mode, rule=rule, lease_ms=lease_ms)


def shared_secrets(count: int) -> tuple[SecretKey, list[SecretKey]]:
    """A key of ``count`` members, of which a quorum signs, and its shares. The same each time."""
    root = SecretKey.generate(Random(count).randbytes)
    threshold = configuration(count).quorum
    dealing = split(root, share_count=count, threshold=threshold, entropy=Random(1).randbytes)
    return root, [dealing.shares[index + 1] for index in range(count)]


def sharing(count: int = 4, rule: Rule = Rule.LOWEST) -> tuple[Configuration, list[ClusterShare]]:
    """Members that share a key, and their shares."""
    one = configuration(count)
    root, secrets = shared_secrets(count)
    public = tuple(secret.public_key() for secret in secrets)
    key = ClusterKey(root.public_key(), public, one.quorum)
    return replace(one, cluster_key=key, rule=rule), [ClusterShare(each) for each in secrets]


def signed(what: S) -> Signed[S]:
    return Signed(what, KEYS[what.source].sign(what.signing_bytes))


def view_of(
    c: Configuration,
    members: Iterable[int] = range(4),
    term: int = 1,
    previous: bytes = b"",
    *,
    vacated: bool = False,
) -> View:
    return View(c.hash, term, tuple(members), previous or NOTHING_BEFORE, vacated)


def certified(view: View, voters: Iterable[int]) -> ViewCertificate:
    return ViewCertificate(view, tuple(signed(Vote(view, voter, 1)) for voter in voters))


def leading(leader: Leader, signers: Iterable[int]) -> LeaderCertificate:
    signatures = tuple((each, KEYS[each].sign(leader.signing_bytes)) for each in signers)
    return LeaderCertificate(leader, signatures)
