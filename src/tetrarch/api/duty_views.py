"""JSON views of duties: those in memory, those on disk, and one across the whole cluster."""

from collections.abc import Awaitable, Mapping

from tetrarch.duties.duty import Duty, DutyType
from tetrarch.duties.report import DutyReport, InclusionReport
from tetrarch.duties.stories import Story
from tetrarch.errors import InputInvalid
from tetrarch.ethereum.beacon_nodes.several import SeveralBeaconNodes
from tetrarch.network.mesh import Mesh
from tetrarch.node import Node
from tetrarch.observability.monitoring import View
from tetrarch.observability.reference_metrics import peer_name

REPORTS_MAX = 512
# What of a beacon node's answers the chain's word on a duty judges.
_JUDGED = {"attester": "attestation_data", "proposer": "produce_block"}


def display_name(mesh: Mesh, peer: int) -> str:
    """A node for people: its number, and what it calls itself."""
    nickname = next((each.nickname for each in mesh.status() if each.index == peer), None)
    return f"{peer_name(peer)} ({nickname})" if nickname else peer_name(peer)


async def note_inclusion(beacon_nodes: SeveralBeaconNodes, answer: InclusionReport) -> None:
    """The chain's word on a duty is a part of the score of the beacon node it came from."""
    what = _JUDGED.get(answer.type)
    if what is not None and answer.verdict in ("included", "not_included", "other_head"):
        beacon_nodes.note_inclusion(what, answer.slot, answer.share)


def duties_view(node: Node) -> View:
    """``/duties?since_slot=N``: the tracker's reports, by slot and type."""

    def view(query: Mapping[str, str]) -> dict[str, tuple[DutyReport, ...]]:
        since = query.get("since_slot", "0")
        since_slot = int(since) if since.isascii() and since.isdigit() and len(since) < 19 else 0
        return {"duties": node.tracker.reports(since_slot=since_slot, count_max=REPORTS_MAX)}

    return view


def explain_view(node: Node) -> View:
    """``/duty/explain?slot=N&type=attester``: what every node of the cluster knows of a duty."""

    def view(query: Mapping[str, str]) -> Awaitable[Story]:
        return node.tracking.stories.explain(
            Duty(read_slot(query.get("slot", "")), read_type(query.get("type", "")))
        )

    return view


def list_view(node: Node) -> View:
    """``/duty/list?since_slot=N&failed=1&type=attester``: the latest that are kept, by slot."""

    async def listed(query: Mapping[str, str]) -> dict[str, tuple[DutyReport, ...]]:
        since_slot = read_slot(query.get("since_slot", "0"))
        failed = query.get("failed", "0") not in ("", "0", "false")
        types = (read_type(query["type"]),) if query.get("type") else ()
        reports = await node.tracking.known(since_slot=since_slot, failed=failed, types=types)
        return {"duties": reports[-REPORTS_MAX:]}

    return listed


def read_slot(text: str) -> int:
    """A slot as an operator writes it; raises InputInvalid."""
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise InputInvalid("read slot", got=text[:32], expected="a number")
    return int(text)


def read_type(text: str) -> DutyType:
    """A type as an operator writes it: ``attester``, ``SYNC-MESSAGE``, 2; raises InputInvalid."""
    name = text.strip().upper().replace("-", "_")
    if name.isascii() and name.isdigit() and len(name) < 3:
        name = next((each.name for each in DutyType if each == int(name)), name)
    if name not in DutyType.__members__:
        known = ", ".join(each.name.lower() for each in DutyType)
        raise InputInvalid("read duty type", got=text[:32], expected=known)
    return DutyType[name]


def read_duty(text: str) -> Duty:
    """``9/attester``; raises InputInvalid."""
    slot, _, duty_type = text.partition("/")
    return Duty(read_slot(slot), read_type(duty_type))
