"""A verifiable random function: 2HashDH on ristretto255, with a proof of equal logarithms.

For each input a key has one output, which nobody can foretell without it and everybody can check with a proof:

    M = point of BLAKE2b-512(input)          u = key·M                          the output point
    c = BLAKE2b-512(B ‖ M ‖ key·B ‖ u ‖ w·B ‖ w·M) mod order, r = key·c + w      proof: u 32 ‖ c 32 ‖ r 32

``w`` is random; here it is hashed from the key, the input and fresh entropy, so that neither bad entropy nor a
repeated call gives the key away. The bytes are those of the reference.

Source: Jarecki, Kiayias, Krawczyk, "Round-optimal password-protected secret sharing" (ASIACRYPT 2014) for 2HashDH;
Chaum, Pedersen, "Wallet databases with observers" (CRYPTO 1992) for the proof; the form is the reference's.
"""

from hashlib import blake2b
from typing import Final, Self

from tetrarch.crypto.ristretto import (
    BASE,
    WIDE_SIZE_BYTES,
    Point,
    PointInvalid,
    Scalar,
    ScalarInvalid,
    add_scalars,
    decode_point,
    decode_scalar,
    map_to_point,
    multiply,
    multiply_base,
    multiply_scalars,
    reduce_scalar,
    subtract,
)
from tetrarch.entropy import Entropy
from tetrarch.errors import InputInvalid

KEY_SIZE_BYTES: Final = 32
PUBLIC_KEY_SIZE_BYTES: Final = 32
PROOF_SIZE_BYTES: Final = 96
OUTPUT_SIZE_BYTES: Final = 32
_W_LABEL: Final = b"tetrarch/vrf/w"


class VrfKeyInvalid(InputInvalid):
    """Bytes that are no key."""

    code = "vrf_key_invalid"


class VrfKey:
    """A secret key. Neither printed nor pickled."""

    __slots__ = ("_scalar", "public_key")

    def __init__(self, scalar: Scalar) -> None:
        """Take a valid one; callers use the class methods."""
        self._scalar = scalar
        self.public_key: Point = multiply_base(scalar)

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read 32 bytes, little-endian.

        Raises:
            VrfKeyInvalid: another length, 0, or not below the group's order.
        """
        try:
            scalar = decode_scalar(data)
        except ScalarInvalid:
            raise VrfKeyInvalid("read VRF key", got_bytes=len(data)) from None
        if not any(scalar):
            raise VrfKeyInvalid("read VRF key", reason="it is 0")
        return cls(scalar)

    @classmethod
    def generate(cls, entropy: Entropy) -> Self:
        """A fresh key of 64 bytes of ``entropy``."""
        return cls.from_bytes(reduce_scalar(entropy(WIDE_SIZE_BYTES)))

    def to_bytes(self) -> bytes:
        """32 bytes, little-endian. The secret itself."""
        return bytes(self._scalar)

    def evaluate(self, message: bytes) -> Point:
        """The output point of ``message``, without a proof. Cost: 0.13 ms."""
        return multiply(self._scalar, _point_of(message))

    def prove(self, message: bytes, entropy: Entropy) -> bytes:
        """The output point of ``message`` with its proof, 96 bytes. Cost: 0.3 ms."""
        base = _point_of(message)
        output = multiply(self._scalar, base)
        w = self._draw_w(message, entropy)
        c = _challenge(base, self.public_key, output, multiply_base(w), multiply(w, base))
        return output + c + add_scalars(multiply_scalars(self._scalar, c), w)

    def _draw_w(self, message: bytes, entropy: Entropy) -> Scalar:
        hashed = blake2b(key=bytes(self._scalar), digest_size=WIDE_SIZE_BYTES, person=_W_LABEL[:16])
        hashed.update(entropy(KEY_SIZE_BYTES) + message)
        return reduce_scalar(hashed.digest())


def verify_vrf(public_key: bytes, message: bytes, proof: bytes) -> Point | None:
    """The output point that ``proof`` shows of ``message``; None: it shows none. Cost: 0.4 ms."""
    if len(proof) != PROOF_SIZE_BYTES:
        return None
    try:
        key, output = decode_point(public_key), decode_point(proof[:32])
        c, r = decode_scalar(proof[32:64]), decode_scalar(proof[64:])
    except (PointInvalid, ScalarInvalid):
        return None
    base = _point_of(message)
    a1 = subtract(multiply_base(r), multiply(c, key))
    a2 = subtract(multiply(r, base), multiply(c, output))
    return output if _challenge(base, key, output, a1, a2) == c else None


def vrf_output(message: bytes, point: Point, label: bytes) -> bytes:
    """32 uniform bytes of an output point, of its own for each ``label``."""
    return blake2b(message + point + label, digest_size=OUTPUT_SIZE_BYTES).digest()


def _point_of(message: bytes) -> Point:
    return map_to_point(blake2b(message, digest_size=WIDE_SIZE_BYTES).digest())


def _challenge(base: Point, key: Point, output: Point, a1: Point, a2: Point) -> Scalar:
    together = BASE + base + key + output + a1 + a2
    return reduce_scalar(blake2b(together, digest_size=WIDE_SIZE_BYTES).digest())
