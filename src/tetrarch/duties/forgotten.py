"""What peers prove that our share has signed, and our own databases do not hold."""

from tetrarch.duties.contradictable import slashable_slot
from tetrarch.duties.group_crypto import GroupCrypto, PartialClaim
from tetrarch.duties.highest_signed import newest_slots
from tetrarch.duties.plausible import signing_root
from tetrarch.duties.ports import Compute, GroupKeys, OwnHistory, Signed, Storage
from tetrarch.duties.types import (
    AttestationPayload,
    DutyType,
    PartialSignature,
    ProposalPayload,
    SyncMessagePayload,
)
from tetrarch.ethereum.spec.chain import ChainSpec
from tetrarch.observability.logs import Log


class Forgotten:
    """Compares a peer's evidence with our histories, and verifies what is new to them."""

    def __init__(
        self,
        *,
        histories: tuple[OwnHistory, ...],
        storage: Storage,
        keys: GroupKeys,
        chain: ChainSpec,
        crypto: GroupCrypto,
        compute: Compute,
        log: Log,
    ) -> None:
        self._histories = histories
        self._storage = storage
        self._keys = keys
        self._chain = chain
        self._crypto = crypto
        self._compute = compute
        self._log = log

    async def among(
        self, partials: tuple[PartialSignature, ...], *, peer: int, messages_from_slot: int
    ) -> tuple[PartialSignature, ...]:
        """Those of ``peer``'s evidence that our share really signed and that we do not know of.

        Of sync messages those from ``messages_from_slot`` on; older ones may be deleted here.
        """
        may_clash = tuple(p for p in partials if slashable_slot(p.payload) is not None)
        signed = slashable(may_clash)
        positions: set[int] = set()
        for history in self._histories:
            positions |= set(await history.forgotten(signed))
        found = (
            *(may_clash[position] for position in sorted(positions)),
            *await self._messages(partials, messages_from_slot),
        )
        return await self._proven(peer, found)

    async def _messages(
        self, partials: tuple[PartialSignature, ...], from_slot: int
    ) -> tuple[PartialSignature, ...]:
        """Sync messages that are newer than our own."""
        own = await self._storage.read(
            lambda c: newest_slots(c, self._keys.own_share_index, DutyType.SYNC_MESSAGE)
        )
        return tuple(
            p
            for p in partials
            if isinstance(p.payload, SyncMessagePayload)
            and p.payload.slot >= from_slot
            and p.payload.slot > own.get(p.pubkey, -1)
        )

    async def _proven(
        self, peer: int, partials: tuple[PartialSignature, ...]
    ) -> tuple[PartialSignature, ...]:
        claims = [
            PartialClaim(p.pubkey, p.share_index, signing_root(p.payload, self._chain), p.signature)
            for p in partials
        ]
        if not claims:
            return ()
        false = set(await self._compute.run(lambda: self._crypto.false_partials(claims)))
        if false:
            self._log.warning("testimony_false", peer=peer, count=len(false))
        return tuple(p for position, p in enumerate(partials) if position not in false)


def slashable(partials: tuple[PartialSignature, ...]) -> tuple[Signed, ...]:
    """The votes and blocks among ``partials``, as a history takes them."""
    return tuple(
        (p.pubkey, p.payload)
        for p in partials
        if isinstance(p.payload, AttestationPayload | ProposalPayload)
    )
