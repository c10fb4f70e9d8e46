"""Goal: over thousands of slots each slot that a pool was drawn in has its block, made once, accepted by all.

Method: ten simulated nodes, each with a pool, nothing wrong. Which slots are whose is reckoned anew at
the end, from the leaders of each epoch as final blocks have them and the pools' keys.
"""

from collections.abc import Callable

import pytest

from tetrarch.leadership.logs import Status
from tetrarch.ledger.accounts import AccountId
from tetrarch.ledger.dates import BlockDate
from tetrarch.ledger.keyring import Keyring, TurnKeys, lottery_of
from tetrarch.ledger.leaders import PraosLeaders
from tetrarch.ledger.parameters import Mode
from tetrarch.ledger.pools import pool_id
from tetrarch.sim.ledger_keys import KeyDisk, first_keys
from tetrarch.sim.ledger_profile import LedgerProfile
from tetrarch.sim.ledger_world import LedgerOutcome, lived

NODES = 10
EPOCH_SLOTS = 50


def drawn_slots(outcome: LedgerOutcome, node: int) -> set[BlockDate]:
    """Of the node's pool, in epochs of which there are final blocks."""
    pool = pool_id(AccountId(bytes([node + 1]) * 32), 0)
    disk = KeyDisk(first_keys(node, pool))
    keyring = Keyring(disk.kept, disk.store, bytes)
    (number,) = (each.number for each in keyring.leaders if not isinstance(each.keys, TurnKeys))
    found = set()
    for epoch, leaders in outcome.leaders.items():
        assert isinstance(leaders, PraosLeaders)
        if pool in leaders.pools:
            lottery = lottery_of(leaders.nonce, leaders.threshold(pool))
            slots = keyring.drawn_in(number, lottery, range(EPOCH_SLOTS))
            found |= {BlockDate(epoch, slot) for slot in slots}
    return found


def live(slots: int) -> str:
    profile = LedgerProfile(
        nodes=NODES,
        mode=Mode.PRAOS,
        slots=slots,
        slots_per_epoch=EPOCH_SLOTS,
        coefficient_milli=400,
    )
    outcome = lived(profile, seed=11)
    last = BlockDate(*divmod(slots, EPOCH_SLOTS))
    drawn: set[BlockDate] = set()
    for node, entries in enumerate(outcome.entries_by_node):
        dates = [entry.date for entry in entries if entry.date < last]
        assert len(dates) == len(set(dates)), "no slot is led twice by one key"
        own = {date for date in drawn_slots(outcome, node) if date < last}
        assert own == set(dates), "what was made is the schedule"
        assert all(
            entry.status in {Status.ACCEPTED, Status.ORPHANED}
            for entry in entries
            if entry.date < last
        )
        drawn |= own
    settled = {date for date in drawn if date < BlockDate(*divmod(slots - 10, EPOCH_SLOTS))}
    assert settled <= outcome.dates, "of pools drawn in one slot one makes the block that counts"
    firsts = {date for date in settled if date.slot == 0}
    assert firsts
    assert len(set(outcome.tips)) == 1
    assert min(outcome.finals) >= outcome.tips[0] - 2
    made = sum(map(len, outcome.entries_by_node))
    return (
        f"{slots} slots, {len(drawn)} with a leader, {made} drawn, {len(firsts)} epochs begun with a"
        f" block, {len(outcome.leaders)} epochs; {outcome.finals[0]} blocks final of {outcome.tips[0]}"
    )


def test_two_hundred_slots() -> None:
    live(200)


@pytest.mark.integration
@pytest.mark.timeout(2400)
def test_two_thousand_slots(tell: Callable[[object], None]) -> None:
    tell(live(2_000))


@pytest.mark.soak
def test_twenty_thousand_slots(tell: Callable[[object], None]) -> None:
    tell(live(20_000))
