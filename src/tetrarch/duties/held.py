"""What is held back with a held or old node: its signatures, and its words in consensus."""

from collections.abc import Sequence

from tetrarch.consensus.votes import SilenceKept, Vote, VoteLog
from tetrarch.duties.safe_start import SafeStart
from tetrarch.duties.signer import SigningService
from tetrarch.duties.types import Duty, Payload, PubKey
from tetrarch.enclave.ports import Approved


class HeldSigning:
    """A ``SigningService`` that signs nothing contradictable before the node is released."""

    def __init__(self, service: SigningService, safe_start: SafeStart) -> None:
        self._service = service
        self._safe_start = safe_start

    async def sign(
        self, requests: tuple[tuple[PubKey, Payload], ...]
    ) -> tuple[Approved | str, ...]:
        """As ``SigningService``; waits for the release where something could differ."""
        if any(self._safe_start.must_wait(payload) for _, payload in requests):
            await self._safe_start.released()
        refusals = [self._safe_start.refusal(payload) for _, payload in requests]
        asked = tuple(r for r, no in zip(requests, refusals, strict=True) if no is None)
        answers = iter(await self._service.sign(asked) if asked else ())
        return tuple(next(answers) if no is None else no for no in refusals)


class SilentVotes:
    """A ``VoteLog`` that lets nothing out where an old folder may have spoken before."""

    def __init__(self, votes: VoteLog, safe_start: SafeStart) -> None:
        self._votes = votes
        self._safe_start = safe_start

    async def record(self, votes: Sequence[Vote]) -> tuple[Vote, ...]:
        """As ``VoteLog``; waits for the release where it depends on that."""
        if any(self._safe_start.may_have_forgotten(vote.duty) for vote in votes):
            await self._safe_start.released()
        if any(self._safe_start.is_silent_in(vote.duty) for vote in votes):
            raise SilenceKept("record vote", kind="restored_folder")
        return await self._votes.record(votes)

    async def votes(self, duty: Duty) -> tuple[Vote, ...]:
        """As ``VoteLog``."""
        return await self._votes.votes(duty)

    async def forget(self, duty: Duty) -> None:
        """As ``VoteLog``."""
        await self._votes.forget(duty)
