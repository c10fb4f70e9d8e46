"""What a member's machine wants done. Pure."""

from dataclasses import dataclass
from typing import TypeAlias

from tetrarch.election.certificates import LeaderCertificate
from tetrarch.election.messages import Message
from tetrarch.election.requests import Request
from tetrarch.election.statements import Signed, Vote


@dataclass(frozen=True, slots=True)
class Send:
    """Send ``message`` to one other member, or to all of them. It may get lost."""

    to: int | None
    message: Message


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask the own enclave, and hand its answer back."""

    request: Request


@dataclass(frozen=True, slots=True)
class Led:
    """A new leader was certified."""

    certificate: LeaderCertificate


@dataclass(frozen=True, slots=True)
class Faulty:
    """``source`` broke the protocol. Two different votes in one term prove it to anybody."""

    source: int
    reason: str
    evidence: tuple[Signed[Vote], ...] = ()


Effect: TypeAlias = Send | Ask | Led | Faulty
