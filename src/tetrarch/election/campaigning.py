"""Take part in an election of members that are named by host and port: the way in for programs.

    async with tetrarch.election.campaign("127.0.0.1:5000", ["127.0.0.1:5001"], folder=path) as c:
        async for leading in c.leaders():
            ...

The enclave is a process of its own, started and ended here.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict, Unpack

from tetrarch.attestation.policy import Allowed, Demand
from tetrarch.election.addresses import name_of, read_address
from tetrarch.election.certificates import LeaderCertificate
from tetrarch.election.configuration import Configuration, Rule
from tetrarch.election.documents import certificate_fields
from tetrarch.election.joining import Joining, join, prepare_folder
from tetrarch.election.links import SILENCE_MAX_S, Address, Links
from tetrarch.election.member import Member
from tetrarch.election.quorums import Mode
from tetrarch.election.timing import Timing
from tetrarch.enclave.client import EnclaveClient
from tetrarch.enclave.election_files import ElectionFiles
from tetrarch.enclave.protections import Confinement, Protection
from tetrarch.enclave.reporting import tell_protections
from tetrarch.entropy import Entropy, system_entropy
from tetrarch.errors import ConfigInvalid
from tetrarch.observability.logs import Log, SilentLog
from tetrarch.supervision import Supervisor, sole_cause

SILENT_HEARTBEATS = 20  # of slow members, before their session is opened anew


class _Rules(TypedDict):
    mode: Mode
    rule: Rule
    lease_ms: int
    attestation: Demand
    allowed: tuple[Allowed, ...]


@dataclass(frozen=True, slots=True)
class Leadership:
    """Who leads in ``term``, and of whom; ``document`` proves it to anybody."""

    term: int
    leader: str
    members: tuple[str, ...]
    is_own: bool
    document: dict[str, Any]


@dataclass(frozen=True, slots=True)
class MemberState:
    """A member, as this one sees it now.

    ``is_heard``: its heartbeats arrive; ``is_listed``: it is in the list of the newest leader.
    ``signing_key``: its enclave's, as hex; empty before it was met.
    """

    name: str
    is_own: bool
    is_heard: bool
    is_listed: bool
    signing_key: str


class Campaign:
    """One running member. Made by ``campaign``."""

    def __init__(self, configuration: Configuration, own: int, member: Member) -> None:
        self.configuration = configuration
        self.own_name = configuration.members[own]
        self._member = member

    @property
    def leading(self) -> Leadership | None:
        """The newest certified leader that this member knows."""
        newest = self._member.newest
        return None if newest is None else self._leadership(newest)

    @property
    def members(self) -> tuple[MemberState, ...]:
        """All members, as this one sees them now."""
        leading, down, keys = self.leading, self._member.down, self._member.keys
        return tuple(
            MemberState(
                name=name,
                is_own=name == self.own_name,
                is_heard=index not in down,
                is_listed=leading is not None and name in leading.members,
                signing_key=(keys[index] or b"").hex(),
            )
            for index, name in enumerate(self.configuration.members)
        )

    @property
    def may_vote(self) -> bool:
        """Whether this member's enclave has recovered what it had promised before its start."""
        return self._member.has_recovered

    async def leaders(self) -> AsyncIterator[Leadership]:
        """The newest leader, then each later one."""
        async for certificate in self._member.watch():
            yield self._leadership(certificate)

    def holds_lease(self) -> bool:
        """Whether this member leads, and certainly nobody else does, now. Needs ``lease_ms``."""
        return self._member.holds_lease()

    def resign(self) -> None:
        """Give up this member's leadership, if it leads: another one follows at once."""
        self._member.resign()

    def _leadership(self, certificate: LeaderCertificate) -> Leadership:
        names = self.configuration.members
        leader = certificate.leader
        return Leadership(
            term=certificate.term,
            leader=names[leader.leader],
            members=tuple(names[index] for index in leader.view.members),
            is_own=names[leader.leader] == self.own_name,
            document=certificate_fields(certificate, self.configuration),
        )


