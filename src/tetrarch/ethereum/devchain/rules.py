"""One chain's rules: fork, sizes, constants and types, with the caches that make them quick.

A ``Rules`` object is shared by all states of a chain. Its caches hold pure functions of their
keys, so sharing cannot change an answer.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from typing import TypeVar

from tetrarch.crypto import bls
from tetrarch.crypto.batch import Claim, verify_all
from tetrarch.crypto.points import BlsInputInvalid, PublicKeyPoint
from tetrarch.entropy import system_entropy
from tetrarch.ethereum.devchain.config import ChainConstants, fork_version
from tetrarch.ethereum.spec.domains import DomainType, compute_domain
from tetrarch.ethereum.spec.forks import spec_types
from tetrarch.ethereum.spec.presets import Preset, preset_named
from tetrarch.ethereum.spec.values import Fork
from tetrarch.ssz.incremental import ContainerRootCache

CACHE_MAX = 512
REGISTRIES_MAX = 32
KEYS_MAX = 1 << 17
BLS_TO_EXECUTION_CHANGE = bytes.fromhex("0a000000")

Value = TypeVar("Value")


class BoundedCache:
    """Answers of pure functions by key; forgets the oldest beyond ``size_max``."""

    def __init__(self, size_max: int = CACHE_MAX) -> None:
        self._size_max = size_max
        self._values: OrderedDict[Hashable, object] = OrderedDict()

    def has(self, key: Hashable) -> bool:
        """Whether the value of ``key`` is known."""
        return key in self._values

    def get(self, key: Hashable, compute: Callable[[], Value]) -> Value:
        """The value of ``key``; ``compute`` is called where it is not known."""
        if key in self._values:
            self._values.move_to_end(key)
            return self._values[key]  # type: ignore[return-value]  # stored below under the same key
        value = compute()
        self._values[key] = value
        if len(self._values) > self._size_max:
            self._values.popitem(last=False)
        return value


class RegistryCache:
    """Answers of pure functions of a validator registry, found by its identity.

    Blocks leave the registry's tuple as it is, and to look for what 1000 validators have in
    common would cost more than any of the answers. A registry being written to (a list) is
    never kept.
    """

    def __init__(self, size_max: int = REGISTRIES_MAX) -> None:
        self._size_max = size_max
        # The registry is held beside its answers: its identity must not be given to another.
        self._kept: OrderedDict[int, tuple[Sequence[object], dict[Hashable, object]]] = (
            OrderedDict()
        )

    def get(self, registry: Sequence[object], key: Hashable, compute: Callable[[], Value]) -> Value:
        """The value of ``key`` for ``registry``; ``compute`` is called where it is not known."""
        if not isinstance(registry, tuple):
            return compute()
        if id(registry) not in self._kept:
            self._kept[id(registry)] = (registry, {})
            if len(self._kept) > self._size_max:
                self._kept.popitem(last=False)
        _, answers = self._kept[id(registry)]
        if key not in answers:
            if len(answers) >= CACHE_MAX:
                answers.clear()
            answers[key] = compute()
        return answers[key]  # type: ignore[return-value]  # stored above under the same key


def _single(
    public_key: bytes, message: bytes, signature: bytes
) -> tuple[tuple[bytes, ...], bytes, bytes]:
    """The cache's key for a signature by one key."""
    return (public_key,), message, signature


class Rules:
    """The rules of one fork under one preset, and one chain's constants."""

    def __init__(self, fork: Fork, preset: str | Preset, constants: ChainConstants) -> None:
        self.fork = fork
        self.preset = preset if isinstance(preset, Preset) else preset_named(preset)
        self.constants = constants
        self.types = spec_types(fork, self.preset)
        self.cache = BoundedCache()
        self.by_registry = RegistryCache()
        self._roots = ContainerRootCache(self.types.BeaconState)
        self._keys = BoundedCache(KEYS_MAX)
        self._verified = BoundedCache(8192)

    @property
    def has_payload(self) -> bool:
        """Whether blocks carry execution payloads (after Altair, on our forks)."""
        return self.fork.at_least(Fork.DENEB)

    @property
    def is_electra(self) -> bool:
        """Electra's rules or later."""
        return self.fork.at_least(Fork.ELECTRA)

    @property
    def is_fulu(self) -> bool:
        """Fulu's rules."""
        return self.fork.at_least(Fork.FULU)

    def state_root(self, state: object) -> bytes:
        """Hash tree root of a state. Cost: a comparison and what changed since the last call."""
        return self._roots.hash_tree_root(state)

    def epoch_of(self, slot: int) -> int:
        """The epoch of ``slot``."""
        return slot // self.preset.slots_per_epoch

    def first_slot(self, epoch: int) -> int:
        """The first slot of ``epoch``."""
        return epoch * self.preset.slots_per_epoch

    # Signatures. Keys are parsed once; a verdict is kept, because gossip, production and import
    # ask for the same signature again.

    def verify(self, public_key: bytes, message: bytes, signature: bytes) -> bool:
        """``bls.verify`` with both caches."""
        return self.verify_aggregate((public_key,), message, signature)

    def verify_aggregate(
        self, public_keys: tuple[bytes, ...], message: bytes, signature: bytes
    ) -> bool:
        """``bls.fast_aggregate_verify`` with both caches."""
        return self._verified.get(
            (public_keys, message, signature),
            lambda: self._verify_now(public_keys, message, signature),
        )

    def verify_batch(self, claims: Sequence[tuple[bytes, bytes, bytes]]) -> None:
        """Verify (key, message, signature) together, so that asking for each is cheap later.

        Nothing is noted when any is wrong: each is then judged when it is asked for.
        Cost: 3 ms for 31 votes of one slot, instead of 25.
        """
        unknown = [claim for claim in claims if not self._verified.has(_single(*claim))]
        try:
            parsed = [self._claim(*claim) for claim in unknown]
        except BlsInputInvalid:
            return
        if parsed and verify_all(parsed, entropy=system_entropy):
            for claim in unknown:
                self._verified.get(_single(*claim), lambda: True)

    def _claim(self, public_key: bytes, message: bytes, signature: bytes) -> Claim:
        key = self._keys.get(public_key, lambda: PublicKeyPoint.parse(public_key))
        return Claim(key, message, bls.SignaturePoint.parse(signature, check_subgroup=False))

    def _verify_now(self, public_keys: tuple[bytes, ...], message: bytes, signature: bytes) -> bool:
        if len(public_keys) != 1:
            return bls.fast_aggregate_verify(public_keys, message, signature)
        try:
            key = self._keys.get(public_keys[0], lambda: PublicKeyPoint.parse(public_keys[0]))
            point = bls.SignaturePoint.parse(signature, allow_infinity=True)
        except BlsInputInvalid:
            return False
        return bls.verify_points(key, message, point)

    def deposit_domain(self) -> bytes:
        """The domain of deposits: the same on every fork of the chain."""
        return compute_domain(DomainType.DEPOSIT, fork_version(Fork.PHASE0))

    def bls_change_domain(self, genesis_validators_root: bytes) -> bytes:
        """The domain of changes of withdrawal credentials: the same on every fork."""
        domain = compute_domain(
            DomainType.DEPOSIT, fork_version(Fork.PHASE0), genesis_validators_root
        )
        return BLS_TO_EXECUTION_CHANGE + domain[4:]
