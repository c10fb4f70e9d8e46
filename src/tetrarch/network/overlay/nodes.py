"""The nodes of the network as this one sees them: available, quarantined, forgotten. Pure.

    heard of in gossip          -> available
    available, verdict          -> quarantined for a time: in no view, in no gossip
    quarantine over, still bad  -> quarantined, for longer
    quarantine over, renewed    -> available
    quarantine over, silent     -> forgotten: nothing is kept of it
    unreachable, shows itself   -> its quarantine is over
    forgotten, heard of         -> available, from the start

Whoever is linked and not kept (it has no address that others could use, or its network's places are
taken) is a guest: it gets what all get and is judged as all are, but nobody is told of it.

Nobody is looked at for its own sake: a rule is applied when a node is heard of or reported, and to all
only by ``sweep``. "Still gossiped about" means that the node itself signed a profile since: others can
repeat what a dead node said, and cannot make it say more.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

from tetrarch.errors import InputInvalid
from tetrarch.network.conduct import Conduct, Fault
from tetrarch.network.overlay.addresses import NOWHERE
from tetrarch.network.overlay.known import Known, Taken
from tetrarch.network.overlay.policy import PolicyRules
from tetrarch.network.overlay.profile import NodeId, Profile, Topic
from tetrarch.network.overlay.quarantines import Quarantine, Quarantines


class Disposition(Enum):
    """What may be done with a node."""

    AVAILABLE = "available"
    QUARANTINED = "quarantined"
    FORGOTTEN = "forgotten"


class Heard(Enum):
    """What became of a profile that somebody told."""

    NEW = "new"
    RENEWED = "renewed"
    OLD = "old"
    NO_ROOM = "no_room"  # see ``Known``: its network's places, its introducer's, or all are taken
    QUARANTINED = "quarantined"
    BANNED = "banned"
    OWN = "own"
    FUTURE = "future"
    STALE = "stale"
    ADDRESS_USELESS = "address_useless"


BANS_MAX = 10_000
_OF_TAKEN = {Taken.NEW: Heard.NEW, Taken.RENEWED: Heard.RENEWED, Taken.OLD: Heard.OLD}


@dataclass(frozen=True, slots=True)
class Ban:
    """An operator's word. It stands until it is taken back."""

    reason: str
    since_s: float


