"""Signing through remote signers: judged and recorded here first, verified here last.

Two histories stand in front of a remote signer: the group keys' (``duties.slashing``), and the one
that an own enclave would have, with the same rules in the same file. A vote or block is durable
in both before any signer is asked, so all of them are only ever asked for the same thing: that
is what makes it safe to ask a second signer, with a slashing database of its own, after a first
one that did not answer.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from tetrarch.clock import Clock
from tetrarch.duties.enclave_signing import plain, request_of
from tetrarch.duties.group_crypto import GroupCrypto, PartialClaim
from tetrarch.duties.ports import Compute, DecidedData, GroupKeys
from tetrarch.duties.signer import NotNow
from tetrarch.duties.types import Duty, DutyType, Payload, PubKey, UnsignedProposal
from tetrarch.enclave import approval
from tetrarch.enclave.history import SlashingHistory
from tetrarch.enclave.ports import Approved, Denied, Failed, SignBlock, SignRequest
from tetrarch.errors import InputInvalid, Transient
from tetrarch.ethereum.spec.chain import ChainSpec
from tetrarch.ethereum.spec.proposals import Proposal
from tetrarch.observability.logs import Log
from tetrarch.remote_signer.client import Answer, Refused, Signature, Unfit
from tetrarch.remote_signer.requests import body_of, needs_whole_block

KNOWN_MAX = 4096  # true signatures kept, so that a repeat of many asks for the missing ones only
SIGNERS_TRIED_MAX = 16  # after that many false signatures of one request it ends
_VERIFY_MS, _VERIFY_EACH_MS = 2.0, 0.3


class Asked(Protocol):
    """The several signers: ``signers.Signers``."""

    async def ask(
        self, share: bytes, kind: str, body: bytes, *, avoid: frozenset[str] = ...
    ) -> tuple[Answer, str]:
        """The answer that counts, and who gave it."""
        ...

    def distrust(self, name: str) -> None:
        """It gave a false signature."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteSigningPorts:
    """What remote signing asks of the world."""

    signers: Asked
    history: SlashingHistory
    keys: GroupKeys
    crypto: GroupCrypto
    compute: Compute
    clock: Clock
    log: Log


@dataclass(slots=True, kw_only=True)
class _Wanted:
    """One approved request on its way."""

    place: int
    request: SignRequest
    root: bytes
    share: bytes
    avoid: frozenset[str] = field(default=frozenset())


