"""Who takes part in an election, and by which rules. Pure."""

import hashlib
from dataclasses import dataclass, field
from enum import StrEnum

from tetrarch.attestation.policy import Allowed, Demand
from tetrarch.election.cluster_key import PUBLIC_KEY_SIZE_BYTES, ClusterKey
from tetrarch.election.quorums import (
    MEMBERS_MAX,
    MEMBERS_MIN,
    Mode,
    faulty_max,
    liars_max,
    may_share_key,
    quorum,
    recovery_quorum,
)
from tetrarch.errors import ConfigInvalid

NAME_MAX_BYTES = 255
ALLOWED_MAX = 64
LEASE_MS_MAX = 3_600_000
CLUSTER_SIZE_BYTES = 32
_DOMAIN = b"tetrarch/election/1/configuration"


class Rule(StrEnum):
    """How a leader is chosen where none is to stay."""

    LOWEST = "lowest"
    ROUND_ROBIN = "round-robin"
    BEACON = "beacon"  # by a random number that members make together and nobody can choose


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """The same on every member: members that differ in it refuse each other.

    ``members``: names (HOST:PORT, or a node's id), sorted; a member's index is its place.
    ``allowed``: which enclaves may take part, sorted, where ``attestation`` asks for evidence.
    ``lease_ms``: for how long a leader that was confirmed cannot be replaced; 0: no leases.
    ``cluster_key``: signs for the members, where they share one; else a quorum's enclaves sign.
    """

    members: tuple[str, ...]
    mode: Mode
    rule: Rule = Rule.LOWEST
    lease_ms: int = 0
    cluster: bytes = bytes(CLUSTER_SIZE_BYTES)
    epoch: int = 0
    attestation: Demand = Demand.OFF
    allowed: tuple[Allowed, ...] = ()
    cluster_key: ClusterKey | None = None
    hash: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not MEMBERS_MIN <= len(self.members) <= MEMBERS_MAX:
            raise ConfigInvalid(
                "build election configuration",
                field="members",
                count=len(self.members),
                expected=f"{MEMBERS_MIN} to {MEMBERS_MAX}",
            )
        if list(self.members) != sorted(set(self.members)):
            raise ConfigInvalid(
                "build election configuration", field="members", expected="sorted, each once"
            )
        for name in self.members:
            if not 0 < len(name.encode()) <= NAME_MAX_BYTES:
                raise ConfigInvalid("build election configuration", field="members", got=name[:40])
        if not 0 <= self.lease_ms <= LEASE_MS_MAX:
            raise ConfigInvalid("build election configuration", field="lease_ms", got=self.lease_ms)
        if len(self.cluster) != CLUSTER_SIZE_BYTES:
            raise ConfigInvalid("build election configuration", field="cluster")
        _check_attestation(self)
        _check_cluster_key(self)
        object.__setattr__(self, "hash", _hash(self))

    @property
    def count(self) -> int:
        """How many members there are: n."""
        return len(self.members)

    @property
    def faulty_max(self) -> int:
        """f: how many members may fail."""
        return faulty_max(self.count, self.mode)

    @property
    def liars_max(self) -> int:
        """How many members may lie."""
        return liars_max(self.count, self.mode)

    @property
    def quorum(self) -> int:
        """q: how many members make a certificate."""
        return quorum(self.count, self.mode)

    @property
    def recovery_quorum(self) -> int:
        """How many others must answer an enclave that starts."""
        return recovery_quorum(self.count, self.mode)


def _check_attestation(configuration: Configuration) -> None:
    action, allowed = "build election configuration", configuration.allowed
    if list(allowed) != sorted(set(allowed)) or len(allowed) > ALLOWED_MAX:
        raise ConfigInvalid(
            action, field="allowed", expected=f"sorted, each once, {ALLOWED_MAX} at most"
        )
    if configuration.attestation is Demand.REQUIRE and not allowed:
        raise ConfigInvalid(action, field="allowed", reason="empty, so nobody could take part")
    if configuration.attestation is Demand.OFF and allowed:
        raise ConfigInvalid(action, field="attestation", reason="off, so nothing looks at allowed")


def _check_cluster_key(configuration: Configuration) -> None:
    c, action = configuration, "build election configuration"
    key = c.cluster_key
    if key is None:
        if c.rule is Rule.BEACON:
            raise ConfigInvalid(
                action,
                field="rule",
                reason="its random numbers take a key that members share, and these share none",
            )
        return
    if c.mode is not Mode.BFT:
        raise ConfigInvalid(action, field="cluster_key", expected="mode bft")
    sizes = {len(key.public_key), *map(len, key.public_shares)}
    if len(key.public_shares) != c.count or sizes != {PUBLIC_KEY_SIZE_BYTES}:
        raise ConfigInvalid(action, field="cluster_key", expected="a share for each member")
    if not may_share_key(key.threshold, c.count, c.mode):
        raise ConfigInvalid(
            action,
            field="cluster_key",
            threshold=key.threshold,
            expected=f"{c.liars_max + 1} to {c.quorum}",
        )


def _hash(configuration: Configuration) -> bytes:
    """32 bytes over everything. Layout: lengths as big-endian integers, so it is unambiguous."""
    c = configuration
    digest = hashlib.sha256(_DOMAIN)
    digest.update(c.cluster + c.epoch.to_bytes(8, "big") + c.lease_ms.to_bytes(4, "big"))
    key = c.cluster_key
    shared = () if key is None else (key.public_key, *key.public_shares)
    digest.update(len(shared).to_bytes(2, "big") + b"".join(shared))
    digest.update((0 if key is None else key.threshold).to_bytes(2, "big"))
    texts = (c.mode, c.rule, c.attestation, str(len(c.allowed)), *map(str, c.allowed), *c.members)
    for text in texts:
        encoded = text.encode()
        digest.update(len(encoded).to_bytes(2, "big") + encoded)
    return digest.digest()
