"""Puts the reference's two services together for one listener."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import grpc

from tetrarch.errors import PeerFault
from tetrarch.network.overlay.callers import Callers
from tetrarch.network.overlay.meeting import Met
from tetrarch.network.overlay.profile import NodeId, Profile
from tetrarch.network.overlay.reference.accepted import AcceptedReferences, Spawn
from tetrarch.network.overlay.reference.answers import Answers
from tetrarch.network.overlay.reference.calls import ReferenceCalls
from tetrarch.network.overlay.reference.watching import Watchers
from tetrarch.network.overlay.wires import Wires


@dataclass(frozen=True, slots=True)
class ReferenceServices:
    """What they need of the node: see ``AcceptedReferences`` and ``Answers``."""

    wires: Wires
    watchers: Watchers
    met: Callable[[Met], None]
    at_fault: Callable[[NodeId, PeerFault], None]
    own: Callable[[], Profile]
    others: Callable[[], Iterable[Profile]]

    def calls(
        self, callers: Callers, spawn: Spawn
    ) -> Callable[[str], grpc.RpcMethodHandler | None]:
        """A handler by path; None: there is no such method."""
        accepted = AcceptedReferences(
            self.wires, met=self.met, at_fault=self.at_fault, callers=callers, spawn=spawn
        )
        answers = Answers(self.wires.chain, own=self.own, others=self.others)
        return ReferenceCalls(accepted, answers, self.watchers, callers=callers).handler
