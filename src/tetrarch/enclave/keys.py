"""The share keys in memory, and signing many at once."""

from collections.abc import Callable, Container, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NoReturn, Protocol

from tetrarch.crypto.bls import SecretKey
from tetrarch.crypto.blst import DOMAIN, NULL, ffi, lib
from tetrarch.crypto.points import write_signature
from tetrarch.enclave.ports import Approved

_SPLIT_FROM = 6  # below this, handing work to a second thread costs more than it saves


class KeyRing(Protocol):
    """Signs with the shares of several root keys. The simulator may bring its own."""

    @property
    def pubkeys(self) -> tuple[bytes, ...]:
        """The root keys, ascending."""
        ...

    def sign(self, wanted: Sequence[tuple[bytes, bytes]]) -> list[Approved]:
        """One signature per (root key, signing root), in order; all keys are held."""
        ...

    def begin(self, wanted: Sequence[tuple[bytes, bytes]]) -> Callable[[], list[Approved]]:
        """Start what ``sign`` does; the result waits for its end. May be left unasked."""
        ...


class BlsKeyRing:
    """Real shares. ``threads`` signs large batches on that many cores; 1 signs in the caller's.

    Equal signing roots are hashed to the curve once for each thread: all attesters of a slot sign
    the same one.

    Cost: 0.15 ms per distinct root, and 0.12 ms per signature divided by the threads.
    """

    def __init__(self, shares: Mapping[bytes, SecretKey], *, threads: int = 1) -> None:
        self._scalars = {pubkey: _scalar(share) for pubkey, share in shares.items()}
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="sign") if threads > 1 else None

    @property
    def pubkeys(self) -> tuple[bytes, ...]:
        """As ``KeyRing``."""
        return tuple(sorted(self._scalars))

    @property
    def held(self) -> Container[bytes]:
        """The root keys, to be asked for one."""
        return self._scalars.keys()

    def add(self, pubkey: bytes, share: SecretKey) -> None:
        """Sign for ``pubkey`` from now on. Not while a batch is being signed."""
        self._scalars[pubkey] = _scalar(share)

    def remove(self, pubkey: bytes) -> None:
        """Sign for ``pubkey`` no more. Not while a batch is being signed."""
        self._scalars.pop(pubkey, None)

    def sign(self, wanted: Sequence[tuple[bytes, bytes]]) -> list[Approved]:
        """As ``KeyRing``."""
        return self.begin(wanted)()

    def begin(self, wanted: Sequence[tuple[bytes, bytes]]) -> Callable[[], list[Approved]]:
        """As ``KeyRing``. Only large batches begin at once."""
        if self._pool is None or len(wanted) < _SPLIT_FROM:
            return partial(self._sign_some, wanted)
        chunks = [wanted[start :: self._threads] for start in range(self._threads)]
        begun = [self._pool.submit(self._sign_some, chunk) for chunk in chunks]

        def finish() -> list[Approved]:
            results = [Approved(b"")] * len(wanted)
            for start, each in enumerate(begun):
                results[start :: self._threads] = each.result()
            return results

        return finish

    def _sign_some(self, wanted: Sequence[tuple[bytes, bytes]]) -> list[Approved]:
        hashed = {root: _hash(root) for root in {root for _, root in wanted}}
        return [_sign_hashed(hashed[root], self._scalars[pubkey]) for pubkey, root in wanted]

    def close(self) -> None:
        """End the threads."""
        if self._pool is not None:
            self._pool.shutdown()

    def __repr__(self) -> str:
        return f"BlsKeyRing({len(self._scalars)} keys)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a key ring is not pickled")


class CallableKeyRing:
    """Shares of any kind that can sign by themselves, one after the other."""

    def __init__(self, shares: Mapping[bytes, "Share"]) -> None:
        self._shares = dict(shares)

    @property
    def pubkeys(self) -> tuple[bytes, ...]:
        """As ``KeyRing``."""
        return tuple(sorted(self._shares))

    def sign(self, wanted: Sequence[tuple[bytes, bytes]]) -> list[Approved]:
        """As ``KeyRing``."""
        return [Approved(self._shares[pubkey].sign(root)) for pubkey, root in wanted]

    def begin(self, wanted: Sequence[tuple[bytes, bytes]]) -> Callable[[], list[Approved]]:
        """As ``KeyRing``; signs when asked for the result."""
        return partial(self.sign, wanted)


class Share(Protocol):
    """One key: ``crypto.bls.SecretKey``, or a modelled one."""

    def sign(self, signing_root: bytes, /) -> bytes:
        """96 bytes."""
        ...


def _scalar(share: SecretKey) -> Any:
    scalar = ffi.new("blst_scalar *")
    lib.blst_scalar_from_bendian(scalar, share.to_bytes())
    return scalar


def _hash(root: bytes) -> Any:
    point = ffi.new("blst_p2 *")
    lib.blst_hash_to_g2(point, root, len(root), DOMAIN, len(DOMAIN), NULL, 0)
    return point


def _sign_hashed(hashed: Any, scalar: Any) -> Approved:
    # Constant time in the key; the native calls release the interpreter lock.
    point, affine = ffi.new("blst_p2 *"), ffi.new("blst_p2_affine *")
    lib.blst_sign_pk_in_g1(point, hashed, scalar)
    lib.blst_p2_to_affine(affine, point)
    return Approved(*write_signature(affine))
