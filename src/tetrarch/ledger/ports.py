"""The world, as a ledger sees it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from tetrarch.clock import Clock
from tetrarch.errors import PeerFault
from tetrarch.ledger.store import LedgerStore
from tetrarch.network.overlay.chain import Verdict
from tetrarch.observability.logs import Log, error_fields

_T = TypeVar("_T")


class Compute(Protocol):
    """Threads, as far as this goes (``compute``)."""

    async def run(self, function: Callable[[], _T], /) -> _T:
        """What ``function`` gives."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerPorts:
    """``prunes``: whether final blocks are forgotten that are older than the states that are kept."""

    store: LedgerStore
    compute: Compute
    clock: Clock
    log: Log
    prunes: bool = False

    def refused(self, what: str, fault: PeerFault, **fields: object) -> Verdict:
        """Who sent it is to blame."""
        self.log.debug("ledger_refused", what=what, **error_fields(fault), **fields)
        return Verdict.INVALID

    def not_taken(self, what: str, fault: PeerFault) -> Verdict:
        """It may have been of use where, or when, it was made."""
        self.log.debug("ledger_not_taken", what=what, **error_fields(fault))
        return Verdict.STALE
