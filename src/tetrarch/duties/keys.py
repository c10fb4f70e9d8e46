"""The cluster's public keys as one frozen value, and the questions components have about them.

Satisfies ``duties.ports.GroupKeys`` and ``validator_api.ports.Keys``. No secret is in it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tetrarch.duties.types import PubKey, ShareIndex


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterKeys:
    """Root keys and public shares of all validators, from the verified cluster lock.

    ``shares[pubkey][i]`` is the public share of index ``i + 1``.
    """

    threshold: int
    share_count: int
    own_share_index: ShareIndex
    shares: Mapping[PubKey, tuple[bytes, ...]] = field(repr=False)
    _owners: dict[bytes, tuple[PubKey, ShareIndex]] = field(
        init=False, repr=False, compare=False, default_factory=dict
    )

    def __post_init__(self) -> None:
        for pubkey, shares in self.shares.items():
            for position, share in enumerate(shares):
                self._owners[share] = (pubkey, ShareIndex(position + 1))

    @property
    def pubkeys(self) -> tuple[PubKey, ...]:
        """All validators' root keys, ascending."""
        return tuple(sorted(self.shares))

    @property
    def share_index(self) -> ShareIndex:
        """The share that this node, or its validator client, holds."""
        return self.own_share_index

    def public_share(self, pubkey: PubKey, share_index: ShareIndex) -> bytes:
        """48 bytes: the public key of one share. KeyError for a foreign validator."""
        return self.shares[pubkey][share_index - 1]

    def share_of(self, root: PubKey) -> bytes | None:
        """Our own public share of the validator ``root``, or None for a foreign one."""
        shares = self.shares.get(root)
        return None if shares is None else shares[self.own_share_index - 1]

    def root_of(self, share: bytes) -> PubKey | None:
        """The validator of which ``share`` is this node's public share, or None."""
        pubkey, index = self._owners.get(share, (None, None))
        return pubkey if index == self.own_share_index else None

    def owner_of(self, share: bytes) -> ShareIndex | None:
        """Which operator of the cluster holds the public share ``share``, or None."""
        found = self._owners.get(share)
        return None if found is None else found[1]
