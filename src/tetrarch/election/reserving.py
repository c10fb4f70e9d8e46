"""How a member's enclave comes by its terms: recovery at the start, then some terms ahead. Pure."""

from tetrarch.election.configuration import Configuration
from tetrarch.election.effects import Ask, Effect, Send
from tetrarch.election.requests import Reserve, Standing, TakeReceipts, TakeRefusal
from tetrarch.election.statements import Receipt, Signed
from tetrarch.election.timing import Timing
from tetrarch.election.witnesses import Kept


class Reserving:
    """``begin``, then hand it every ``Standing`` of the enclave, and what others answer."""

    def __init__(self, configuration: Configuration, timing: Timing) -> None:
        self._configuration = configuration
        self._timing = timing
        self._standing: Standing | None = None
        self._receipts: dict[int, Signed[Receipt]] = {}
        self._next_try_s = 0.0
        self._term = 0

    @property
    def recovered(self) -> bool:
        """Whether the enclave may vote at all."""
        return self._standing is not None and self._standing.recovered

    @property
    def votes_from(self) -> int:
        """The first term that the enclave may vote in; 0 while that is not known."""
        return self._standing.floor + 1 if self._standing and self._standing.recovered else 0

    def begin(self) -> list[Effect]:
        """Ask the enclave where it stands."""
        return [Ask(Reserve())]

    def want(self, term: int) -> list[Effect]:
        """Terms up to some above ``term`` are needed."""
        self._term = max(self._term, term)
        return self._reserve_more()

    def take_standing(self, standing: Standing, now_s: float) -> list[Effect]:
        """The enclave says where it stands."""
        known = self._standing
        self._standing = standing
        if known is None or known.reservation.what != standing.reservation.what:
            self._receipts = {}
            if self._is_open:
                self._next_try_s = now_s + self._timing.retry_s
                return [Send(None, standing.reservation)]
        return self._reserve_more()

    def take_receipt(self, source: int, receipt: Signed[Receipt]) -> list[Effect]:
        """Another member keeps what the enclave asked for.

        The enclave checks all that all of them keep, n x n signatures, so it is not asked after each.
        """
        standing = self._standing
        if standing is None or receipt.what.source != source or not self._is_open:
            return []
        if receipt.what.reservation != standing.reservation.what:
            return []
        is_next = source not in self._receipts
        self._receipts[source] = receipt
        return self._hand_in() if is_next and len(self._receipts) == self._needed else []

    def take_refusal(self, kept: Kept) -> list[Effect]:
        """Another member keeps something of a former life."""
        return [Ask(TakeRefusal(kept))] if self._standing and not self.recovered else []

    def look(self, now_s: float) -> list[Effect]:
        """Ask those again that did not answer, and hand in what came since."""
        if self._standing is None or not self._is_open or now_s < self._next_try_s:
            return []
        self._next_try_s = now_s + self._timing.retry_s
        late = self._hand_in() if len(self._receipts) >= self._needed else []
        return [Send(None, self._standing.reservation), *late]

    def _hand_in(self) -> list[Effect]:
        return [Ask(TakeReceipts(tuple(self._receipts.values())))]

    @property
    def _is_open(self) -> bool:
        """Whether the others are asked for something that they have not granted yet."""
        standing = self._standing
        if standing is None:
            return False
        return not standing.recovered or standing.reservation.what.reserved_to > max(
            standing.reserved_to, standing.floor
        )

    @property
    def _needed(self) -> int:
        c = self._configuration
        return c.quorum - 1 if self.recovered else min(c.recovery_quorum, c.count - 1)

    def _reserve_more(self) -> list[Effect]:
        standing = self._standing
        if standing is None or not standing.recovered or self._is_open:
            return []
        lowest = max(self._term, standing.floor)
        if standing.reserved_to >= lowest + self._timing.terms_ahead // 2:
            return []
        return [Ask(Reserve(lowest + self._timing.terms_ahead))]
