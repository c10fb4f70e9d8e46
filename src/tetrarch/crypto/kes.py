"""Signatures whose keys evolve: the sum construction of MMM over Ed25519, 4,096 periods.

Who takes the secret key of one period can sign for it and for later ones, and for none before: what
earlier periods were signed with has been overwritten.

    public key     = SHA-256(left ‖ right), each again so, twelve times; below, an Ed25519 key for each period
    secret key     = period u32 ‖ seed 32 ‖ its public key 32 ‖ twelve (left 32 ‖ right 32), from the root on
                     ‖ twelve seeds 32, of the right halves that are still to come, from the root on
    signature      = period u32 ‖ Ed25519 signature 64 ‖ its public key 32 ‖ twelve siblings 32, from the root on

``period`` is little-endian; unused seeds are zeros at the end. The bytes are those of the reference.

Source: Malkin, Micciancio, Miner, "Efficient generic forward-secure signatures with an unbounded number of
time periods" (EUROCRYPT 2002), section 3.1; the form is the reference's.
"""

import hashlib
from typing import Final, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tetrarch.crypto.ed25519 import is_signed
from tetrarch.crypto.wiping import wipe
from tetrarch.errors import InputInvalid

DEPTH: Final = 12
PERIODS: Final = 2**DEPTH
PUBLIC_KEY_SIZE_BYTES: Final = 32
SEED_SIZE_BYTES: Final = 32
SIGNATURE_SIZE_BYTES: Final = 4 + 64 + 32 + 32 * DEPTH
SECRET_KEY_SIZE_BYTES: Final = 4 + 64 + 64 * DEPTH + 32 * DEPTH

_LEAF, _PAIRS, _SEEDS = 4, 68, 68 + 64 * DEPTH


class KesKeyInvalid(InputInvalid):
    """Bytes that are no such secret key."""

    code = "kes_key_invalid"


class KesKeySpent(InputInvalid):
    """The key's last period is over."""

    code = "kes_key_spent"


class KesKey:
    """A secret key in its present period. Neither printed nor pickled; ``data`` is overwritten in place."""

    __slots__ = ("_data",)

    def __init__(self, data: bytearray) -> None:
        """Take 1,220 bytes, which are this key's alone from now on.

        Raises:
            KesKeyInvalid: another length or period, or parts that do not belong together. Cost: 0.1 ms.
        """
        if len(data) != SECRET_KEY_SIZE_BYTES or _period_of(data) >= PERIODS:
            raise KesKeyInvalid("read KES key", got_bytes=len(data))
        self._data = data
        self._check()

    @classmethod
    def generate(cls, seed: bytes) -> Self:
        """The key of ``seed``, 32 random bytes, in period 0. Cost: 0.4 s."""
        if len(seed) != SEED_SIZE_BYTES:
            raise KesKeyInvalid("make KES key", got_bytes=len(seed))
        data = bytearray(SECRET_KEY_SIZE_BYTES)
        _fill(data, seed, level=0, seeds=0)
        return cls(data)

    @property
    def period(self) -> int:
        """That it signs in now, from 0."""
        return _period_of(self._data)

    @property
    def public_key(self) -> bytes:
        """The same in all periods."""
        return _hash(bytes(self._data[_PAIRS : _PAIRS + 64]))

    def sign(self, message: bytes) -> bytes:
        """Sign in the present period. Cost: 0.1 ms."""
        data = self._data
        leaf = Ed25519PrivateKey.from_private_bytes(memoryview(data)[_LEAF : _LEAF + 32])
        siblings = b"".join(
            bytes(data[start : start + 32])
            for start in (
                _PAIRS + 64 * level + (0 if _is_right(self.period, level) else 32)
                for level in range(DEPTH)
            )
        )
        return bytes(data[:4]) + leaf.sign(message) + bytes(data[_LEAF + 32 : _PAIRS]) + siblings

    def evolve(self) -> None:
        """Go on to the next period; what signed in this one is overwritten. Cost: 0.1 ms, now and then 0.2 s.

        Raises:
            KesKeySpent: there is none.
        """
        data, period = self._data, self.period
        if period + 1 >= PERIODS:
            raise KesKeySpent("evolve KES key", periods=PERIODS)
        height = (period ^ (period + 1)).bit_count() - 1  # of the half whose turn it is
        last = _seeds_in(period) - 1
        start = _SEEDS + 32 * last
        seed = bytes(data[start : start + 32])
        data[start : start + 32] = bytes(32)
        data[:4] = (period + 1).to_bytes(4, "little")
        _fill(data, seed, level=DEPTH - height, seeds=last)
        wipe(seed)

    def to_bytes(self) -> bytes:
        """1,220 bytes. The secret itself."""
        return bytes(self._data)

    def erase(self) -> None:
        """Overwrite all of it; it must not be used again."""
        wipe(self._data)

    def _check(self) -> None:
        """A damaged key would sign what nobody accepts, or evolve into another."""
        data, period = self._data, self.period
        leaf = Ed25519PrivateKey.from_private_bytes(memoryview(data)[_LEAF : _LEAF + 32])
        public = leaf.public_key().public_bytes_raw()
        below = _hash(bytes(data[_PAIRS : _PAIRS + 64]))
        for level in range(DEPTH):
            pair = bytes(data[_PAIRS + 64 * level : _PAIRS + 64 * (level + 1)])
            if _hash(pair) != below:
                raise KesKeyInvalid("read KES key", reason="its public keys do not belong together")
            below = pair[32:] if _is_right(period, level) else pair[:32]
        if below != public or bytes(data[_LEAF + 32 : _PAIRS]) != public:
            raise KesKeyInvalid("read KES key", reason="its seed is of another key")
        unused = data[_SEEDS + 32 * _seeds_in(period) :]
        if any(unused):
            raise KesKeyInvalid("read KES key", reason="it holds seeds of periods that are over")


