"""A member's vote for other parameters of the chain, all of them, from an epoch on. Pure.

epoch u32 | parameters

So a chain passes from leaders in turn to pools by stake, or has other fees.
"""

from dataclasses import dataclass
from typing import ClassVar, Self

from tetrarch.ledger.elections import has_election
from tetrarch.ledger.fragments.kind import Context, FragmentRefused
from tetrarch.ledger.parameter_votes import COMING_MAX, agree, agreed_of, fixed_that_differ
from tetrarch.ledger.parameters import Mode, Parameters, read_parameters, write_parameters
from tetrarch.ledger.pools import stake_by_pool
from tetrarch.ledger.settings import settings_of
from tetrarch.ledger.tables import Draft
from tetrarch.ledger.tallies import choice_of, vote
from tetrarch.ledger.wire import Reader, Writer


@dataclass(frozen=True, slots=True)
class ParameterVote:
    """See the module."""

    number: ClassVar[int] = 5
    name: ClassVar[str] = "parameter_vote"
    free_for_voters: ClassVar[bool] = True

    epoch: int
    parameters: Parameters

    def write(self, writer: Writer) -> None:
        """See ``Body``."""
        writer.u32(self.epoch)
        write_parameters(writer, self.parameters)

    @classmethod
    def read(cls, reader: Reader) -> Self:
        """See ``Body``."""
        return cls(reader.u32(), read_parameters(reader))

    def apply(self, draft: Draft, context: Context) -> None:
        """See ``Body``."""
        earliest = context.date.epoch + 2
        if self.epoch < earliest:
            raise FragmentRefused("vote for parameters", epoch=self.epoch, earliest=earliest)
        coming = agreed_of(draft)
        if len(coming) >= COMING_MAX or any(epoch == self.epoch for epoch, _ in coming):
            raise FragmentRefused("vote for parameters", epoch=self.epoch, reason="it is decided")
        differ = fixed_that_differ(context.parameters, self.parameters)
        if differ:
            raise FragmentRefused("vote for parameters", fixed=", ".join(differ))
        self._check_leaders(draft)
        about = Writer().u8(self.number).u32(self.epoch).data
        writer = Writer()
        write_parameters(writer, self.parameters)
        if vote(
            draft,
            about=about,
            choice=choice_of(writer.data),
            voter=context.payer,
            height=context.height,
        ):
            agree(draft, self.epoch, self.parameters)

    def _check_leaders(self, draft: Draft) -> None:
        """A chain whose blocks nobody may make has ended."""
        if self.parameters.mode is Mode.BFT:
            somebody = bool(settings_of(draft).leaders)
        elif self.parameters.mode is Mode.ELECTED:
            somebody = has_election(draft)
        else:
            somebody = any(stake_by_pool(draft).values())
        if not somebody:
            mode = self.parameters.mode.value
            raise FragmentRefused("vote for parameters", mode=mode, reason="nobody could lead")
