"""Agreement: the workflow's side of consensus. Values are sets here and bytes over there.

It also answers consensus's question before every PREPARE: may this value be voted for? The
rule stands in ``value_check``, what this node knows comes from ``evidence``.
"""

from dataclasses import replace
from typing import NoReturn, Protocol

from tetrarch.consensus.events import Verdict
from tetrarch.consensus.ports import Decided
from tetrarch.duties.codec import ValueInvalid, decode_unsigned, encode_unsigned
from tetrarch.duties.errors import DutyNotFound, DutyUnavailable
from tetrarch.duties.evidence import Evidence, Sources
from tetrarch.duties.group_crypto import GroupCrypto
from tetrarch.duties.info_sync import Ballot
from tetrarch.duties.ports import Compute
from tetrarch.duties.types import (
    DefinitionSet,
    Duty,
    DutyType,
    UnsignedDataSet,
    refuse_deprecated,
)
from tetrarch.duties.value_check import Facts, left_out, misplaced, refusal
from tetrarch.ethereum.spec.chain import ChainSpec
from tetrarch.network.versions import PLURAL_CONTRIBUTIONS
from tetrarch.observability.logs import Log
from tetrarch.output import Output

STARTED_TYPES = frozenset({DutyType.ATTESTER, DutyType.PROPOSER})  # always something to decide
DECIDED_TYPES = STARTED_TYPES | {DutyType.AGGREGATOR, DutyType.SYNC_CONTRIBUTION}  # data to sign
DECODED_MAX = 16


class ConsensusPort(Protocol):
    """What is used of ``consensus.driver.Consensus``."""

    async def propose(self, duty: Duty, value: bytes) -> None:
        """Take part with a value of our own."""
        ...

    async def participate(self, duty: Duty) -> None:
        """Take part without one (yet)."""
        ...


class _Unknown(Exception):
    """What the check needs is not known to this node."""


def _unknown() -> NoReturn:
    raise _Unknown


class BallotChecker(Protocol):
    """``info_sync``: judges what is proposed for the cluster's own agreement."""

    async def check(self, duty: Duty, value: bytes, round_: int) -> Verdict:
        """Whether this node may vote PREPARE for ``value``."""
        ...


