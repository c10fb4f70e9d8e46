"""Elect one leader among the nodes that are alive, with a proof that anybody can check.

The way of a term: nodes agree on who is alive (``tally``), every enclave signs its *view* at most
once (``promises``), a quorum of equal views is a certificate of that view (``certificates``), and
every enclave derives the same leader from it (``choice``).

``campaign`` is the way in for programs. It is imported when it is asked for: the enclave uses the
rules here, and must not load what talks to the world.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tetrarch.election.campaigning import Campaign, Leadership, campaign

__all__ = ["Campaign", "Leadership", "campaign"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from tetrarch.election import campaigning  # noqa: PLC0415

    return getattr(campaigning, name)
