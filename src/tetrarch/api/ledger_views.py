"""What a node of a ledger tells: where its chain ends, what is final, blocks, accounts, pools, and its own leaders.

Asking changes nothing. The same in the reference's shapes: ``ledger_reference``.
"""

from collections.abc import Mapping
from typing import Any, Final

from tetrarch.api.conduct_views import unix_rfc3339
from tetrarch.api.ledger_agreements import networks_view, parameters_view
from tetrarch.clock import Clock
from tetrarch.errors import InputInvalid
from tetrarch.leadership.leading import Leadership
from tetrarch.leadership.logs import Entry, Status
from tetrarch.ledger.accounts import AccountId, account_of
from tetrarch.ledger.applying import Place, split_content
from tetrarch.ledger.blocks import Block, Fragment, decode_block, fragment_id
from tetrarch.ledger.chain import LedgerChain
from tetrarch.ledger.checkpoints import decode_certificate
from tetrarch.ledger.elections import decode_election
from tetrarch.ledger.fragments.signed import decode_fragment
from tetrarch.ledger.headers import ID_SIZE_BYTES, BlockId, Header
from tetrarch.ledger.keyring import LeaderIs, TurnKeys
from tetrarch.ledger.membership import decode_change, membership_of
from tetrarch.ledger.pools import POOLS
from tetrarch.ledger.treasury import pots_of
from tetrarch.network.overlay.profile import BLOCKS
from tetrarch.network.overlay.spreading import ItemId
from tetrarch.observability.monitoring import NotHere, View

BEHIND_SLOTS_MAX: Final = 60  # without a block, before the node says that it is not ready
RECENT_MAX: Final = 200


class LedgerView:
    """Of one running node."""

    def __init__(
        self, chain: LedgerChain, leadership: Leadership, clock: Clock, *, voter: bytes
    ) -> None:
        self.chain = chain
        self.leadership = leadership
        self.clock = clock
        self.voter = voter

    def views(self) -> dict[str, View]:
        """By the paths at which the monitoring listener serves them."""
        return {
            "ledger/status": lambda _: self._status(),
            "ledger/block": self._block,
            "ledger/blocks": self._blocks,
            "ledger/account": self._account,
            "ledger/pools": lambda _: self._pools(),
            "ledger/parameters": lambda _: parameters_view(self.chain.tree.tip),
            "ledger/networks": lambda _: networks_view(self.chain.tree.tip),
            "leadership/leaders": lambda _: self._leaders(),
            "leadership/schedule": lambda _: [
                _schedule(each) for each in self.leadership.logs.to_come()
            ],
            "leadership/logs": lambda _: [entry_view(each) for each in self.leadership.logs],
        }

    @property
    def slot_now(self) -> int | None:
        """By the clock; None: the chain has not begun."""
        return self.chain.tree.tip.settings.frame.slot_at(self.clock.wall_s())

    def _status(self) -> dict[str, Any]:
        tree = self.chain.tree
        justified, slot = self.chain.opinion.justified, self.slot_now
        settings = tree.tip.settings
        pots = pots_of(tree.tip.layer)
        return {
            "chain": tree.tip.block0.hex(),
            "mode": settings.parameters.mode.value,
            "slot_now": slot,
            "date_now": None if slot is None else str(settings.era.date(slot)),
            "tip": _place(tree.tip),
            "justified": {"height": justified.height, "block": justified.block.hex()},
            "final": _place(tree.final),
            "blocks_not_final": len(tree),
            "lowest_height": self.chain.main.lowest,
            "mempool": {
                "fragments": len(self.chain.mempool),
                "size_bytes": self.chain.mempool.size_bytes,
            },
            "pots": {"fees": pots.fees, "rewards": pots.rewards, "treasury": pots.treasury},
            "members": [each.hex() for each in membership_of(tree.tip.layer).members.weights],
            "voter": self.voter.hex(),
            "votes": any(self.voter in each.weights for each in self.chain.opinion.voters),
        }

    async def _block(self, query: Mapping[str, str]) -> dict[str, Any]:
        block = BlockId(bytes_of(query, "id"))
        data = await self.chain.content(BLOCKS, ItemId(block))
        if data is None:
            raise NotHere("find block", id=block.hex())
        return {
            **header_view(block, decode_block(data).header),
            **self._content(decode_block(data)),
        }

    def _blocks(self, query: Mapping[str, str]) -> list[dict[str, Any]]:
        """The newest of all branches, the newest first."""
        count = number_of(query, "count", default=50, highest=RECENT_MAX)
        tree = self.chain.tree
        on_main = {place.id for place in tree.line()}
        return [
            {
                **_place(place),
                "final": place.id == tree.final.id,
                "counts": place.id in on_main or place.id == tree.final.id,
            }
            for place in sorted(tree.places(), key=lambda each: each.slot, reverse=True)[:count]
        ]

    def _account(self, query: Mapping[str, str]) -> dict[str, Any]:
        identity = AccountId(bytes_of(query, "id"))
        account = account_of(self.chain.tree.tip.layer, identity)
        return {
            "value": account.value,
            "counter": account.counter,
            "waiting": len(self.chain.mempool.waiting_of(identity)),
            "pool": None if account.pool is None else account.pool.hex(),
        }

    def _content(self, block: Block) -> dict[str, Any]:
        content = split_content(block)
        decoded = [decode_fragment(each) for each in content.paid if block.header.proof is not None]
        return {
            "election": self._election(content.elections),
            "certificates": [
                {
                    "source": decode_certificate(each).link.source.height,
                    "target": decode_certificate(each).link.target.height,
                    "votes": len(decode_certificate(each).signatures),
                }
                for each in content.certificates
            ],
            "changes_of_members": [
                [member.hex() for member in decode_change(each).members] for each in content.changes
            ],
            "fragments": [
                {
                    "id": fragment_id(data).hex(),
                    "kind": fragment.body.name,
                    "payer": fragment.payer.hex(),
                    "counter": fragment.counter,
                    "fee": fragment.fee,
                }
                for data, fragment in zip(content.paid, decoded, strict=False)
            ],
        }

    def _election(self, elections: tuple[Fragment, ...]) -> dict[str, Any] | None:
        """That the block is the first to carry; where members share a key, nobody signs by name."""
        if not elections:
            return None
        read = decode_election(elections[0], self.chain.tree.final.layer)
        leader = read.certificate.leader.leader
        return {
            "term": read.term,
            "leader": leader,
            "name": read.rules.configuration.members[leader],
            "signers": len(read.certificate.signatures),
        }

    def _pools(self) -> list[dict[str, Any]]:
        return [
            {
                "pool": pool.hex(),
                "operator": each.operator.hex(),
                "vrf_key": each.vrf_key.hex(),
                "kes_key": each.kes_key.hex(),
                "kes_start_slot": each.kes_start_slot,
                "retires": each.retires,
            }
            for pool, each in POOLS.items(self.chain.tree.tip.layer)
        ]

    def _leaders(self) -> dict[str, Any]:
        return {
            "leaders": [leader_view(each) for each in self.leadership.leaders],
            "schedules": [
                {
                    "epoch": each.epoch,
                    "leader": each.leader,
                    "slots_known": each.slots_known,
                    "slots": each.slots,
                }
                for each in self.leadership.progress()
            ],
        }


