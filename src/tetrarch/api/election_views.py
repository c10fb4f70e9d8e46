"""What a member of an election tells of it: its leader, the members, and each new leader."""

from collections.abc import AsyncGenerator, Mapping
from dataclasses import asdict
from typing import Any

from tetrarch.election.campaigning import Campaign, Leadership
from tetrarch.observability.metrics import Metrics
from tetrarch.observability.monitoring import Stream, View


def election_views(campaign: Campaign) -> dict[str, View]:
    """By the paths at which the monitoring listener serves them."""
    return {"election/leader": leader_view(campaign), "election/members": members_view(campaign)}


def election_streams(campaign: Campaign) -> dict[str, Stream]:
    """By the paths at which the monitoring listener serves them."""
    return {"election/events": leaders_stream(campaign)}


def leader_view(campaign: Campaign) -> View:
    """``/election/leader``: the newest leader with its certificate; null before there is one."""

    def view(_query: Mapping[str, str]) -> dict[str, Any]:
        leading = campaign.leading
        return {"leader": None if leading is None else _told(leading)}

    return view


def members_view(campaign: Campaign) -> View:
    """``/election/members``: who takes part, by which rules, and whom this member hears."""

    def view(_query: Mapping[str, str]) -> dict[str, Any]:
        c = campaign.configuration
        return {
            "own": campaign.own_name,
            "may_vote": campaign.may_vote,
            "mode": c.mode,
            "rule": c.rule,
            "lease_ms": c.lease_ms,
            "attestation": c.attestation,
            "quorum": c.quorum,
            "configuration_hash": c.hash.hex(),
            "members": [asdict(member) for member in campaign.members],
        }

    return view


def leaders_stream(campaign: Campaign) -> Stream:
    """``/election/events``: the newest leader, then each later one."""

    async def stream() -> AsyncGenerator[dict[str, Any], None]:
        async for leading in campaign.leaders():
            yield _told(leading)

    return stream


def watch_election(campaign: Campaign, metrics: Metrics) -> None:
    """Keep the metrics of an election, asked for whenever they are read."""

    def newest_term() -> float:
        leading = campaign.leading
        return 0.0 if leading is None else float(leading.term)

    def leads() -> float:
        leading = campaign.leading
        return float(leading is not None and leading.is_own)

    metrics.gauge("election_term").set_function(newest_term)
    metrics.gauge("election_leads").set_function(leads)
    metrics.gauge("election_members_heard").set_function(
        lambda: float(sum(member.is_heard for member in campaign.members))
    )
    metrics.gauge("election_may_vote").set_function(lambda: float(campaign.may_vote))


def _told(leading: Leadership) -> dict[str, Any]:
    return {
        "term": leading.term,
        "leader": leading.leader,
        "members": leading.members,
        "is_own": leading.is_own,
        "certificate": leading.document,
    }
