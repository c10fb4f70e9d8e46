"""Which member of a certified view leads. Pure, and the same in every enclave."""

import hashlib

from tetrarch.election.configuration import Rule
from tetrarch.election.statements import View

_DOMAIN = b"tetrarch/election/1/choice"


def choose(rule: Rule, view: View, *, incumbent: int | None, seed: bytes = b"") -> int:
    """The leader's index. A leader that is alive stays, by whatever rule it came.

    One that has resigned does not, and does not follow itself while there is anybody else.
    ``incumbent`` must be the leader that ``view.previous`` names. ``seed``: what the beacon gave for
    this view; by other rules it is not looked at.
    """
    if incumbent is not None and incumbent in view.members and not view.vacated:
        return incumbent
    others = tuple(member for member in view.members if member != incumbent)
    members = others if view.vacated and others else view.members
    match rule:
        case Rule.LOWEST:
            return members[0]
        case Rule.ROUND_ROBIN:
            return members[view.term % len(members)]
        case Rule.BEACON:
            # 256 bits over at most 256 members: the remainder favours nobody noticeably.
            drawn = hashlib.sha256(_DOMAIN + view.hash + seed).digest()
            return members[int.from_bytes(drawn, "big") % len(members)]
