"""A key file that a TPM opens: what is in it is no secret, and what follows from it only that TPM knows.

    8  "tetrtpmk"     1  version, 1    32  salt    32  digest of the policy, zeros without one
    3  the PCRs of the policy, a bit each

The secret is the HMAC of a fixed text under a key that the TPM makes of its own endorsement seed and
the salt. With a policy it does that only where these PCRs hold what they held when the file was
made. Nothing is kept in the TPM.
"""

import struct
from dataclasses import dataclass
from typing import Self

from tetrarch.attestation.tpm_structures import REGISTERS
from tetrarch.enclave.errors import BootChanged, SealInvalid
from tetrarch.enclave.tpm_commands import Tpm
from tetrarch.entropy import Entropy

SIZE_BYTES = 76
_MAGIC = b"tetrtpmk\x01"
_LAYOUT = struct.Struct(">9s32s32s3s")
_SALT_SIZE_BYTES = 32
_NO_POLICY = bytes(32)
_TEXT = b"tetrarch/tpm/1/seal"


@dataclass(frozen=True, slots=True)
class TpmKeyFile:
    """What is in the file. ``registers``: ascending; none: whatever was booted."""

    salt: bytes
    policy: bytes
    registers: tuple[int, ...]

    @classmethod
    def make(cls, tpm: Tpm, registers: tuple[int, ...], entropy: Entropy) -> Self:
        """A new one, for what ``registers`` hold now.

        Raises:
            TpmFailed: the TPM does not say.
        """
        policy = tpm.policy_of(registers) if registers else b""
        return cls(entropy(_SALT_SIZE_BYTES), policy, tuple(sorted(registers)))

    @classmethod
    def read(cls, content: bytes) -> Self:
        """The file's ``content``, read.

        Raises:
            SealInvalid: it is no such file.
        """
        if len(content) != SIZE_BYTES or not content.startswith(_MAGIC):
            raise SealInvalid("read TPM key file", reason="none of a known version")
        _, salt, policy, bitmap = _LAYOUT.unpack(content)
        bits = int.from_bytes(bitmap, "little")
        registers = tuple(number for number in REGISTERS if bits >> number & 1)
        if bool(registers) == (policy == _NO_POLICY):
            raise SealInvalid("read TPM key file", reason="its policy")
        return cls(salt, policy if registers else b"", registers)

    @property
    def content(self) -> bytes:
        """The file."""
        bitmap = sum(1 << number for number in self.registers).to_bytes(3, "little")
        return _LAYOUT.pack(_MAGIC, self.salt, self.policy or _NO_POLICY, bitmap)

    def secret(self, tpm: Tpm) -> bytes:
        """32 bytes. Cost: 2 ms in software, up to 1 s of a chip.

        Raises:
            BootChanged: the PCRs of the policy hold something else than when it was made.
            TpmFailed: the TPM does not.
        """
        key = tpm.make_deriving_key(self.salt, self.policy)
        try:
            if self.registers and tpm.policy_of(self.registers) != self.policy:
                raise BootChanged("derive secret", registers=self.registers)
            return tpm.hmac(key, _TEXT, registers=self.registers)
        finally:
            tpm.flush(key)