def verify_kes(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether ``signature`` is that of ``message`` by the key in the period that ``kes_period`` reads.

    Cost: 0.2 ms.
    """
    if len(signature) != SIGNATURE_SIZE_BYTES or kes_period(signature) >= PERIODS:
        return False
    period, leaf = kes_period(signature), signature[68:100]
    node = leaf
    for level in reversed(range(DEPTH)):
        sibling = signature[100 + 32 * level : 132 + 32 * level]
        node = _hash(sibling + node if _is_right(period, level) else node + sibling)
    return node == public_key and is_signed(leaf, message, signature[4:68])


def kes_period(signature: bytes) -> int:
    """The period that a signature says it was made in; any value of 32 bits."""
    return int.from_bytes(signature[:4], "little")


def _fill(data: bytearray, seed: bytes, *, level: int, seeds: int) -> None:
    """Write the key's way down from the root of ``seed``'s part at ``level``, always to the left.

    ``seeds`` are there already; those of the right halves follow them.
    """
    halves: list[bytes] = []
    for below in range(level, DEPTH):
        left, right = _split(seed)
        if halves:
            wipe(seed)  # one that was split off here; the first is the caller's
        halves.append(left)
        start = _SEEDS + 32 * (seeds + below - level)
        data[start : start + 32] = right
        right_key = _public_key(right, DEPTH - below - 1)
        wipe(right)
        data[_PAIRS + 64 * below + 32 : _PAIRS + 64 * (below + 1)] = right_key
        seed = left
    leaf = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
    data[_LEAF : _LEAF + 32] = seed
    data[_LEAF + 32 : _PAIRS] = leaf
    if halves:
        wipe(seed)
    node = leaf
    for below in reversed(range(level, DEPTH)):
        data[_PAIRS + 64 * below : _PAIRS + 64 * below + 32] = node
        node = _hash(bytes(data[_PAIRS + 64 * below : _PAIRS + 64 * (below + 1)]))


def _public_key(seed: bytes, height: int) -> bytes:
    """Of the part of the tree that ``seed`` is the root of."""
    if height == 0:
        return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
    left, right = _split(seed)
    node = _hash(_public_key(left, height - 1) + _public_key(right, height - 1))
    wipe(left)
    wipe(right)
    return node


def _split(seed: bytes) -> tuple[bytes, bytes]:
    together = (bytearray(b"\x01") + seed, bytearray(b"\x02") + seed)
    left, right = (hashlib.sha256(each).digest() for each in together)
    for each in together:
        wipe(each)
    return left, right


def _hash(pair: bytes) -> bytes:
    return hashlib.sha256(pair).digest()


def _is_right(period: int, level: int) -> bool:
    """Whether the period's way goes right at ``level``, counted from the root."""
    return bool(period >> (DEPTH - 1 - level) & 1)


def _period_of(data: bytearray) -> int:
    return int.from_bytes(data[:4], "little")


def _seeds_in(period: int) -> int:
    """How many seeds a key holds: one for each right half that is still to come."""
    return DEPTH - period.bit_count()