class Agreement:
    """Inputs: ``participate``, ``propose``, ``propose_ballot``, ``on_decided``.

    Outputs: ``decided`` (data to sign), ``agreed`` (an INFO_SYNC ballot), ``decision`` (any).
    """

    def __init__(
        self,
        *,
        sources: Sources,
        chain: ChainSpec,
        compute: Compute,
        crypto: GroupCrypto,
        complete_rounds: int,
        ballots: BallotChecker,
        log: Log,
    ) -> None:
        """``complete_rounds``: rounds from the first in which a set must be complete; f of them."""
        self.decided = Output[UnsignedDataSet]("decided")
        self.agreed = Output[Decided]("agreed")
        self.decision = Output[Decided]("decision")
        self._sources = sources
        self._evidence = Evidence(
            sources=sources, chain=chain, compute=compute, crypto=crypto, log=log
        )
        self._chain = chain
        self._compute = compute
        self._complete_rounds = complete_rounds
        self._ballots = ballots
        self._log = log
        self._consensus: ConsensusPort | None = None
        self._decoded: dict[bytes, UnsignedDataSet] = {}  # own and checked values, to decode once

    def use(self, consensus: ConsensusPort) -> None:
        """Set the consensus driver, which itself needs our ``check``; once, before the start."""
        self._consensus = consensus

    async def participate(self, definition_set: DefinitionSet) -> None:
        """A duty starts: join its instance, whoever proposes."""
        refuse_deprecated(definition_set.duty)
        if definition_set.duty.type in STARTED_TYPES and self._consensus is not None:
            await self._consensus.participate(definition_set.duty)

    async def join(self, definition_set: DefinitionSet) -> None:
        """Somebody is drawn to aggregate: join the instance, whoever proposes."""
        if self._consensus is not None:
            await self._consensus.participate(definition_set.duty)

    async def propose(self, data_set: UnsignedDataSet) -> None:
        """Propose what we fetched, as far as our slashing history permits it."""
        refuse_deprecated(data_set.duty)
        permitted = await self._sources.history.permitted(data_set)
        left_out = len(data_set.items) - (0 if permitted is None else len(permitted.items))
        if left_out:
            self._log.warning("not_proposed", duty=str(data_set.duty), validators=left_out)
        if self._consensus is not None and permitted is not None:
            value = encode_unsigned(permitted)
            self._remember(value, permitted)
            await self._consensus.propose(permitted.duty, value)

    async def propose_ballot(self, ballot: Ballot) -> None:
        """Propose what the nodes have said of themselves."""
        if self._consensus is not None:
            await self._consensus.propose(ballot.duty, ballot.value)

    async def on_decided(self, decided: Decided) -> None:
        """Consensus has decided: hand the set on. Nothing is signed before DutyDB has it."""
        if decided.duty.type is DutyType.INFO_SYNC:
            await self.decision.emit(decided)
            await self.agreed.emit(decided)
            return
        data_set = await self._decode(decided.value)
        await self.decision.emit(decided)
        await self.decided.emit(data_set)

    async def check(self, duty: Duty, value: bytes, round_: int) -> Verdict:
        """Whether this node may vote PREPARE for ``value`` in ``round_``."""
        if duty.type is DutyType.INFO_SYNC:
            return await self._ballots.check(duty, value, round_)
        return await self._check_data(duty, value, round_)

    async def _check_data(self, duty: Duty, value: bytes, round_: int) -> Verdict:
        """Judge what is to be signed; see ``value_check``.

        A set that leaves validators out gets no vote in the first f rounds. Of the leaders of
        f + 1 rounds one is honest and proposes all whose history permits it, so that while
        messages arrive in time f liars cannot make a validator miss its duty; and an honest
        leader that must leave one out obtains its votes f rounds later.
        """
        try:
            data_set = await self._decode(value)
            definitions = await self._sources.definitions.get_duty_definition(duty)
        except (ValueInvalid, DutyNotFound) as error:
            return self._refused(duty, str(error))
        except DutyUnavailable:  # not known yet, or no longer
            return Verdict.UNKNOWN
        facts = Facts(definitions=definitions)
        try:
            reason = misplaced(data_set, duty, facts) or await self._reason(data_set, facts)
        except _Unknown:
            self._log.warning("value_not_checked", duty=str(duty), round=round_)
            return Verdict.UNKNOWN
        reason = reason or await self._sources.history.refusal(data_set)
        if reason is not None:
            return self._refused(duty, reason)
        omitted = await self._left_out(data_set, definitions)
        if omitted and round_ <= self._complete_rounds:
            self._log.warning("value_incomplete", duty=str(duty), validators=omitted, round=round_)
            return Verdict.UNKNOWN
        return Verdict.OK

    async def _reason(self, data_set: UnsignedDataSet, facts: Facts) -> str | None:
        """Why the set must not be voted for; raises _Unknown where we know too little."""
        duty, known = data_set.duty, facts
        match duty.type:
            case DutyType.ATTESTER:
                return await self._check_attestations(data_set, duty, facts)
            case DutyType.PROPOSER:
                known = await self._evidence.of_block(data_set, facts)
            case DutyType.AGGREGATOR:
                known = await self._evidence.of_aggregates(data_set, facts) or _unknown()
            case _:
                known = await self._evidence.of_contributions(data_set, facts) or _unknown()
        return refusal(data_set, duty, known, self._chain)

    async def _left_out(self, data_set: UnsignedDataSet, definitions: DefinitionSet) -> int:
        if data_set.duty.type in (DutyType.ATTESTER, DutyType.PROPOSER):
            return left_out(data_set, definitions)
        return await self._evidence.left_out(data_set, definitions)

    def _refused(self, duty: Duty, reason: str) -> Verdict:
        self._log.warning("value_refused", duty=str(duty), reason=reason)
        return Verdict.REFUSED

    async def _check_attestations(
        self, data_set: UnsignedDataSet, duty: Duty, facts: Facts
    ) -> str | None:
        # Cheap first: without a view all other rules apply. Then our view, and if it differs
        # a fresh one, for the leader may only have seen a block a moment earlier.
        reason = refusal(data_set, duty, facts, self._chain)
        if reason is not None:
            return reason
        view = await self._evidence.own_view(duty, fresh=False)
        reason = refusal(data_set, duty, replace(facts, view=view), self._chain)
        if reason is None:
            return None
        view = await self._evidence.own_view(duty, fresh=True)
        if view is None:  # what we know speaks against it, and nothing newer is to be had
            return reason
        return refusal(data_set, duty, replace(facts, view=view), self._chain)

    async def _decode(self, value: bytes) -> UnsignedDataSet:
        known = self._decoded.get(value)
        if known is None:
            preset = self._chain.preset
            # A block is hashed while it is decoded: some 0.1 ms for each kB of small items.
            known = await self._compute.run(
                lambda: decode_unsigned(value, preset=preset), cost_ms=len(value) / 10_000
            )
            self._require_known_form(known)
            self._remember(value, known)
        return known

    def _require_known_form(self, data_set: UnsignedDataSet) -> None:
        """A node that does not take a feature knows no set that has it, like the older program."""
        pubkeys = [item.pubkey for item in data_set.items]
        plural = len(set(pubkeys)) < len(pubkeys)
        if plural and not self._sources.features.takes(PLURAL_CONTRIBUTIONS):
            raise ValueInvalid("decode value", reason="several contributions of one validator")

    def _remember(self, value: bytes, data_set: UnsignedDataSet) -> None:
        self._decoded[value] = data_set
        while len(self._decoded) > DECODED_MAX:
            del self._decoded[next(iter(self._decoded))]
