"""Where others see us: what a node behind a router learns of its own address. Pure.

Everybody whom we dial says from where the call came. One of them may lie, and one network may see us
otherwise than the rest of the world; so an address counts once observers of several networks name it. And it is
told to nobody before others have reached us there: a router may let calls out and none in.
"""

from collections import Counter, OrderedDict
from dataclasses import dataclass

from tetrarch.network.overlay.addresses import Address, IpAddress, may_be_told

OBSERVERS_MAX = 64
AGREEING_MIN = 2  # networks that name the address; and that have reached us there


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedRules:
    """``port`` is that of our listener: a router that hands calls on keeps it, or the operator names it."""

    port: int
    private_addresses: bool = False


class Observed:
    """What was said, one word of each network, and where we were reached."""

    def __init__(self, rules: ObservedRules) -> None:
        self._rules = rules
        self._words: OrderedDict[str, IpAddress] = OrderedDict()  # by the observer's group
        self._reached_from: set[str] = set()
        self._candidate: Address | None = None
        self.confirmed: Address | None = None

    @property
    def candidate(self) -> Address | None:
        """Where others could try to reach us; None as long as too few agree."""
        return self._candidate

    def seen(self, observer: Address, ip: IpAddress) -> None:
        """``observer`` says that we call from ``ip``."""
        address = Address(ip, self._rules.port)
        if not may_be_told(address, private_allowed=self._rules.private_addresses):
            return
        group = observer.group
        self._words[group] = ip
        self._words.move_to_end(group)
        if len(self._words) > OBSERVERS_MAX:
            self._words.popitem(last=False)
        most, count = Counter(self._words.values()).most_common(1)[0]
        agreed = count >= AGREEING_MIN and 2 * count > len(self._words)
        self._take(Address(most, self._rules.port) if agreed else None)

    def reached(self, observer: Address, address: Address) -> bool:
        """``observer`` reached us at ``address``. True: enough have, from now on it may be told."""
        if address != self._candidate or address == self.confirmed:
            return False
        self._reached_from.add(observer.group)
        if len(self._reached_from) < AGREEING_MIN:
            return False
        self.confirmed = address
        return True

    def _take(self, candidate: Address | None) -> None:
        if candidate is None or candidate == self._candidate:
            return  # while they disagree, what was true is believed on
        self._candidate = candidate
        self._reached_from.clear()
