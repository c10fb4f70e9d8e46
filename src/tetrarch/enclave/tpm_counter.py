"""A member's counter in a TPM, by which it knows its newest state (``election.counting``).

Its place and auth value follow from the member's signing secret, so it is the same for every state of that
member, and of no other. A value counts only if the TPM's own key signed it, for a nonce: not
anything at the other end of the socket may say how often it was advanced.
"""

from dataclasses import dataclass

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from tetrarch.attestation.tpm2 import is_signed
from tetrarch.attestation.tpm_structures import (
    COUNTING,
    CounterAttribute,
    CounterValue,
    Malformed,
    counter_area,
    name_of,
)
from tetrarch.enclave.errors import TpmFailed
from tetrarch.enclave.tpm_commands import LoadedKey, Tpm
from tetrarch.entropy import Entropy

NONCE_SIZE_BYTES = 32
INDICES = range(0x01800000, 0x01C00000)  # those that the owner of a TPM may give away


@dataclass(frozen=True, slots=True)
class TpmCounters:
    """The counters of one TPM, as ``key`` tells them."""

    tpm: Tpm
    key: LoadedKey
    entropy: Entropy

    @property
    def name(self) -> bytes:
        """Of the key: 34 bytes."""
        return self.key.public.name

    def of(self, secret: bytes) -> "TpmCounter":
        """The counter that belongs to ``secret``, 32 bytes."""
        place = int.from_bytes(_derived(secret, b"index"), "big") % len(INDICES)
        return TpmCounter(self, INDICES[place], _derived(secret, b"auth"))


@dataclass(frozen=True, slots=True)
class TpmCounter:
    """Implements ``election.counting.Counter``. All may raise ``TpmFailed``."""

    counters: TpmCounters
    index: int
    _auth: bytes

    def define(self) -> int:
        """Make it, once; its first value."""
        self.counters.tpm.define_counter(self.index, self._auth)
        return self.advance()

    def read(self) -> int:
        """As ``Counter``. Cost: 2 ms in software, up to 1 s of a chip."""
        nonce = self.counters.entropy(NONCE_SIZE_BYTES)
        key = self.counters.key
        said, signature = self.counters.tpm.certify_counter(key, self.index, self._auth, nonce)
        try:
            genuine = is_signed(key.public, said, signature)
            value = CounterValue.read(said)
        except Malformed as error:
            raise self._failed(error) from None
        if not genuine or value.extra_data != nonce:
            raise self._failed("its value is not signed")
        if value.name != name_of(counter_area(self.index, COUNTING | CounterAttribute.WRITTEN)):
            raise self._failed("it is something else")
        return value.value

    def advance(self) -> int:
        """As ``Counter``. Cost: 4 ms in software, up to 1 s of a chip, and some of its endurance."""
        self.counters.tpm.advance_counter(self.index, self._auth)
        return self.read()

    def _failed(self, reason: object) -> TpmFailed:
        return TpmFailed("read counter", index=f"{self.index:#x}", reason=reason)


def _derived(secret: bytes, label: bytes) -> bytes:
    return HKDFExpand(SHA256(), 32, b"tetrarch/tpm/1/counter/" + label).derive(secret)
