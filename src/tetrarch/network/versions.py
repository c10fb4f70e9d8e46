"""Which versions of the protocol and which features a node knows. Pure.

A node speaks every version from ``protocol_min`` to ``protocol``; two nodes whose ranges do not
overlap refuse each other. A *feature* is something that a node may send only once all nodes of
the cluster take it (see ``duties.info_sync``), so that nodes can be updated one after another.
"""

from dataclasses import dataclass

from tetrarch.errors import invariant

# A validator's contributions for several sync subcommittees in one agreed set.
PLURAL_CONTRIBUTIONS = "plural_contributions"

FEATURES_MAX = 16
FEATURE_SIZE_BYTES_MAX = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Versions:
    """What one program can do. An argument everywhere: two nodes of one test may differ."""

    protocol_min: int
    protocol: int  # the newest
    features: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        invariant(0 < self.protocol_min <= self.protocol < 2**16, "a range of protocol versions")
        invariant(len(self.features) <= FEATURES_MAX, "few features at once")
        small = all(0 < len(name.encode()) <= FEATURE_SIZE_BYTES_MAX for name in self.features)
        invariant(small, "a feature has a short name")

    @property
    def protocols(self) -> tuple[int, ...]:
        """All versions that are spoken, the newest first."""
        return tuple(range(self.protocol, self.protocol_min - 1, -1))


# This program. To retire a format, raise ``protocol_min`` a release after ``protocol``.
CURRENT = Versions(protocol_min=1, protocol=1, features=(PLURAL_CONTRIBUTIONS,))


def unsupported(
    *, ours: tuple[int, int], theirs: tuple[int, int], operator: int, version: str
) -> str | None:
    """What a person must do when the ranges (oldest, newest) do not overlap; None: they do.

    ``operator`` is the peer's 0-based index and ``version`` its program's, as it says itself.
    """
    if theirs[1] < ours[0]:
        return (
            f"update the node of operator {operator} (it runs {version or 'an unknown version'})"
            f" to a release with protocol {ours[0]} or newer"
        )
    if ours[1] < theirs[0]:
        return f"update this node to a release with protocol {theirs[0]} or newer"
    return None