def ledger_reasons(view: LedgerView) -> tuple[str, ...]:
    """Why the node's chain is not as it should be."""
    slot = view.slot_now
    tip = view.chain.tree.tip
    reasons = []
    if slot is not None and slot - tip.slot > BEHIND_SLOTS_MAX:
        reasons.append(f"chain_behind: no block for {slot - tip.slot} slots")
    if view.chain.tree.is_full:
        reasons.append("not_final: too many blocks are not final")
    return tuple(reasons)


def _place(place: Place) -> dict[str, Any]:
    return {**header_view(place.id, place.header), "slot": place.slot}


def header_view(block: BlockId, header: Header) -> dict[str, Any]:
    """A header, of the block with that identity."""
    maker = header.maker
    return {
        "block": block.hex(),
        "height": header.chain_length,
        "date": str(header.date),
        "parent": header.parent.hex(),
        "maker": None if maker is None else maker.hex(),
        "content_size_bytes": header.content_size_bytes,
    }


def leader_view(leader: LeaderIs) -> dict[str, Any]:
    """One leader's public keys, and the latest date that it signed for."""
    latest = None if leader.mark is None else f"{leader.mark[0]}.{leader.mark[1]}"
    told: dict[str, Any] = {"number": leader.number, "latest_date": latest}
    if isinstance(leader.keys, TurnKeys):
        return {**told, "kind": "turn", "key": leader.keys.leader.hex()}
    return {
        **told,
        "kind": "pool",
        "pool": leader.keys.pool.hex(),
        "vrf_key": leader.keys.vrf_key.hex(),
        "kes_key": leader.keys.kes_key.hex(),
        "kes_period": leader.keys.kes_period,
    }


def _schedule(entry: Entry) -> dict[str, Any]:
    return {
        "leader": entry.leader,
        "date": str(entry.date),
        "at": unix_rfc3339(entry.scheduled_s),
        "status": entry.status.value,
    }


def entry_view(entry: Entry) -> dict[str, Any]:
    """As the reference has it, and what became of the block beside it."""
    status: Any = "Pending"
    if entry.made is not None:
        status = {
            "Block": {
                "block": entry.made.block.hex(),
                "parent": entry.made.parent.hex(),
                "chain_length": entry.made.chain_length,
            }
        }
    elif entry.status is Status.REJECTED:
        status = {"Rejected": {"reason": entry.reason}}
    return {
        "enclave_leader_id": entry.leader,
        "created_at_time": unix_rfc3339(entry.created_s),
        "scheduled_at_time": unix_rfc3339(entry.scheduled_s),
        "scheduled_at_date": str(entry.date),
        "wake_at_time": None if entry.woken_s is None else unix_rfc3339(entry.woken_s),
        "finished_at_time": None if entry.finished_s is None else unix_rfc3339(entry.finished_s),
        "status": status,
        "outcome": entry.status.value,
    }


def bytes_of(query: Mapping[str, str], name: str) -> bytes:
    """32 bytes, in hexadecimal digits.

    Raises:
        InputInvalid: it is none.
    """
    text = query.get(name, "")
    try:
        value = bytes.fromhex(text)
    except ValueError:
        value = b""
    if len(value) != ID_SIZE_BYTES:
        digits = 2 * ID_SIZE_BYTES
        raise InputInvalid("read query", name=name, expected=f"{digits} hexadecimal digits")
    return value


def number_of(query: Mapping[str, str], name: str, *, default: int, highest: int) -> int:
    """A number, from 0 to ``highest``.

    Raises:
        InputInvalid: it is none.
    """
    text = query.get(name, str(default))
    if not (text.isascii() and text.isdecimal() and len(text) < 8 and int(text) <= highest):
        raise InputInvalid("read query", name=name, highest=highest)
    return int(text)
