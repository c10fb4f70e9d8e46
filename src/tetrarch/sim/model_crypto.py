"""Threshold signatures in the simulator: a fast cost model, or the real curve.

A model signature is a hash over the world's seed, the key, the share and the root. The group's
signature comes out only of enough right partials, so a wrong quorum or a false partial shows
as it would with BLS. Computing takes virtual time.
"""

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from random import Random
from typing import TypeVar

from tetrarch.crypto.bls import SecretKey
from tetrarch.crypto.threshold import split
from tetrarch.duties.group_crypto import (
    BlsGroupCrypto,
    GroupCrypto,
    GroupSignatures,
    PartialClaim,
    PartialsFor,
)
from tetrarch.duties.keys import ClusterKeys
from tetrarch.duties.types import SIGNATURE_SIZE_BYTES, PartialSignature, PubKey, ShareIndex
from tetrarch.enclave.keys import BlsKeyRing, KeyRing
from tetrarch.enclave.ports import Approved

R = TypeVar("R")
COMPUTE_S = 0.002
_GROUP = 0


class SimCompute:
    """Runs at once, and lets virtual time pass as a worker thread would."""

    async def run(self, function: Callable[[], R], /, *, cost_ms: float = 0.0) -> R:
        """See ``duties.ports.Compute``."""
        del cost_ms  # virtual time passes alike
        result = function()
        await asyncio.sleep(COMPUTE_S)
        return result


@dataclass(frozen=True, slots=True)
class DealtKeys:
    """All keys of a simulated cluster, and who signs and verifies with them."""

    public: tuple[ClusterKeys, ...]  # by node
    rings: tuple[KeyRing, ...]  # by node
    crypto: tuple[GroupCrypto, ...]  # by node

    @property
    def pubkeys(self) -> tuple[PubKey, ...]:
        """All validators' root keys, ascending."""
        return self.public[0].pubkeys


def deal(
    seed: int, *, node_count: int, threshold: int, validator_count: int, real: bool
) -> DealtKeys:
    """Keys for a world; equal arguments give equal keys."""
    rng = Random(f"{seed}/keys")
    shares = _real_shares if real else _model_shares
    dealt = shares(rng, node_count, threshold, validator_count)
    public = tuple(
        ClusterKeys(
            threshold=threshold,
            share_count=node_count,
            own_share_index=ShareIndex(node + 1),
            shares={pubkey: tuple(public for public, _ in each) for pubkey, each in dealt.items()},
        )
        for node in range(node_count)
    )
    rings: tuple[KeyRing, ...]
    crypto: tuple[GroupCrypto, ...]
    if real:
        rings = tuple(
            BlsKeyRing({p: secret for p, each in dealt.items() if (secret := each[node][1])})
            for node in range(node_count)
        )
        crypto = tuple(BlsGroupCrypto(keys=keys, entropy=rng.randbytes) for keys in public)
    else:
        rings = tuple(
            ModelKeyRing(seed, ShareIndex(node + 1), tuple(dealt)) for node in range(node_count)
        )
        crypto = tuple(ModelGroupCrypto(seed, threshold) for _ in public)
    return DealtKeys(public, rings, crypto)


_Shares = dict[PubKey, list[tuple[bytes, SecretKey | None]]]


def _model_shares(rng: Random, node_count: int, threshold: int, validator_count: int) -> _Shares:
    del threshold
    return {
        PubKey(rng.randbytes(48)): [(rng.randbytes(48), None) for _ in range(node_count)]
        for _ in range(validator_count)
    }


def _real_shares(rng: Random, node_count: int, threshold: int, validator_count: int) -> _Shares:
    dealt: _Shares = {}
    for _ in range(validator_count):
        secret = SecretKey.generate(rng.randbytes)
        dealing = split(secret, share_count=node_count, threshold=threshold, entropy=rng.randbytes)
        dealt[PubKey(secret.public_key())] = [
            (share.public_key(), share) for _, share in sorted(dealing.shares.items())
        ]
    return dealt


def _made(seed: int, pubkey: bytes, share: int, root: bytes) -> bytes:
    text = f"{seed}/{share}/".encode() + pubkey + root
    return sha256(text).digest().ljust(SIGNATURE_SIZE_BYTES, b"\1")


class ModelKeyRing:
    """Signs as one share of each validator; satisfies ``enclave.keys.KeyRing``."""

    def __init__(self, seed: int, share: ShareIndex, pubkeys: tuple[PubKey, ...]) -> None:
        self._seed = seed
        self._share = share
        self._pubkeys = tuple(sorted(pubkeys))

    @property
    def pubkeys(self) -> tuple[bytes, ...]:
        """See ``KeyRing``."""
        return self._pubkeys

    def sign(self, wanted: Sequence[tuple[bytes, bytes]]) -> list[Approved]:
        """See ``KeyRing``."""
        return [Approved(_made(self._seed, pubkey, self._share, root)) for pubkey, root in wanted]

    def begin(self, wanted: Sequence[tuple[bytes, bytes]]) -> Callable[[], list[Approved]]:
        """See ``KeyRing``."""
        return partial(self.sign, wanted)


class ModelGroupCrypto:
    """Satisfies ``duties.group_crypto.GroupCrypto``."""

    def __init__(self, seed: int, threshold: int) -> None:
        self._seed = seed
        self._threshold = threshold

    def warm(self, pubkeys: Sequence[PubKey]) -> None:
        """Nothing to parse."""

    def arrived(self, partials: Sequence[PartialSignature]) -> None:
        """Nothing to prepare."""

    def combine(
        self, items: Sequence[PartialsFor], *, avoid: Collection[ShareIndex]
    ) -> GroupSignatures:
        """See ``GroupCrypto``. Examines partials only where the first chosen do not combine."""
        signatures: list[bytes | None] = []
        culprits: list[tuple[int, ShareIndex]] = []
        for position, item in enumerate(items):
            right = {share for share, made in item.partials if self._is_right(item, share, made)}
            preferred = [share for share, _ in item.partials if share not in avoid]
            chosen = preferred if len(preferred) >= self._threshold else dict(item.partials)
            if not set(list(chosen)[: self._threshold]) <= right:
                culprits += [(position, s) for s, _ in item.partials if s not in right]
            enough = len(right) >= self._threshold
            group = _made(self._seed, item.pubkey, _GROUP, item.root)
            signatures.append(group if enough else None)
        return GroupSignatures(tuple(signatures), tuple(culprits))

    def false_partials(self, claims: Sequence[PartialClaim]) -> tuple[int, ...]:
        """See ``GroupCrypto``."""
        return tuple(
            at
            for at, claim in enumerate(claims)
            if claim.signature != _made(self._seed, claim.pubkey, claim.share_index, claim.root)
        )

    def verifies(self, pubkey: PubKey, root: bytes, signature: bytes) -> bool:
        """See ``GroupCrypto``."""
        return signature == _made(self._seed, pubkey, _GROUP, root)

    def _is_right(self, item: PartialsFor, share: int, signature: bytes) -> bool:
        return signature == _made(self._seed, item.pubkey, share, item.root)
