"""Whom to link with: the layers joined, and the gossip by which they learn. Pure. Theory of operation.

Each round every layer names one partner. To a partner goes our own profile, fresh; what the swap gives
it; and what every other layer picks for it. It answers once with the same. So a record travels only to
whom some layer thinks it useful, and is only as fresh as its node signed it.

    round -> (partner, gossip)...        gossip from somebody -> answer, or nothing

Who began is not said: gossip of somebody to whom we began, and who has not answered yet, is the answer.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tetrarch.network.overlay.known import Known
from tetrarch.network.overlay.layers.cyclon import Cyclon
from tetrarch.network.overlay.layers.layer import Layer
from tetrarch.network.overlay.profile import NodeId, Profile

PROFILES_MAX = 64  # of one gossip message
NEWCOMER_KNOWS = 16  # fewer, and it asks whomever it is linked with at once, not in its next round
ANSWERS_MAX = 2  # to one node in a round: its rounds and ours do not begin together


@dataclass(frozen=True, slots=True)
class Gossip:
    """One message: of the sender itself, what its swap gives, what else it tells."""

    own: Profile
    swapped: tuple[Profile, ...]
    others: tuple[Profile, ...]

    def __iter__(self) -> Iterator[Profile]:
        yield self.own
        yield from self.swapped
        yield from self.others


class Topology:
    """The layers of one node. What is known changes in ``Known``; tell it here with ``took``, ``lost``."""

    def __init__(
        self, known: Known, layers: Sequence[Layer], *, swapping: Cyclon | None = None
    ) -> None:
        """``swapping`` is one of ``layers``, or there is none."""
        self._known = known
        self.layers = tuple(layers)
        self._swapping = swapping
        self._begun: set[NodeId] = set()
        self._greeted: set[NodeId] = set()  # linked just now; they have not said who they are
        self._answered: Counter[NodeId] = Counter()

    def took(self, profile: Profile) -> None:
        """A node is known from now on, or wants something else than before."""
        for layer in self.layers:
            layer.took(profile)

    def lost(self, node: NodeId) -> None:
        """A node is no longer known."""
        for layer in self.layers:
            layer.lost(node)

    def wants(self, profile: Profile) -> bool:
        """Whether some layer would link with a node that is not known yet."""
        return any(layer.wants(profile) for layer in self.layers)

    def holds(self, node: NodeId) -> bool:
        """Whether some layer links with a known node."""
        return any(layer.holds(node) for layer in self.layers)

    def view(self) -> tuple[NodeId, ...]:
        """Everybody whom some layer would link with."""
        return tuple(dict.fromkeys(node for layer in self.layers for node in layer.view()))

    def begin_round(self, own: Profile) -> list[tuple[NodeId, Gossip]]:
        """Whom to gossip with now, and what to tell each."""
        swap_partner = self._swapping.partner() if self._swapping is not None else None
        partners = dict.fromkeys(layer.partner() for layer in self.layers)
        partners.pop(None, None)
        self._begun = {partner for partner in partners if partner is not None}
        self._greeted.clear()
        self._answered.clear()
        profiles = self._known.profiles
        # In the order of the layers, for a set has none that two runs share.
        return [
            (partner, self._gossip(own, profiles[partner], swap=partner == swap_partner))
            for partner in partners
            if partner is not None
        ]

    def begin(self, own: Profile, node: NodeId) -> Gossip:
        """What to tell a node that a link was made with just now: who we are, as it tells us.

        Each takes the other's greeting for the answer, so no more is said. Views change by some nodes
        in each round: to tell all that is useful on each new link was three times the gossip of rounds.
        Only who knows hardly anybody yet asks for more.
        """
        self._begun.add(node)
        self._greeted.add(node)
        return Gossip(own, (), ())

    def hear(self, own: Profile, gossip: Gossip, *, is_guest: bool = False) -> Gossip | None:
        """Learn from ``gossip``, whose profiles ``Known`` has seen; what to answer, if anything.

        A guest is linked and not known: nobody is told of it, but it is told of others.
        """
        sender = gossip.own.node
        answered = sender in self._begun
        self._begun.discard(sender)
        given = [profile.node for profile in gossip.swapped]
        answer = None
        told_nobody = not gossip.swapped and not gossip.others
        greeted = sender in self._greeted and told_nobody
        self._greeted.discard(sender)
        is_welcome = is_guest or sender in self._known
        if not answered and is_welcome and self._answered[sender] < ANSWERS_MAX:
            self._answered[sender] += 1
            answer = self._gossip(own, gossip.own, swap=bool(given), begun=False)
            given += [sender] * bool(given)  # who begins a swap gives itself, too
        if self._swapping is not None and given:
            self._swapping.merge(sender, given)
        if answered and greeted and is_welcome and len(self._known) < NEWCOMER_KNOWS:
            self._begun.add(sender)
            return self._gossip(own, gossip.own, swap=False)
        return answer

    def _gossip(
        self, own: Profile, recipient: Profile, *, swap: bool, begun: bool = True
    ) -> Gossip:
        profiles = self._known.profiles
        node = recipient.node
        given: tuple[NodeId, ...] = ()
        if swap and self._swapping is not None:
            given = self._swapping.begin(node) if begun else self._swapping.answer(node)
        told: dict[NodeId, None] = {}
        for layer in self.layers:
            told.update(dict.fromkeys(layer.gossip_for(recipient)))
        for known_to_it in (node, own.node, *given):
            told.pop(known_to_it, None)
        room = PROFILES_MAX - 1 - len(given)
        return Gossip(
            own,
            tuple(profiles[each] for each in given),
            tuple(profiles[each] for each in list(told)[:room]),
        )
