"""PREPAREs and COMMITs that one QBFT instance has heard. Pure, bounded per source."""

from collections import Counter

from tetrarch.consensus.messages import (
    Justification,
    Message,
    MessageType,
    SignedMessage,
    ValueHash,
    quorum,
)

PENDING_MAX = 32  # votes kept per source; an honest one sends two a round


class Tally:
    """The first vote per type and round of each source; of each source only the newest votes.

    Who floods pushes out its own votes and nobody else's, so memory is bounded by
    ``PENDING_MAX`` times the number of nodes and an honest node loses nothing.
    """

    def __init__(self, node_count: int) -> None:
        self._quorum = quorum(node_count)
        # By source; within a source, insertion order is age.
        self._votes: list[dict[tuple[MessageType, int], SignedMessage]] = [
            {} for _ in range(node_count)
        ]

    def __len__(self) -> int:
        return sum(len(votes) for votes in self._votes)

    def keep(self, signed: SignedMessage) -> bool:
        """Store ``signed``; False when its source has voted in that type and round before."""
        if self.has(signed.message):
            return False
        votes = self._votes[signed.message.source]
        if len(votes) >= PENDING_MAX:
            del votes[next(iter(votes))]
        votes[signed.message.type, signed.message.round] = signed
        return True

    def has(self, message: Message) -> bool:
        """Whether its source has voted in that type and round."""
        return (message.type, message.round) in self._votes[message.source]

    def contradicts(self, message: Message) -> bool:
        """Whether its source has voted for another value in that type and round."""
        known = self._votes[message.source].get((message.type, message.round))
        return known is not None and known.message.value_hash != message.value_hash

    def learns(self, message: Message) -> bool:
        """Whether ``message`` is news: a first vote, or evidence against its source."""
        return not self.has(message) or self.contradicts(message)

    def quorum(
        self, kind: MessageType, round_: int | None = None
    ) -> tuple[int, ValueHash, Justification] | None:
        """Round, value and votes of a quorum of ``kind``, in ``round_`` or in any round."""
        count: Counter[tuple[int, ValueHash]] = Counter()
        for votes in self._votes:
            for (vote_kind, vote_round), vote in votes.items():
                if vote_kind is kind and round_ in {None, vote_round}:
                    count[vote_round, vote.message.value_hash] += 1
        for (vote_round, value_hash), votes_count in count.items():
            if votes_count >= self._quorum:
                return vote_round, value_hash, self._proof(kind, vote_round, value_hash)
        return None

    def dissenters(self, kind: MessageType, round_: int, value_hash: ValueHash) -> tuple[int, ...]:
        """Who has voted in that type and round for another value than this."""
        return tuple(
            source
            for source, votes in enumerate(self._votes)
            if (vote := votes.get((kind, round_))) is not None
            and vote.message.value_hash != value_hash
        )

    def forget_prepares(self, *, before: int) -> None:
        """Drop PREPAREs of rounds below ``before``: they can prove nothing new."""
        for votes in self._votes:
            old = [key for key in votes if key[0] is MessageType.PREPARE and key[1] < before]
            for key in old:
                del votes[key]

    def clear(self) -> None:
        """Drop everything: the instance has decided."""
        for votes in self._votes:
            votes.clear()

    def _proof(self, kind: MessageType, round_: int, value_hash: ValueHash) -> Justification:
        found: list[SignedMessage] = []
        for votes in self._votes:
            vote = votes.get((kind, round_))
            if vote is not None and vote.message.value_hash == value_hash:
                found.append(vote)
        return tuple(found[: self._quorum])
