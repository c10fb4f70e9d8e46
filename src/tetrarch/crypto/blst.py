"""The native BLS12-381 library: loading it, and proving once that it computes what it must.

The ``ckzg`` wheel contains blst and exports its functions; that is a side effect of how the wheel
is built, so every name is looked up at import and a known signature is recomputed. All calls
release the interpreter lock. Wrappers for single operations live in ``points`` and ``bls``.
"""

from typing import Any, Final, TypeAlias

import ckzg

from tetrarch.crypto.blst_abi import ffi as _ffi
from tetrarch.errors import OperatorError

CData: TypeAlias = Any  # memory owned by cffi; its C type stands in the variable's comment

ffi: Final[Any] = _ffi
NULL: Final[CData] = ffi.NULL

# The proof-of-possession ciphersuite of Ethereum: public keys in G1, signatures in G2.
# Source: draft-irtf-cfrg-bls-signature-05, 4.2.3; consensus-specs, phase0/beacon-chain.md.
DOMAIN: Final = b"BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_"
CURVE_ORDER: Final = 0x73EDA753299D7D483339D80809A1D80553BDA402FFFE5BFEFFFFFFFF00000001
SCALAR_BITS: Final = 255
FIELD_MODULUS: Final = int(
    "1a0111ea397fe69a4b1ba7b6434bacd764774b84f38512bf6730d2a0f6b0f6241eabfffeb153ffffb9feffffffffaaab",
    16,
)
FIELD_SIZE_BYTES: Final = 48


class NativeLibraryUnusable(OperatorError):
    """The installed ``ckzg`` does not offer the BLS functions that this version needs."""

    code = "native_library_unusable"
    mend = "install the exact packages of requirements/runtime.txt"


def _load(path: str) -> Any:
    try:
        library = ffi.dlopen(path)
    except OSError as error:
        raise NativeLibraryUnusable("load BLS library", path=path, reason=error) from error
    for name in dir(library):
        try:
            getattr(library, name)
        except (AttributeError, ffi.error):
            raise NativeLibraryUnusable("load BLS library", path=path, missing=name) from None
    return library


# Source of the answer: ethereum/bls12-381-tests, sign_case_142f678a8d05fcd1.
_KNOWN_SECRET = bytes.fromhex("47b8192d77bf871b62e87859d653922725724a5c031afeabc60bcef5ff665138")
_KNOWN_MESSAGE = b"\x56" * 32
_KNOWN_SIGNATURE = bytes.fromhex(
    "af1390c3c47acdb37131a51216da683c509fce0e954328a59f93aebda7e4ff974ba208d9a4a2a2389f892a9d418d6184"
    "18dd7f7a6bc7aa0da999a9d3a5b815bc085e14fd001f6a1948768a3f4afefc8b8240dda329f984cb345c6363272ba4fe"
)


def self_test(library: Any) -> None:
    """Recompute one signature and verify it with ``library``; about 3 ms.

    Raises:
        NativeLibraryUnusable: an answer is wrong. Nothing may be signed with such a library.
    """
    secret = ffi.new("blst_scalar *")
    library.blst_scalar_from_bendian(secret, _KNOWN_SECRET)
    public_key, point = ffi.new("blst_p1 *"), ffi.new("blst_p2 *")
    library.blst_sk_to_pk_in_g1(public_key, secret)
    library.blst_hash_to_g2(point, _KNOWN_MESSAGE, 32, DOMAIN, len(DOMAIN), NULL, 0)
    library.blst_sign_pk_in_g1(point, point, secret)
    signature = ffi.new("uint8_t[96]")
    library.blst_p2_compress(signature, point)
    if bytes(signature) != _KNOWN_SIGNATURE:
        raise NativeLibraryUnusable("self-test BLS library", reason="wrong signature")
    key, parsed = ffi.new("blst_p1_affine *"), ffi.new("blst_p2_affine *")
    library.blst_p1_to_affine(key, public_key)
    library.blst_p2_uncompress(parsed, signature)
    for message, expected in ((_KNOWN_MESSAGE, 0), (bytes(32), 5)):  # 5: BLST_VERIFY_FAIL
        got = library.blst_core_verify_pk_in_g1(
            key, parsed, True, message, 32, DOMAIN, len(DOMAIN), NULL, 0
        )
        if got != expected:
            raise NativeLibraryUnusable("self-test BLS library", reason="wrong verdict")


lib: Final[Any] = _load(ckzg.__file__)
self_test(lib)
