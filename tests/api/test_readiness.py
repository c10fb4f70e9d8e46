"""When the node says that it is ready: every cause, its precedence, its number."""

import pytest

from tetrarch.api.readiness import (
    PEER_CHECKS,
    TEXTS,
    BeaconState,
    Cause,
    Facts,
    Readiness,
)

GOOD = BeaconState(peers=50)


def facts(beacon: BeaconState = GOOD, *, connected: int = 3, client_missing: bool = False) -> Facts:
    return Facts(beacon=beacon, connected=connected, client_missing=client_missing)


def judged(*checks: Facts) -> Readiness:
    readiness = Readiness(peers_needed=2)
    for check in checks:
        readiness.note(check)
    return readiness


def test_nothing_checked_is_not_ready() -> None:
    assert judged().causes() == (Cause.UNINITIALISED,)


def test_all_well_is_ready() -> None:
    assert judged(facts()).causes() == ()
    assert judged(facts()).first() is Cause.READY


@pytest.mark.parametrize(
    ("check", "cause", "number"),
    [
        (facts(BeaconState(is_down=True)), Cause.BEACON_NODE_DOWN, 2),
        (facts(BeaconState(is_syncing=True)), Cause.BEACON_NODE_SYNCING, 3),
        (facts(connected=1), Cause.QUORUM_PEERS_NOT_CONNECTED, 4),
        (facts(client_missing=True), Cause.VC_NOT_CONNECTED, 5),
        (facts(BeaconState(peers=0)), Cause.BEACON_NODE_ZERO_PEERS, 7),
        (facts(BeaconState(sync_distance=321)), Cause.BEACON_NODE_FAR_BEHIND, 8),
    ],
)
def test_each_cause_has_the_references_number(check: Facts, cause: Cause, number: int) -> None:
    assert judged(check).causes() == (cause,)
    assert cause == number


def test_causes_come_in_the_references_order() -> None:
    everything = facts(
        BeaconState(is_down=True, is_syncing=True, peers=0, sync_distance=1_000),
        connected=0,
        client_missing=True,
    )
    assert judged(everything).causes() == (
        Cause.BEACON_NODE_DOWN,
        Cause.BEACON_NODE_SYNCING,
        Cause.BEACON_NODE_ZERO_PEERS,
        Cause.BEACON_NODE_FAR_BEHIND,
        Cause.QUORUM_PEERS_NOT_CONNECTED,
        Cause.VC_NOT_CONNECTED,
    )


def test_slot_behind_and_unknown_peers_are_well() -> None:
    assert judged(facts(BeaconState(sync_distance=320, peers=None))).causes() == ()


def test_peer_that_flaps_does_not_make_the_node_unready() -> None:
    well, lonely = facts(), facts(connected=1)
    assert judged(well, *[lonely] * (PEER_CHECKS - 1)).causes() == ()
    assert judged(well, *[lonely] * PEER_CHECKS).first() is Cause.QUORUM_PEERS_NOT_CONNECTED
    assert judged(well, *[lonely] * PEER_CHECKS, well).causes() == ()


def test_every_cause_has_a_text() -> None:
    assert set(TEXTS) == set(Cause)
