"""When a duty starts and when it ends. The one place of these offsets. Pure.

Source: seed 001 (attester at one third of the slot); offsets and deadlines as operators of
distributed validators know them: a proposal is worth nothing after a third of its slot, an
attestation can still be included for an epoch.

Selection proofs are made some slots ahead, in the quiet half of a slot: the beacon node must
join an aggregator's subnet in time, and nothing waits for them when they are needed.
"""

from dataclasses import dataclass

from tetrarch.duties.types import Duty, DutyType, refuse_deprecated
from tetrarch.ethereum.spec.chain import ChainSpec

MARGIN_DIVISOR = 12  # every deadline has a twelfth of a slot on top
EPOCHS_AHEAD_MAX = 2  # peers may speak of duties up to two epochs ahead of ours
PREPARED_SLOTS_AHEAD = 3
EXCHANGE_DIVISOR = 2  # of a slot
PREPARED_TYPES = frozenset({DutyType.PREPARE_AGGREGATOR, DutyType.PREPARE_SYNC_CONTRIBUTION})


def start_slot(duty: Duty) -> int:
    """The slot in which work on ``duty`` begins; 0 for what would begin before the chain."""
    ahead = PREPARED_SLOTS_AHEAD if duty.type in PREPARED_TYPES else 0
    return max(duty.slot - ahead, 0)


def start_offset_ms(duty_type: DutyType, *, slot_duration_ms: int) -> int:
    """Milliseconds after the start of ``start_slot`` at which work on the duty begins."""
    match duty_type:
        case DutyType.PREPARE_AGGREGATOR | DutyType.PREPARE_SYNC_CONTRIBUTION:
            return slot_duration_ms // 2
        case DutyType.BUILDER_REGISTRATION:
            return 3 * slot_duration_ms // 4
        case DutyType.ATTESTER | DutyType.SYNC_MESSAGE:
            return slot_duration_ms // 3
        case DutyType.AGGREGATOR | DutyType.SYNC_CONTRIBUTION:
            return 2 * slot_duration_ms // 3
        case _:
            return 0


def start_s(duty: Duty, chain: ChainSpec) -> float:
    """Unix seconds at which work on ``duty`` begins."""
    offset_ms = start_offset_ms(duty.type, slot_duration_ms=chain.slot_duration_ms)
    return chain.slot_start_s(start_slot(duty)) + offset_ms / 1000


def rounds_start_s(duty: Duty, chain: ChainSpec) -> float:
    """Unix seconds to which QBFT's timers are aligned: when the slowest honest node proposes.

    That is when work on the duty begins, but for INFO_SYNC: before it proposes a node waits for
    its peers' statements, and rounds that had run meanwhile would have found nobody.
    """
    waited_s = exchange_s(chain) if duty.type is DutyType.INFO_SYNC else 0.0
    return start_s(duty, chain) + waited_s


def exchange_s(chain: ChainSpec) -> float:
    """How long a node waits for its peers' statements of an INFO_SYNC: 6 s on mainnet."""
    return chain.slot_duration_ms / EXCHANGE_DIVISOR / 1000


@dataclass(frozen=True, slots=True)
class _Lifetime:
    """How long a duty is worth working on, from its slot's start."""

    slots: float = 0
    epochs: int = 0


_LIFETIMES: dict[DutyType, _Lifetime | None] = {
    DutyType.PROPOSER: _Lifetime(slots=1 / 3),
    DutyType.ATTESTER: _Lifetime(epochs=1),
    DutyType.SIGNATURE: _Lifetime(slots=1),
    DutyType.EXIT: None,  # never ends
    DutyType.BUILDER_REGISTRATION: None,
    DutyType.RANDAO: _Lifetime(slots=1 / 3),
    DutyType.PREPARE_AGGREGATOR: _Lifetime(epochs=2),
    DutyType.AGGREGATOR: _Lifetime(epochs=1),
    DutyType.SYNC_MESSAGE: _Lifetime(slots=1),
    DutyType.PREPARE_SYNC_CONTRIBUTION: _Lifetime(epochs=2),
    DutyType.SYNC_CONTRIBUTION: _Lifetime(slots=1),
    DutyType.INFO_SYNC: _Lifetime(slots=1),
}


# No deadline ends them: what is kept of them is bounded in number (see ``parsigdb``).
LASTING_TYPES = frozenset(duty_type for duty_type, life in _LIFETIMES.items() if life is None)


def deadline_s(duty: Duty, chain: ChainSpec) -> float | None:
    """Unix seconds after which nothing more is done for ``duty``; None where it never ends.

    Raises:
        DeprecatedDutyBuilderProposer: for the deprecated type.
    """
    refuse_deprecated(duty)
    lifetime = _LIFETIMES[duty.type]
    if lifetime is None:
        return None
    slots = lifetime.slots + lifetime.epochs * chain.slots_per_epoch + 1 / MARGIN_DIVISOR
    lifetime_ms = slots * chain.slot_duration_ms
    return chain.slot_start_s(duty.slot) + lifetime_ms / 1000


def may_speak_of(duty: Duty, chain: ChainSpec, *, now_s: float) -> bool:
    """Whether a peer's message about ``duty`` is worth any memory: open and not far ahead."""
    if duty.type is DutyType.BUILDER_PROPOSER or duty.slot < 0:
        return False
    deadline = deadline_s(duty, chain)
    if deadline is not None and now_s > deadline:
        return False
    return chain.epoch_of(duty.slot) <= chain.epoch_of(chain.slot_at(now_s)) + EPOCHS_AHEAD_MAX
