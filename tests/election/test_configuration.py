"""Whatever differs makes another configuration, and nonsense makes none."""

from dataclasses import replace

import pytest
from tests.election.support import configuration, sharing

from tetrarch.attestation.claims import BackEnd
from tetrarch.attestation.policy import Allowed, Demand
from tetrarch.election.configuration import Configuration, Rule
from tetrarch.election.quorums import Mode
from tetrarch.errors import ConfigInvalid

ENTRY = Allowed(BackEnd.SOFTWARE, b"1" * 32)


def test_hash_covers_every_field() -> None:
    one = configuration()
    others = [
        replace(one, members=(*one.members, "node9")),
        replace(one, mode=Mode.CRASH),
        replace(one, rule=Rule.ROUND_ROBIN),
        replace(one, lease_ms=1),
        replace(one, cluster=b"\1" * 32),
        replace(one, epoch=1),
        replace(one, attestation=Demand.RECORD),
        replace(one, attestation=Demand.RECORD, allowed=(ENTRY,)),
        replace(one, attestation=Demand.REQUIRE, allowed=(ENTRY,)),
        replace(one, attestation=Demand.REQUIRE, allowed=(replace(ENTRY, measurement=b"2" * 32),)),
    ]
    shared, _ = sharing()
    key = shared.cluster_key
    assert key is not None
    others += [
        shared,
        replace(shared, rule=Rule.BEACON),
        replace(shared, cluster_key=replace(key, threshold=2)),
        replace(shared, cluster_key=replace(key, public_key=b"p" * 48)),
        replace(shared, cluster_key=replace(key, public_shares=(b"p" * 48,) * 4)),
    ]
    assert len({each.hash for each in (one, *others)}) == 1 + len(others)
    assert configuration().hash == one.hash


def test_hash_is_not_fooled_by_where_a_name_ends() -> None:
    apart = Configuration(members=("a", "bc"), mode=Mode.CRASH)
    together = Configuration(members=("ab", "c"), mode=Mode.CRASH)
    assert apart.hash != together.hash


@pytest.mark.parametrize(
    "members", [(), ("a",), ("b", "a"), ("a", "a"), ("", "a"), tuple(f"{n:04}" for n in range(257))]
)
def test_member_list_must_be_sorted_and_of_a_possible_size(members: tuple[str, ...]) -> None:
    with pytest.raises(ConfigInvalid, match="members"):
        Configuration(members=members, mode=Mode.BFT)


@pytest.mark.parametrize("lease_ms", [-1, 3_600_001])
def test_lease_is_bounded(lease_ms: int) -> None:
    with pytest.raises(ConfigInvalid, match="lease_ms"):
        configuration(lease_ms=lease_ms)


@pytest.mark.parametrize(
    ("demand", "allowed", "reason"),
    [
        (Demand.REQUIRE, (), "nobody could take part"),
        (Demand.OFF, (ENTRY,), "nothing looks at allowed"),
        (Demand.RECORD, (ENTRY, ENTRY), "sorted"),
        (Demand.RECORD, tuple(replace(ENTRY, security_version_min=n) for n in range(65)), "64"),
    ],
)
def test_attestation_that_cannot_be_meant_is_named(
    demand: Demand, allowed: tuple[Allowed, ...], reason: str
) -> None:
    with pytest.raises(ConfigInvalid, match=reason):
        replace(configuration(), attestation=demand, allowed=allowed)


def test_cluster_has_32_bytes() -> None:
    with pytest.raises(ConfigInvalid, match="cluster"):
        replace(configuration(), cluster=b"short")


def test_shared_key_that_cannot_be_is_named() -> None:
    shared, _ = sharing(7)
    key = shared.cluster_key
    assert key is not None
    for threshold in (3, 4, 5):
        replace(shared, cluster_key=replace(key, threshold=threshold))
    for threshold, expected in ((2, "3 to 5"), (6, "3 to 5")):  # liars reach it; a quorum does not
        with pytest.raises(ConfigInvalid, match=expected):
            replace(shared, cluster_key=replace(key, threshold=threshold))
    for wrong in (
        replace(key, public_shares=key.public_shares[:-1]),
        replace(key, public_shares=(*key.public_shares[:-1], b"short")),
        replace(key, public_key=b"short"),
    ):
        with pytest.raises(ConfigInvalid, match="a share for each member"):
            replace(shared, cluster_key=wrong)
    with pytest.raises(ConfigInvalid, match="mode bft"):
        replace(shared, mode=Mode.CRASH)


def test_number_is_drawn_with_a_shared_key_only() -> None:
    with pytest.raises(ConfigInvalid, match="these share none"):
        configuration(rule=Rule.BEACON)
    sharing(rule=Rule.BEACON)
