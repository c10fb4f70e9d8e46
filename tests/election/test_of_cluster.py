"""What a cluster's election is among, and by which rules."""

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from tetrarch.attestation.policy import Demand
from tetrarch.config import AttestationConfig, ElectionConfig, load_config
from tetrarch.election.cluster_key import ClusterKey
from tetrarch.election.configuration import Rule
from tetrarch.election.of_cluster import ClusterPlace, cluster_configuration, timing_of
from tetrarch.election.quorums import Mode, quorum
from tetrarch.election.timing import Timing
from tetrarch.enclave.messages import ShareFile
from tetrarch.errors import ConfigInvalid


def place(count: int = 4, threshold: int | None = None) -> ClusterPlace:
    shares = tuple(bytes([index]) * 48 for index in range(count))
    needed = quorum(count, Mode.BFT) if threshold is None else threshold
    return ClusterPlace(
        lock_hash=b"l" * 32,
        node_count=count,
        folder=Path("unused"),
        cluster_key=ClusterKey(b"k" * 48, shares, needed),
        share=ShareFile(b"k" * 48, shares[0], "keystore-0.json", "keystore-0.txt"),
    )


PLACE = place()
ON = ElectionConfig(enabled=True)
OFF = AttestationConfig()
ENTRY = "software:" + "ab" * 32 + ":1"


@pytest.mark.parametrize("count", [2, 4, 10, 11, 100, 256])
def test_index_of_a_member_is_its_nodes_number(count: int) -> None:
    c = cluster_configuration(place(count), ON, OFF)
    assert [int(name.removeprefix("node")) for name in c.members] == list(range(count))


def test_rules_are_those_that_are_set_and_the_cluster_is_the_locks() -> None:
    config = msgspec.structs.replace(
        ON,
        mode="crash",
        rule="round-robin",
        lease_ms=5000,
    )
    required = AttestationConfig(demand=Demand.REQUIRE, allowed_enclaves=(ENTRY, ENTRY))
    c = cluster_configuration(PLACE, config, required)
    assert (c.mode, c.rule, c.lease_ms) == (Mode.CRASH, Rule.ROUND_ROBIN, 5000)
    assert (c.cluster, c.attestation) == (PLACE.lock_hash, Demand.REQUIRE)
    assert [str(entry) for entry in c.allowed] == [ENTRY]


def test_two_clusters_never_share_a_configuration() -> None:
    other = replace(PLACE, lock_hash=b"m" * 32)
    assert cluster_configuration(PLACE, ON, OFF).hash != cluster_configuration(other, ON, OFF).hash


@pytest.mark.parametrize(
    ("count", "threshold", "together"),
    [
        (4, 1, False),  # a liar reaches it alone
        (4, 2, True),
        (4, 3, True),
        (4, 4, False),  # one that is down stops it, though a quorum is there
        (7, 2, False),
        (7, 3, True),
        (10, 7, True),
    ],
)
def test_cluster_key_signs_where_its_threshold_allows(
    count: int, threshold: int, together: bool
) -> None:
    c = cluster_configuration(place(count, threshold), ON, OFF)
    assert (c.cluster_key is not None) == together


def test_where_nobody_lies_enclaves_sign_and_no_number_is_drawn() -> None:
    crash = msgspec.structs.replace(ON, mode="crash")
    assert cluster_configuration(PLACE, crash, OFF).cluster_key is None
    with pytest.raises(ConfigInvalid, match="rule"):
        cluster_configuration(PLACE, msgspec.structs.replace(crash, rule="beacon"), OFF)
    drawn = cluster_configuration(PLACE, msgspec.structs.replace(ON, rule="beacon"), OFF)
    assert drawn.rule is Rule.BEACON


@pytest.mark.parametrize(
    "settings",
    [
        'mode = "best"',
        'rule = "highest"',
        "lease_ms = -1",
        "heartbeat_ms = 1",
        "colour = 1",
    ],
)
def test_settings_that_cannot_be_are_refused_by_name(tmp_path: Path, settings: str) -> None:
    (tmp_path / "tetrarch.toml").write_text(f"[election]\nenabled = true\n{settings}\n")
    with pytest.raises(ConfigInvalid, match=settings.partition(" ")[0]):
        load_config(tmp_path, environment={})


def test_settings_are_read_from_the_environment_too(tmp_path: Path) -> None:
    variables = {
        "TETRARCH_ELECTION__ENABLED": "true",
        "TETRARCH_ATTESTATION__DEMAND": "record",
        "TETRARCH_ATTESTATION__ALLOWED_ENCLAVES": f"{ENTRY},software:{'cd' * 32}:2",
    }
    config = load_config(tmp_path, environment=variables)
    assert config.election.enabled
    c = cluster_configuration(PLACE, config.election, config.attestation)
    assert (c.attestation, len(c.allowed)) == (Demand.RECORD, 2)


def test_nodes_meet_to_attest_each_other_without_an_election_too(tmp_path: Path) -> None:
    def meets(text: str) -> bool:
        (tmp_path / "tetrarch.toml").write_text(text)
        return load_config(tmp_path, environment={}).meets_peers

    assert not meets("")
    assert meets("[election]\nenabled = true\n")
    assert meets('[attestation]\ndemand = "record"\n')
    with pytest.raises(ConfigInvalid, match="demand"):
        meets('[attestation]\ndemand = "maybe"\n')


def test_slower_heartbeats_make_all_slower_and_faster_ones_only_themselves() -> None:
    usual = Timing()
    assert timing_of(usual.heartbeat_s) == usual
    slow = timing_of(0.25)
    assert (slow.settle_s, slow.echo_s, slow.term_s, slow.term_max_s) == (0.5, 2.5, 1.0, 16.0)
    fast = timing_of(0.02)
    assert (fast.heartbeat_s, fast.term_s) == (0.02, usual.term_s)