class RemoteSigning:
    """Satisfies ``duties.signer.SigningService``."""

    def __init__(self, ports: RemoteSigningPorts, chain: ChainSpec, *, at_once: int) -> None:
        """``at_once``: how many requests are on their way at most."""
        self._ports = ports
        self._chain = chain
        self._slots = asyncio.Semaphore(at_once)
        self._decided: DecidedData | None = None
        self._known: dict[tuple[bytes, bytes], Approved] = {}  # by share and signing root

    def use(self, decided: DecidedData) -> None:
        """Where whole blocks are, which signers want before Bellatrix."""
        self._decided = decided

    async def sign(
        self, requests: tuple[tuple[PubKey, Payload], ...]
    ) -> tuple[Approved | str, ...]:
        """Judge and record all, ask for what is approved, verify in one batch."""
        wanted = tuple(request_of(pubkey, payload) for pubkey, payload in requests)
        keys = self._ports.keys
        plans = approval.plan(
            wanted,
            chain=self._chain,
            held=frozenset(keys.pubkeys),
            wall_s=self._ports.clock.wall_s(),
        )
        results: list[Approved | str] = []
        approved: list[_Wanted] = []
        for place, decision in enumerate(await self._judge(plans)):
            if decision is not None:
                results.append(plain(decision))
                continue
            pubkey = requests[place][0]
            share = keys.public_share(pubkey, keys.own_share_index)
            root = plans[place].signing_root
            known = self._known.get((share, root))
            results.append(known or NotNow("not asked"))
            if known is not None:
                continue
            approved.append(_Wanted(place=place, request=wanted[place], root=root, share=share))
        await self._fill(results, approved)
        return tuple(results)

    async def _judge(self, plans: tuple[approval.Plan, ...]) -> Sequence[Denied | Failed | None]:
        wishes = approval.wishes_of(plans)
        try:
            verdicts = await self._ports.history.check_and_record(wishes) if wishes else ()
        except Transient as error:
            return approval.decide(plans, error)
        return approval.decide(plans, verdicts)

    async def _fill(self, results: list[Approved | str], wanted: list[_Wanted]) -> None:
        """Ask until every request has an end; who signs falsely is not asked again for it."""
        for _ in range(SIGNERS_TRIED_MAX):
            if not wanted:
                return
            async with asyncio.TaskGroup() as tasks:
                asked = [tasks.create_task(self._ask(each)) for each in wanted]
            signed: list[tuple[_Wanted, bytes, str]] = []
            for each, task in zip(wanted, asked, strict=True):
                answer, name = task.result()
                match answer:
                    case Signature(signature=signature):
                        signed.append((each, signature, name))
                    case Refused(reason=reason):
                        results[each.place] = f"refused by {name}: {reason}"
                    case Unfit() if each.avoid:
                        pass  # the false signature before is what there is to tell
                    case Unfit(reason=reason, final=True):
                        results[each.place] = f"remote signer {name}: {reason}"
                    case Unfit(reason=reason):
                        results[each.place] = NotNow(f"remote signer {name}: {reason}")
            wanted = await self._verified(signed, results)

    async def _verified(
        self, signed: list[tuple[_Wanted, bytes, str]], results: list[Approved | str]
    ) -> list[_Wanted]:
        """Put true signatures into ``results``; what has a false one, to be asked elsewhere."""
        if not signed:
            return []
        keys = self._ports.keys
        claims = [
            PartialClaim(PubKey(each.request.pubkey), keys.own_share_index, each.root, signature)
            for each, signature, _ in signed
        ]
        cost_ms = _VERIFY_MS + _VERIFY_EACH_MS * len(claims)
        false = await self._ports.compute.run(
            lambda: self._ports.crypto.false_partials(claims), cost_ms=cost_ms
        )
        again: list[_Wanted] = []
        for number, (each, signature, name) in enumerate(signed):
            if number not in false:
                results[each.place] = self._keep(each, Approved(signature))
                continue
            self._ports.log.error(
                "remote_signature_false", signer=name, share="0x" + each.share.hex()
            )
            self._ports.signers.distrust(name)
            results[each.place] = NotNow(f"remote signer {name}: false signature")
            each.avoid |= {name}
            again.append(each)
        return again

    def _keep(self, wanted: _Wanted, approved: Approved) -> Approved:
        """Remember a true signature; the oldest ones go."""
        self._known[wanted.share, wanted.root] = approved
        while len(self._known) > KNOWN_MAX:
            del self._known[next(iter(self._known))]
        return approved

    async def _ask(self, wanted: _Wanted) -> tuple[Answer, str]:
        try:
            block = await self._block(wanted.request)
            body = body_of(wanted.request, self._chain, block=block)
        except InputInvalid as error:
            return Unfit(str(error)), "none"
        encoded = msgspec.json.encode(body.value)
        async with self._slots:
            return await self._ports.signers.ask(
                wanted.share, body.kind.value, encoded, avoid=wanted.avoid
            )

    async def _block(self, request: SignRequest) -> Proposal | None:
        """The decided block of ``request``, durable before we were asked; None if not needed."""
        if not isinstance(request, SignBlock) or not needs_whole_block(request, self._chain):
            return None
        duty = Duty(request.header.slot, DutyType.PROPOSER)
        decided = None if self._decided is None else await self._decided.decided(duty)
        for item in () if decided is None else decided.items:
            if isinstance(item, UnsignedProposal) and item.pubkey == request.pubkey:
                return item.proposal
        return None