@asynccontextmanager
async def campaign(  # noqa: PLR0913 - what is not said has a default
    own: str,
    others: Sequence[str],
    *,
    folder: Path,
    mode: Mode = Mode.BFT,
    rule: Rule = Rule.LOWEST,
    lease_ms: int = 0,
    listen: Address | None = None,
    passphrase_file: Path | None = None,
    required: Sequence[Protection] = (),
    attestation: Demand = Demand.OFF,
    allowed: Sequence[Allowed] = (),
    tpm: Path | None = None,
    counts_by_tpm: bool = False,
    accepts_cold_start: bool = False,
    timing: Timing | None = None,
    log: Log | None = None,
    entropy: Entropy = system_entropy,
) -> AsyncIterator[Campaign]:
    """Be a member for as long as the block runs.

    Args:
        own: HOST:PORT, as the others name this member.
        others: all of them; every member must have the same list, mode, rule and lease.
        folder: where the sealed state lies; it belongs to this member alone.
        mode: what failing members may do.
        rule: who leads where nobody does yet.
        lease_ms: how long a leader is sure to lead; 0: never quite.
        listen: where to listen, if not at ``own``.
        passphrase_file: opens the seal; without one a key file is made in ``folder``.
        required: the enclave does not open without these protections of its process.
        attestation: what becomes of members without evidence that ``allowed`` accepts. The same on
            every member, as is the next one.
        allowed: which enclaves may take part.
        tpm: a device or socket of a TPM that vouches for this member's enclave.
        counts_by_tpm: its counter shows which state is the newest, so that a restarted member need not
            ask the others (``counting``). From its first start on, or never; not for a TPM whose own state
            is restored with the machine's.
        accepts_cold_start: see ``promises.take_receipts``.
        timing: how long is waited for what.
        log: nothing is logged without one.
        entropy: the system's, but for tests.

    Raises:
        ConfigInvalid: the list cannot be.
        OperatorError: folder, seal, address or enclave; says which, and how to mend it.
    """
    log = log or SilentLog()
    timing = timing or Timing()
    configuration, source = _configuration(
        own,
        others,
        mode=mode,
        rule=rule,
        lease_ms=lease_ms,
        attestation=attestation,
        allowed=tuple(sorted(set(allowed))),
    )
    addresses = [read_address(name) for name in configuration.members]
    secret = prepare_folder(folder, passphrase_file, entropy)
    confinement = Confinement(
        writable=(folder,), readable=(secret.path,), required=tuple(required), tpm=tpm
    )
    enclave = await EnclaveClient.launch(confinement)
    try:
        await tell_protections(enclave, log)
        joining = Joining(
            configuration=configuration,
            source=source,
            files=ElectionFiles(folder, secret),
            has_tpm=tpm is not None,
            counts_by_tpm=counts_by_tpm,
            accepts_cold_start=accepts_cold_start,
            timing=timing,
        )
        joined = await join(enclave, joining, entropy=entropy, log=log)
        member = joined.member
        links = Links(
            configuration,
            source,
            addresses=addresses,
            listen=listen or addresses[source],
            enclave=joined.client,
            on_message=member.receive,
            on_met=joined.meet,
            log=log,
            silence_max_s=max(SILENCE_MAX_S, SILENT_HEARTBEATS * timing.heartbeat_s),
        )
        try:
            async with Supervisor(log) as tasks:
                tasks.spawn(enclave.watch(), name="enclave")
                tasks.spawn(links.run(), name="election_links")
                await links.wait_listening()
                tasks.spawn(member.run(links), name="election_member")
                try:
                    yield Campaign(configuration, source, member)
                finally:
                    tasks.stop()
        except BaseExceptionGroup as group:
            raise sole_cause(group) from None
    finally:
        await enclave.close()


def _configuration(
    own: str, others: Sequence[str], **rules: Unpack[_Rules]
) -> tuple[Configuration, int]:
    own_name = name_of(read_address(own))
    names = [own_name, *(name_of(read_address(other)) for other in others)]
    if len(set(names)) != len(names):
        raise ConfigInvalid("build election configuration", reason="a member is named twice")
    configuration = Configuration(members=tuple(sorted(names)), **rules)
    return configuration, configuration.members.index(own_name)
