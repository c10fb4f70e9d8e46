"""The addresses of a group's key, one for each kind of output. Pure.

Each kind has a key some steps of the generator further on, so a kind is told by its address, and one threshold key signs for all.
Each output's key has BIP-341's tweak without a script, so that all may know that there is no other way to spend.
"""

from dataclasses import dataclass
from hashlib import sha512
from typing import Final

from tetrarch.crypto.frost.groups import Point, Scalar
from tetrarch.crypto.frost.keys import (
    Keys,
    PublicKeys,
    Quorum,
    even_public,
    offset,
    offset_public,
    taproot_tweak,
    with_taproot_tweak,
)
from tetrarch.crypto.frost.suites import SECP256K1_TAPROOT
from tetrarch.custody.chains.bitcoin.addresses import taproot_script
from tetrarch.custody.outputs import OutputKind

LABEL: Final = b"tetrarch/custody/bitcoin/offset/1/"
_GROUP: Final = SECP256K1_TAPROOT.group


@dataclass(frozen=True, slots=True)
class HoldingKey:
    """``output_key``: its x, 32 bytes. ``script``: of outputs that it holds."""

    kind: OutputKind
    output_key: bytes
    script: bytes


def holding_keys(external_key: bytes) -> tuple[HoldingKey, ...]:
    """Of a group's key as the ledger has it: a compressed point. Cost: 0.5 ms.

    Raises:
        FrostPointInvalid: it is none.
    """
    key = _GROUP.decode_point(external_key)
    return tuple(_holding_key(key, kind) for kind in OutputKind)


def signing_keys(keys: Keys, kind: OutputKind) -> Keys:
    """What a share signs with for outputs of ``kind``. Cost: 20 us for each share of the group's."""
    return with_taproot_tweak(SECP256K1_TAPROOT, offset(SECP256K1_TAPROOT, keys, _step(kind)))


def signing_public(public: PublicKeys, kind: OutputKind) -> PublicKeys:
    """The same, of the public side."""
    moved = offset_public(SECP256K1_TAPROOT, public, _step(kind))
    inner = even_public(SECP256K1_TAPROOT, moved)
    tweak = taproot_tweak(SECP256K1_TAPROOT, inner.key)
    return offset_public(SECP256K1_TAPROOT, inner, tweak)


def _holding_key(key: Point, kind: OutputKind) -> HoldingKey:
    alone = PublicKeys(Quorum(1, 1), key, (key,))
    output_key = signing_public(alone, kind).key[1:]
    return HoldingKey(kind, output_key, taproot_script(output_key))


def _step(kind: OutputKind) -> Scalar:
    """How many generators further on. Outputs that others send go to the key itself."""
    if kind is OutputKind.EXTERNAL:
        return _GROUP.to_scalar(0)
    return _GROUP.reduce(sha512(LABEL + kind.value.encode()).digest())
