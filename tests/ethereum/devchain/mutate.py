"""Random small changes of any SSZ value, by its type."""

from random import Random
from typing import Any

from tetrarch.ssz.basic import Boolean, ByteList, ByteVector, Uint
from tetrarch.ssz.bits import Bitlist, Bits, Bitvector
from tetrarch.ssz.container import Container
from tetrarch.ssz.descriptor import SszType
from tetrarch.ssz.sequence import List, Vector


def mutated(rng: Random, kind: SszType, value: Any) -> Any:
    """``value`` with one thing changed (now and then with nothing changed)."""
    match kind:
        case Uint():
            top = 2**kind.bits - 1
            near = (value + 1, value - 1, value + 8, value + 64, 0, 1, top, rng.randrange(64))
            return min(max(rng.choice(near), 0), top)
        case Boolean():
            return not value
        case ByteVector() | ByteList():
            return _mutated_bytes(rng, value)
        case Bitvector() | Bitlist():
            return _mutated_bits(rng, kind, value)
        case List() | Vector():
            return _mutated_sequence(rng, kind, value)
        case Container():
            name = rng.choice(list(kind.fields))
            return value.replace(**{name: mutated(rng, kind.fields[name], getattr(value, name))})
        case _:
            raise TypeError(kind)


def _mutated_bytes(rng: Random, value: bytes) -> bytes:
    if not value:
        return value
    if rng.random() < 0.2:
        return bytes(len(value))
    if rng.random() < 0.2:
        return rng.randbytes(len(value))
    at = rng.randrange(len(value))
    return value[:at] + bytes((value[at] ^ 1 << rng.randrange(8),)) + value[at + 1 :]


def _mutated_bits(rng: Random, kind: Bitvector | Bitlist, value: Bits) -> Bits:
    flags = list(value)
    if isinstance(kind, Bitlist) and rng.random() < 0.3:
        flags = flags[:-1] if rng.random() < 0.5 else [*flags, rng.random() < 0.5]
    elif flags and rng.random() < 0.1:
        flags = [False] * len(flags)
    elif flags:
        at = rng.randrange(len(flags))
        flags[at] = not flags[at]
    return Bits.of(flags)


def _mutated_sequence(rng: Random, kind: List | Vector, value: tuple[Any, ...]) -> tuple[Any, ...]:
    items = list(value)
    if not items:
        return (kind.element.default(),) if isinstance(kind, List) else ()
    at = rng.randrange(len(items))
    choice = rng.random()
    if isinstance(kind, Vector) or choice < 0.5:
        items[at] = mutated(rng, kind.element, items[at])
    elif choice < 0.65:
        del items[at]
    elif choice < 0.8 and len(items) < kind.limit:
        items.insert(rng.randrange(len(items) + 1), items[at])
    elif choice < 0.9:
        rng.shuffle(items)
    else:
        items = []
    return tuple(items)
