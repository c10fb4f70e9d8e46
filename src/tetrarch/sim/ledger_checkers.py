"""What a ledger's world hears of as it happens, and the rules that each of it must keep."""

from collections import Counter
from collections.abc import Sequence

from tetrarch.ledger.applying import Place, leaders_of
from tetrarch.ledger.dates import BlockDate
from tetrarch.ledger.finality import Link
from tetrarch.ledger.headers import BlockId, Header
from tetrarch.ledger.leaders import Leaders


class Broken(AssertionError):
    """A rule did not hold."""


class Checkers:
    """Hear of all that is signed and of all that is final."""

    def __init__(self) -> None:
        self.blocks: dict[tuple[bytes, BlockDate], Header] = {}
        self.votes: dict[bytes, list[Link]] = {}
        self.finals: dict[int, BlockId] = {}
        self.dates: set[BlockDate] = set()
        self.leaders: dict[int, Leaders] = {}

    @property
    def rivals(self) -> int:
        """Slots for which more than one key signed."""
        makers = Counter(date for _key, date in self.blocks)
        return sum(count > 1 for count in makers.values())

    def on_block(self, key: bytes, header: Header) -> None:
        """A key signed a header."""
        before = self.blocks.setdefault((key, header.date), header)
        if before != header:
            raise Broken(f"two blocks of {header.date} by {key.hex()[:8]}")

    def on_vote(self, voter: bytes, link: Link) -> None:
        """A vote was signed."""
        for other in self.votes.setdefault(voter, []):
            inner, outer = sorted((link, other), key=lambda each: each.target.height)
            if (
                inner.target.height == outer.target.height
                or outer.source.height < inner.source.height
            ):
                raise Broken(f"votes {inner} and {outer} contradict each other")
        self.votes[voter] = [*self.votes[voter][-64:], link]

    def on_final(self, places: Sequence[Place]) -> None:
        """A node calls blocks final."""
        for place in places:
            length = place.header.chain_length
            if self.finals.setdefault(length, place.id) != place.id:
                raise Broken(f"two final blocks with {length} before them")
            date = place.header.date
            self.dates.add(date)
            leaders = None if date.epoch in self.leaders else leaders_of(place.layer, date.epoch)
            if leaders is not None:
                self.leaders[date.epoch] = leaders