class Nodes:
    """All of them; ``known`` holds the available ones. Times are wall-clock seconds since 2020."""

    def __init__(
        self,
        own: NodeId,
        known: Known,
        rules: PolicyRules,
        *,
        whitelist: Callable[[Profile], bool] = lambda _: False,
    ) -> None:
        """``whitelist`` says who is never quarantined: whom the operator named."""
        self.known = known
        self.own_height: int | None = None
        self._own = own
        self._rules = rules
        self._whitelist = whitelist
        self._conducts: dict[NodeId, Conduct[Topic]] = {}
        self._guests: dict[NodeId, Profile] = {}
        self._quarantines = Quarantines(rules)
        self._bans: dict[NodeId, Ban] = {}
        self._met_anybody_s: float | None = None

    @property
    def quarantined(self) -> Mapping[NodeId, Quarantine]:
        """Those put aside now."""
        return self._quarantines.by_node

    @property
    def bans(self) -> Mapping[NodeId, Ban]:
        """Those that the operator banned."""
        return self._bans

    @property
    def guests(self) -> Mapping[NodeId, Profile]:
        """Those that are linked and not kept, with what they last said of themselves."""
        return self._guests

    def profile(self, node: NodeId) -> Profile | None:
        """Of one that may be linked with: it is kept, or a guest."""
        return self.known.profiles.get(node) or self._guests.get(node)

    def conduct(self, node: NodeId) -> Conduct[Topic] | None:
        """What was seen of a node that is not forgotten."""
        return self._conducts.get(node)

    def times_quarantined(self, node: NodeId) -> int:
        """How often it was put aside since it was first heard of."""
        return self._quarantines.times(node)

    def disposition(self, node: NodeId) -> Disposition:
        """As it stands; nothing is judged anew."""
        if node in self.known or node in self._guests:
            return Disposition.AVAILABLE
        return Disposition.QUARANTINED if node in self.quarantined else Disposition.FORGOTTEN

    def hear(
        self, profile: Profile, introducer: NodeId, *, now_s: float, wanted: bool = False
    ) -> Heard:
        """Take a profile whose signature is right, and look at its node anew."""
        before = self.known.profiles.get(profile.node)
        if before is not None and profile.time_s <= before.time_s:
            return Heard.OLD  # as most are
        refused = self._refusal(profile, now_s)
        if refused is not None:
            if refused is Heard.ADDRESS_USELESS:
                self._renew_guest(profile)
            return refused
        if profile.node in self.quarantined:
            self._quarantines.renew(profile)
            if self.judge(profile.node, now_s=now_s) is not Disposition.AVAILABLE:
                return Heard.QUARANTINED
            return Heard.NEW
        taken = self.known.take(profile, introducer, wanted=wanted)
        if taken is Taken.NEW:
            self._conducts.setdefault(profile.node, Conduct(now_s))
            self._guests.pop(profile.node, None)
        heard = _OF_TAKEN.get(taken, Heard.NO_ROOM)
        if heard is Heard.NO_ROOM:
            self._renew_guest(profile)
        return heard

    def welcome(self, node: NodeId, *, now_s: float) -> None:
        """A link with ``node`` is up: if it is not kept, it is a guest until the link ends."""
        if node in self.known or node in self.quarantined:
            return
        self._guests.setdefault(node, _stranger(node))
        self._conducts.setdefault(node, Conduct(now_s))

    def left(self, node: NodeId) -> None:
        """The link with ``node`` is gone."""
        if self._guests.pop(node, None) is not None:
            self._conducts.pop(node, None)
            self._quarantines.forget(node)

    def met(self, node: NodeId, *, now_s: float, latency_s: float | None = None) -> None:
        """A node was connected with, and showed who it is."""
        self._met_anybody_s = now_s
        self.known.met(node)
        conduct = self._conducts.get(node)
        if conduct is not None:
            conduct.answered(now_s, latency_s)
        if self._quarantines.shown(node, now_s=now_s):
            self.judge(node, now_s=now_s)

    def report_failure(self, node: NodeId, *, now_s: float) -> Disposition:
        """A connection failed. It says nothing of the node while we reach nobody at all."""
        conduct = self._conducts.get(node)
        met_s = self._met_anybody_s
        if conduct is not None and met_s is not None and now_s - met_s <= self._rules.alone_after_s:
            conduct.failed(now_s)
        return self.judge(node, now_s=now_s)

    def report_fault(self, node: NodeId, fault: Fault, *, now_s: float) -> Disposition:
        """A node did what no honest one does."""
        conduct = self._conducts.get(node)
        if conduct is not None:
            conduct.broke(fault, now_s)
        return self.judge(node, now_s=now_s)

    def judge(self, node: NodeId, *, now_s: float) -> Disposition:
        """Apply the rules to one node, as the table above says."""
        if node in self.quarantined:
            self._judge_quarantined(node, now_s)
        elif node in self.known:
            self._judge_available(self.known.profiles[node], now_s)
        elif node in self._guests:
            self._judge_available(self._guests[node], now_s)
        return self.disposition(node)

    def sweep(self, *, now_s: float) -> None:
        """Apply the rules to all, and drop those that said nothing for too long."""
        for node in [*self.known, *self._guests, *self.quarantined]:
            self.judge(node, now_s=now_s)
        for node, profile in list(self.known.profiles.items()):
            if self._rules.is_stale(profile, now_s) and not self._whitelist(profile):
                self.forget(node)

    def dropped(self, node: NodeId, *, is_linked: bool = False) -> None:
        """``known`` has it no more; unless it was put aside or is a guest now, it is forgotten."""
        if is_linked and node in self._conducts and node not in self.quarantined:
            self._guests[node] = _stranger(node)
        elif node not in self.quarantined:
            self._conducts.pop(node, None)
            self._quarantines.forget(node)

    def forget(self, node: NodeId) -> None:
        """Nothing is kept of it but a ban."""
        self._quarantines.forget(node)
        self._conducts.pop(node, None)
        self._guests.pop(node, None)
        self.known.remove(node)

    def ban(self, node: NodeId, reason: str, *, now_s: float) -> None:
        """Never again, until ``unban``.

        Raises:
            InputInvalid: ``BANS_MAX`` others are banned.
        """
        if node not in self._bans and len(self._bans) >= BANS_MAX:
            mend = "take others back, or keep networks out with the kernel's filter"
            raise InputInvalid("ban node", maximum=BANS_MAX, mend=mend)
        self._bans[node] = Ban(reason, now_s)
        self.forget(node)

    def unban(self, node: NodeId) -> bool:
        """It may come back by gossip, from the start. False: it was not banned."""
        return self._bans.pop(node, None) is not None

    def restore(
        self,
        profile: Profile,
        conduct: Conduct[Topic],
        *,
        times_quarantined: int,
        quarantine: Quarantine | None,
        now_s: float,
    ) -> None:
        """Take a node as it was when this process ended, if a profile so old is of use still.

        A quarantine goes on whatever its profile's age: only what comes later can end it.
        """
        node = profile.node
        if node == self._own or node in self._bans:
            return
        if quarantine is None and (
            not self._rules.is_stale(profile, now_s) or self._whitelist(profile)
        ):
            self.known.take(profile, node)
        if node in self.known or quarantine is not None:
            self._conducts[node] = conduct
            self._quarantines.restore(node, quarantine, times=times_quarantined)

    def restore_ban(self, node: NodeId, ban: Ban) -> None:
        """It stands, as before."""
        self._bans[node] = ban

    def __iter__(self) -> Iterator[NodeId]:
        yield from self.known
        yield from self.quarantined

    def everybody(self) -> Iterator[NodeId]:
        """Those that are kept or put aside, and the guests."""
        yield from self
        yield from self._guests

    def _refusal(self, profile: Profile, now_s: float) -> Heard | None:
        if profile.node == self._own:
            return Heard.OWN
        if profile.node in self._bans:
            return Heard.BANNED
        if self._rules.is_ahead(profile, now_s):
            return Heard.FUTURE
        if self._rules.is_stale(profile, now_s):
            return Heard.STALE
        return None if self._is_useful(profile) else Heard.ADDRESS_USELESS

    def _is_useful(self, profile: Profile) -> bool:
        before = self.known.profiles.get(profile.node)
        if before is not None and (before.address, before.certificate) == (
            profile.address,
            profile.certificate,
        ):
            return True  # it was looked at, which takes longer than all the rest
        return self._rules.has_use(profile)

    def _judge_available(self, profile: Profile, now_s: float) -> None:
        conduct = self._conducts[profile.node]
        reason = self._rules.verdict(conduct, now_s=now_s, own_height=self.own_height)
        if reason is not None and not self._whitelist(profile):
            self._put_aside(profile, reason, now_s)

    def _renew_guest(self, profile: Profile) -> None:
        before = self._guests.get(profile.node)
        if before is not None and profile.time_s > before.time_s:
            self._guests[profile.node] = profile

    def _put_aside(self, profile: Profile, reason: str, now_s: float) -> None:
        crowded = self._quarantines.begin(profile, reason, now_s=now_s)
        if crowded is not None:
            self.forget(crowded)
        self._guests.pop(profile.node, None)
        self.known.remove(profile.node)

    def _judge_quarantined(self, node: NodeId, now_s: float) -> None:
        quarantine, conduct = self.quarantined[node], self._conducts[node]
        if now_s < quarantine.until_s:
            return
        if self._rules.is_bad(conduct, now_s=now_s):
            self._put_aside(quarantine.profile, "still_bad", now_s)
        elif not self._quarantines.is_renewed(node, now_s=now_s):
            self.forget(node)
        else:
            self._quarantines.end(node)
            conduct.failures_s.clear()
            if self.known.take(quarantine.profile, node, wanted=True) is not Taken.NEW:
                self.forget(node)


def _stranger(node: NodeId) -> Profile:
    """Of whom nothing is known but that it is there."""
    return Profile(node, 0, NOWHERE, (), b"")
