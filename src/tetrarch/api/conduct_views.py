"""What was seen of another node, as views tell it: of the overlay's nodes and of the cluster's alike."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from tetrarch.network.conduct import Conduct, Points

Topic = TypeVar("Topic")


def unix_rfc3339(unix_s: float) -> str:
    """RFC 3339, to the millisecond."""
    return datetime.fromtimestamp(unix_s, UTC).isoformat(timespec="milliseconds")


def conduct_view(
    conduct: Conduct[Topic],
    points: Sequence[Points],
    *,
    rfc3339: Callable[[float], str],
    topics: Mapping[str, Topic],
) -> dict[str, Any]:
    """All of it. ``rfc3339`` writes its times; ``topics`` by the names that they are told by."""
    return {
        "since": rfc3339(conduct.since_s),
        "met": None if conduct.met_s is None else rfc3339(conduct.met_s),
        "latency_s": conduct.latency_s,
        "failures": [rfc3339(at_s) for at_s in conduct.failures_s],
        "faults": [{"at": rfc3339(at_s), "fault": fault.label} for at_s, fault in conduct.faults],
        "last_messages": {
            name: rfc3339(conduct.last_message_s[topic])
            for name, topic in topics.items()
            if topic in conduct.last_message_s
        },
        "contributions": conduct.contributions,
        "points": [
            {"reason": part.reason, "points": round(part.points, 2), "detail": part.detail}
            for part in points
        ],
    }
