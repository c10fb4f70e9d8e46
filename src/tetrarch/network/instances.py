"""Which processes a peer's certificate was seen with. Pure.

A process draws its instance at its start, so an instance that another has replaced never comes back:
the older process has ended. If it does come back, both run, on two machines. One whose stream was
still open when another process came may come back at any moment: until then the newer is suspected.
"""

from dataclasses import dataclass

REMEMBERED_MAX = 8
# Two processes push each other out whenever one of them reconnects, which takes seconds.
TWIN_FOR_S = 120.0
SUSPECTED_FOR_S = 10.0  # in which who was pushed out and still runs comes back


@dataclass(slots=True)
class _Seen:
    first_s: float
    last_s: float


class Instances:
    """Notes each greeting of one peer; times are of one monotonic clock."""

    def __init__(self) -> None:
        self._seen: dict[bytes, _Seen] = {}
        self._current: bytes | None = None
        self._pair_s: dict[bytes, float] = {}  # instances that run side by side, when last seen so
        self._suspected: tuple[bytes, float] | None = None  # pushed another one out, and when

    def note(self, instance: bytes, *, now_s: float, pushes_out: bool = False) -> bool:
        """The peer has introduced itself; whether this proves that two of its processes run.

        ``pushes_out``: the stream of another instance was still open.
        """
        known = self._seen.get(instance)
        returned = known is not None and self._current not in (None, instance)
        if known is None:
            self._seen[instance] = _Seen(now_s, now_s)
        else:
            known.last_s = now_s
        if pushes_out and not returned:
            self._suspected = (instance, now_s)
        if returned and self._current is not None:
            self._pair_s = {instance: now_s, self._current: now_s}
        self._current = instance
        while len(self._seen) > REMEMBERED_MAX:
            del self._seen[min(self._seen, key=lambda each: self._seen[each].last_s)]
        return returned

    def twins(self, *, now_s: float) -> bool:
        """Whether two processes of the peer run, as far as can be seen now."""
        return any(now_s - at_s < TWIN_FOR_S for at_s in self._pair_s.values())

    def older_twin_of(self, instance: bytes, *, now_s: float) -> bool | None:
        """Whether the process beside ``instance`` is the older one; None where there is none."""
        if self._suspected is not None:
            newer, at_s = self._suspected
            if instance == newer and now_s - at_s < SUSPECTED_FOR_S:
                return True
        others = [each for each in self._pair_s if each != instance and each in self._seen]
        if instance not in self._pair_s or not others or not self.twins(now_s=now_s):
            return None
        return self._seen[others[0]].first_s < self._seen[instance].first_s
