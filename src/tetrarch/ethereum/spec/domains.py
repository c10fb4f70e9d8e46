"""Signing domains and signing roots: what exactly is signed, for which fork and chain.

Source: consensus-specs phase0/beacon-chain.md (compute_domain, compute_signing_root);
EIP-7044 (exits are signed with the Capella domain from Deneb on).
"""

from dataclasses import dataclass
from enum import Enum
from hashlib import sha256

from tetrarch.errors import InputInvalid
from tetrarch.ethereum.spec.values import Fork

FAR_FUTURE_EPOCH = 2**64 - 1
_ZERO_ROOT = bytes(32)


class DomainType(Enum):
    """The four bytes that keep signatures of different kinds apart."""

    BEACON_PROPOSER = bytes.fromhex("00000000")
    BEACON_ATTESTER = bytes.fromhex("01000000")
    RANDAO = bytes.fromhex("02000000")
    DEPOSIT = bytes.fromhex("03000000")
    VOLUNTARY_EXIT = bytes.fromhex("04000000")
    SELECTION_PROOF = bytes.fromhex("05000000")
    AGGREGATE_AND_PROOF = bytes.fromhex("06000000")
    SYNC_COMMITTEE = bytes.fromhex("07000000")
    SYNC_COMMITTEE_SELECTION_PROOF = bytes.fromhex("08000000")
    CONTRIBUTION_AND_PROOF = bytes.fromhex("09000000")
    APPLICATION_BUILDER = bytes.fromhex("00000001")


@dataclass(frozen=True, slots=True, kw_only=True)
class ForkActivation:
    """``fork`` begins at ``epoch``; its signatures carry ``version`` (4 bytes)."""

    fork: Fork
    version: bytes
    epoch: int


def compute_fork_data_root(version: bytes, genesis_validators_root: bytes) -> bytes:
    """Hash tree root of ForkData: 32 bytes."""
    return sha256(version.ljust(32, b"\0") + genesis_validators_root).digest()


def compute_domain(
    domain_type: DomainType, version: bytes, genesis_validators_root: bytes = _ZERO_ROOT
) -> bytes:
    """The 32-byte domain for ``version`` (4 bytes) on one chain."""
    return domain_type.value + compute_fork_data_root(version, genesis_validators_root)[:28]


def compute_signing_root(object_root: bytes, domain: bytes) -> bytes:
    """Hash tree root of SigningData: the 32 bytes that BLS signs."""
    return sha256(object_root + domain).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class ForkSchedule:
    """All forks of one chain in activation order, enough to compute every signing domain.

    ``activations`` begins with the genesis fork (epoch 0 or the version only); forks that the
    chain never activates are left out or stand at ``FAR_FUTURE_EPOCH``.
    """

    genesis_fork_version: bytes
    genesis_validators_root: bytes
    activations: tuple[ForkActivation, ...]

    def __post_init__(self) -> None:
        if not self.activations:
            raise InputInvalid("build fork schedule", reason="no fork")

    def at(self, epoch: int) -> ForkActivation:
        """The fork in force in ``epoch``: the last activation not after it."""
        current = self.activations[0]
        for activation in self.activations:
            if activation.epoch <= epoch:
                current = activation
        return current

    def version_of(self, fork: Fork) -> bytes | None:
        """The version of ``fork``, or None where the chain does not know it."""
        for activation in self.activations:
            if activation.fork is fork:
                return activation.version
        return None

    def domain(self, domain_type: DomainType, epoch: int) -> bytes:
        """The 32-byte domain of a duty signed for ``epoch``.

        Registrations and deposits are chain-wide (genesis version, zero root); exits are
        pinned to Capella from Deneb on (EIP-7044).
        """
        if domain_type in (DomainType.APPLICATION_BUILDER, DomainType.DEPOSIT):
            return compute_domain(domain_type, self.genesis_fork_version)
        active = self.at(epoch)
        version = active.version
        if domain_type is DomainType.VOLUNTARY_EXIT and active.fork.at_least(Fork.DENEB):
            version = self.version_of(Fork.CAPELLA) or version
        return compute_domain(domain_type, version, self.genesis_validators_root)

    def signing_root(self, domain_type: DomainType, epoch: int, object_root: bytes) -> bytes:
        """The 32 bytes that are signed for an object of ``object_root`` in ``epoch``."""
        return compute_signing_root(object_root, self.domain(domain_type, epoch))
