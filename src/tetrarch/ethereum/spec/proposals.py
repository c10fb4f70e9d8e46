"""Blocks to be proposed and blocks proposed, full and blinded, as the node carries them: bytes.

The body of a block is never needed as Python values once its header is known, so a proposal keeps
the SSZ bytes it came in, the header (same root as the block), and the few fields that are checked.

Source: consensus-specs (BeaconBlock), beacon-APIs (BlockContents), builder-specs (blinded blocks).
"""

from dataclasses import dataclass, field

from tetrarch.ethereum.spec.values import BeaconBlockHeader, Fork


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """An unsigned block of one fork.

    ``ssz`` is a BeaconBlock before Deneb, BlockContents (block, proofs, blobs) from Deneb on, and
    a BlindedBeaconBlock when ``blinded``. Proposals with equal bytes, fork and form are equal.
    """

    fork: Fork
    blinded: bool
    preset: str
    ssz: bytes = field(repr=False)
    header: BeaconBlockHeader = field(compare=False)
    fee_recipient: bytes | None = field(compare=False)  # 20 bytes; None before Bellatrix
    randao_reveal: bytes = field(compare=False, repr=False)
    graffiti: bytes = field(compare=False, repr=False)
