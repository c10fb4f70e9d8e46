"""Fragments that wait for a block: bounded for all and for each payer, oldest first. Pure.

A payer's fragments hold in the order of their counters only, so one that came early waits for those before it. What is in a
block, or can be in none any more, goes; what a reorganisation took out of blocks comes back.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from tetrarch.errors import PeerFault
from tetrarch.ledger.accounts import AccountId, account_of
from tetrarch.ledger.blocks import Fragment, FragmentId, fragment_id
from tetrarch.ledger.fragments.kind import FragmentRefused, Where
from tetrarch.ledger.fragments.signed import SignedFragment, check_bounds
from tetrarch.ledger.tables import View

AHEAD_MAX: Final = 64  # of a payer's next counter, and so fragments of one payer


class NotPooled(PeerFault):
    """A fragment that does not wait here, and why."""

    code = "fragment_not_pooled"


@dataclass(frozen=True, slots=True)
class Waiting:
    """One fragment; ``arrived`` counts them."""

    id: FragmentId
    data: Fragment
    fragment: SignedFragment
    arrived: int

    @property
    def fee_per_byte(self) -> float:
        """What a block gains by it."""
        return self.fragment.fee / len(self.data)


@dataclass(frozen=True, slots=True, kw_only=True)
class MempoolLimits:
    """Of all that waits."""

    fragments_max: int = 10_000
    size_bytes_max: int = 16 << 20


class Mempool:
    """Signatures are right: the caller saw to that."""

    def __init__(self, limits: MempoolLimits | None = None) -> None:
        self._limits = limits or MempoolLimits()
        self._by_id: dict[FragmentId, Waiting] = {}  # in the order in which they came
        self._by_payer: dict[AccountId, dict[int, Waiting]] = {}
        self._size_bytes = 0
        self._arrived = 0
        # Hears of each that goes though no block has it, and why.
        self.on_dropped: Callable[[FragmentId, str], None] = lambda _fragment, _reason: None

    def __len__(self) -> int:
        return len(self._by_id)

    def __contains__(self, fragment: object) -> bool:
        return fragment in self._by_id

    @property
    def size_bytes(self) -> int:
        """Of all that waits."""
        return self._size_bytes

    @property
    def usage(self) -> float:
        """Of the room there is, by number or size: 0 to 1."""
        limits = self._limits
        return max(len(self) / limits.fragments_max, self._size_bytes / limits.size_bytes_max)

    def get(self, fragment: FragmentId) -> Fragment | None:
        """One that waits."""
        waiting = self._by_id.get(fragment)
        return None if waiting is None else waiting.data

    def add(
        self,
        data: Fragment,
        fragment: SignedFragment,
        *,
        view: View,
        where: Where,
    ) -> Waiting:
        """Let a fragment wait, as the state and the time are.

        Raises:
            NotPooled: it waits already, can be in no block, or there is no room.
        """
        identity = fragment_id(data)
        if identity in self._by_id:
            raise NotPooled("pool fragment", reason="it waits already")
        check_waiting(data, fragment, view, where)
        mine = self._by_payer.get(fragment.payer, {})
        if fragment.counter in mine:
            raise NotPooled(
                "pool fragment", counter=fragment.counter, reason="another waits with it"
            )
        self._make_room(len(data), fragment.fee / len(data))
        self._arrived += 1
        waiting = Waiting(identity, data, fragment, self._arrived)
        self._by_id[identity] = waiting
        self._by_payer.setdefault(fragment.payer, {})[fragment.counter] = waiting
        self._size_bytes += len(data)
        return waiting

    def remove(self, fragment: FragmentId) -> None:
        """It waits no more."""
        waiting = self._by_id.pop(fragment, None)
        if waiting is None:
            return
        self._size_bytes -= len(waiting.data)
        mine = self._by_payer[waiting.fragment.payer]
        del mine[waiting.fragment.counter]
        if not mine:
            del self._by_payer[waiting.fragment.payer]

    def settle(self, payers: Iterable[AccountId], view: View) -> None:
        """Blocks came with fragments of ``payers``: theirs whose counters were used go."""
        for payer in payers:
            counter = account_of(view, payer).counter
            for waiting in list(self._by_payer.get(payer, {}).values()):
                if waiting.fragment.counter < counter:
                    self._drop(waiting.id, "another of its payer is in its place")

    def expire(self, epoch: int) -> list[FragmentId]:
        """An epoch has begun: those that said that they end before it go. Which did."""
        gone = [each.id for each in self._by_id.values() if each.fragment.last_epoch < epoch]
        for fragment in gone:
            self._drop(fragment, "it was to be in a block before this epoch")
        return gone

    def ready(self, view: View) -> Iterator[Waiting]:
        """All that could follow upon ``view``, the oldest first, each after those of its payer before it."""
        counters: dict[AccountId, int] = {}
        for waiting in list(self._by_id.values()):
            payer = waiting.fragment.payer
            if payer not in counters:
                counters[payer] = account_of(view, payer).counter
            if waiting.fragment.counter != counters[payer]:
                continue
            mine = self._by_payer[payer]
            # Those that came before their turn follow at once; later ones have a place of their own below.
            following: Waiting | None = waiting
            while following is not None and following.arrived <= waiting.arrived:
                yield following
                counters[payer] += 1
                following = mine.get(counters[payer])

    def waiting_of(self, payer: AccountId) -> Mapping[int, Waiting]:
        """By their counters."""
        return self._by_payer.get(payer, {})

    def _make_room(self, size_bytes: int, fee_per_byte: float) -> None:
        """The newest of a payer who pays least goes, if the one that comes pays more."""
        limits = self._limits
        while (
            len(self._by_id) >= limits.fragments_max
            or self._size_bytes + size_bytes > limits.size_bytes_max
        ):
            last = (mine[max(mine)] for mine in self._by_payer.values())
            least = min(last, key=lambda each: (each.fee_per_byte, -each.arrived), default=None)
            if least is None or least.fee_per_byte >= fee_per_byte:
                raise NotPooled(
                    "pool fragment", waiting=len(self._by_id), reason="there is no room"
                )
            self._drop(least.id, "there was no room, and others pay more")

    def _drop(self, fragment: FragmentId, reason: str) -> None:
        self.remove(fragment)
        self.on_dropped(fragment, reason)


def check_waiting(
    data: Fragment,
    fragment: SignedFragment,
    view: View,
    where: Where,
) -> None:
    """Whether a fragment may wait, as the state and the time are.

    Raises:
        NotPooled: it can be in no block, and why.
    """
    try:
        check_bounds(view, fragment, size_bytes=len(data), where=where)
    except FragmentRefused as error:
        raise NotPooled("pool fragment", **error.fields) from None
    account = account_of(view, fragment.payer)
    if not account.counter <= fragment.counter < account.counter + AHEAD_MAX:
        highest = account.counter + AHEAD_MAX - 1
        raise NotPooled(
            "pool fragment", counter=fragment.counter, lowest=account.counter, highest=highest
        )
    if account.value < fragment.fee:
        raise NotPooled("pool fragment", fee=fragment.fee, holds=account.value)
