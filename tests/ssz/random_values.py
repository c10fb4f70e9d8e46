"""Random values of any type, by its descriptor, from one seeded stream."""

from random import Random
from typing import Any

from tetrarch.ssz.basic import Boolean, ByteList, ByteVector, Uint
from tetrarch.ssz.bits import Bitlist, Bits, Bitvector
from tetrarch.ssz.container import Container
from tetrarch.ssz.descriptor import SszType
from tetrarch.ssz.sequence import List, Vector


def _small_size(rng: Random, limit: int) -> int:
    """Mostly few, sometimes none, around multiples of a chunk, or as many as allowed (up to 80)."""
    return min(limit, rng.choice((0, 1, 2, 3, 5, 31, 32, 33, 64, 80)))


def random_value(kind: SszType, rng: Random) -> Any:  # noqa: PLR0911 - one per kind
    """A valid value of ``kind``; lists of large elements stay short."""
    match kind:
        case Uint():
            bits = rng.choice((0, 1, 8, kind.bits - 1, kind.bits))
            return rng.getrandbits(bits) if bits else 0
        case Boolean():
            return rng.random() < 0.5
        case ByteVector():
            return rng.choice((rng.randbytes, bytes))(kind.fixed_size)
        case ByteList():
            return rng.randbytes(min(kind.limit, rng.choice((0, 1, 31, 32, 33, 64, 65, 200))))
        case Bitvector():
            return Bits.of(rng.random() < 0.5 for _ in range(kind.length))
        case Bitlist():
            size = min(kind.limit, rng.choice((0, 1, 7, 8, 9, 255, 256, 257, 1000)))
            return Bits.of(rng.random() < 0.5 for _ in range(size))
        case Vector():
            if kind.length > 1000:  # few distinct values, so that mainnet states stay cheap
                some = [random_value(kind.element, rng) for _ in range(8)]
                return tuple(rng.choices(some, k=kind.length))
            return tuple(random_value(kind.element, rng) for _ in range(kind.length))
        case List():
            size = _small_size(rng, kind.limit)
            if not isinstance(kind.element, Uint | ByteVector) or (kind.element.fixed_size > 1000):
                size = min(size, 3)
            return tuple(random_value(kind.element, rng) for _ in range(size))
        case Container():
            fields = {name: random_value(each, rng) for name, each in kind.fields.items()}
            return kind(**fields)
        case _:
            raise TypeError(kind)
