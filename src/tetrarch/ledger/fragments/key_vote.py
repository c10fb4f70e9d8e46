"""A member saw that a group made a key for an outside network. Pure.

    network u32 | session u32 | attempt u32 | key that signs batches 32 | key that holds coins u32-sized

A quorum's votes make it the session's. Whoever made several attempts votes for the one that came to an end.
"""

from dataclasses import dataclass
from typing import ClassVar, Self

from tetrarch.ledger.custody import (
    EXTERNAL_KEY_SIZE_BYTES_MAX,
    NETWORKS,
    CustodyKey,
    add_key,
    network_key,
)
from tetrarch.ledger.fragments.kind import Context, FragmentRefused
from tetrarch.ledger.headers import KEY_SIZE_BYTES
from tetrarch.ledger.tables import Draft
from tetrarch.ledger.tallies import choice_of, vote
from tetrarch.ledger.wire import Reader, Writer


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyVote:
    """See the module."""

    number: ClassVar[int] = 16
    name: ClassVar[str] = "key_vote"
    free_for_voters: ClassVar[bool] = True

    network: int
    session: int
    attempt: int
    key: CustodyKey

    def write(self, writer: Writer) -> None:
        """See ``Body``."""
        writer.u32(self.network).u32(self.session).u32(self.attempt)
        writer.raw(self.key.batch_key).sized(self.key.external_key)

    @classmethod
    def read(cls, reader: Reader) -> Self:
        """See ``Body``."""
        return cls(
            network=reader.u32(),
            session=reader.u32(),
            attempt=reader.u32(),
            key=CustodyKey(
                reader.raw(KEY_SIZE_BYTES), reader.sized(highest=EXTERNAL_KEY_SIZE_BYTES_MAX)
            ),
        )

    def apply(self, draft: Draft, context: Context) -> None:
        """See ``Body``."""
        network = NETWORKS.get(draft, network_key(self.network))
        expected = 0 if network is None else network.next_session
        if self.session != expected:
            raise FragmentRefused("vote for key", session=self.session, expected=expected)
        about = Writer().u8(self.number).u32(self.network).u32(self.session).data
        writer = Writer()
        self.write(writer)
        choice, voter = choice_of(writer.data), context.payer
        if vote(draft, about=about, choice=choice, voter=voter, height=context.height):
            add_key(draft, self.network, self.session, self.key)
