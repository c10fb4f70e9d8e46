"""What must have become of exits and registrations by the end of a run."""

from collections.abc import Mapping

from tetrarch.duties.requested import ExitRequest
from tetrarch.duties.types import DutyType, ExitPayload
from tetrarch.sim.chain import SLOTS_PER_EPOCH
from tetrarch.sim.checkers import require
from tetrarch.sim.workflow_checkers import WorkflowCheckers
from tetrarch.sim.workflow_operator import SimOperator, request_of


def check_asked(checkers: WorkflowCheckers, operators: Mapping[int, SimOperator]) -> None:
    """All that enough operators asked for is signed and where they wanted it; nothing else is."""
    chain = checkers.chain
    exits = {
        (each.node, each.pubkey, each.payload.message.epoch)
        for each in chain.submissions
        if each.duty.type is DutyType.EXIT and isinstance(each.payload, ExitPayload)
    }
    registered = {(node, signed.message) for node, signed in chain.registered}
    for ask in checkers.profile.asks:
        request, operator = request_of(ask, chain.pubkeys), operators.get(ask.node)
        if operator is None:  # a liar's
            continue
        if not isinstance(request, ExitRequest):
            sent = (ask.node, request.message) in registered
            require(sent, "a registration that enough asked for is sent", node=ask.node)
            continue
        kept = operator.exits.get(request.pubkey)
        published = (ask.node, request.pubkey, request.epoch) in exits
        if ask.too_few:
            require(not published, "an exit that too few asked for is never made", node=ask.node)
            continue
        right = kept is not None and kept.message.epoch == request.epoch
        require(right, "operators find the exit that enough asked for", node=ask.node)
        told = (ask.node, request.epoch * SLOTS_PER_EPOCH, "exit") in checkers.ended
        crashed = any(crash.node == ask.node for crash in checkers.profile.crashes)
        require(told or crashed, "an exit that is signed ends with a line", node=ask.node)
        same = published == request.broadcast
        require(same, "an exit is published where that was asked for", node=ask.node)
