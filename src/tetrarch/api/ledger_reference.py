"""A node of a ledger in the reference's paths and shapes (``api/v0``, ``api/v1``), so that what reads them goes on.

What differs: whoever changes something needs the folder's token; a leader's keys are made in the enclave, so that no
secret is given to this interface, and none of another's can be: keys of the reference's kind are registered anew.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final

import msgspec

from tetrarch import __version__
from tetrarch.api.conduct_views import unix_rfc3339
from tetrarch.api.ledger_controls import AddLeader, Hex, RemoveLeader, add_leader, give
from tetrarch.api.ledger_views import LedgerView, bytes_of, entry_view, number_of
from tetrarch.errors import InputInvalid, PeerFault
from tetrarch.leadership.ports import Network
from tetrarch.ledger.accounts import AccountId, account_of
from tetrarch.ledger.applying import Place, split_content
from tetrarch.ledger.blocks import Fragment, FragmentId, decode_block, fragment_id
from tetrarch.ledger.epochs import snapshot_for
from tetrarch.ledger.fragment_log import FragmentEntry, FragmentStatus
from tetrarch.ledger.fragments.signed import decode_fragment
from tetrarch.ledger.fragments.transfer import Transfer
from tetrarch.ledger.headers import BlockId, PoolId
from tetrarch.ledger.pools import POOLS
from tetrarch.network.overlay.chain import Verdict
from tetrarch.network.overlay.profile import BLOCKS
from tetrarch.network.overlay.spreading import ItemId
from tetrarch.observability.controls import Control
from tetrarch.observability.monitoring import NotHere, View

NEXT_MAX: Final = 1024
STATUSES_MAX: Final = 64
FRAGMENTS_MAX: Final = 16
EPOCH_MAX: Final = 9_999_999


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerCounts:
    """Of the overlay, now."""

    available: int
    connected: int
    quarantined: int


class GiveFragments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``fail_fast``: none after the first that is refused."""

    fragments: Annotated[tuple[Hex, ...], msgspec.Meta(max_length=FRAGMENTS_MAX)]
    fail_fast: bool = False


class Nothing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An empty object."""


class ReferenceApi:
    """Of one running node. ``stop`` ends it, once what asked for it is answered."""

    def __init__(
        self,
        view: LedgerView,
        network: Network,
        *,
        peers: Callable[[], PeerCounts],
        stop: Callable[[], None],
    ) -> None:
        self._view = view
        self._chain = view.chain
        self._network = network
        self._peers = peers
        self._stop = stop
        self._started_s = view.clock.wall_s()

    def views(self) -> dict[str, View]:
        """By the paths at which the monitoring listener serves them."""
        leadership = self._view.leadership
        return {
            "api/v0/node/stats": lambda _: self._stats(),
            "api/v0/leaders": lambda _: [each.number for each in leadership.leaders],
            "api/v0/leaders/logs": lambda _: [entry_view(each) for each in leadership.logs],
            "api/v0/tip": lambda _: self._tip.id.hex(),
            "api/v0/block/{id}": self._block,
            "api/v0/block/{id}/next_id": self._next,
            "api/v0/fragment/logs": lambda _: self._fragments(),
            "api/v1/fragments/logs": lambda _: self._fragments(),
            "api/v1/fragments/statuses": self._statuses,
            "api/v0/settings": lambda _: self._settings(),
            "api/v0/stake": lambda _: self._stake(self._tip.header.date.epoch),
            "api/v0/stake/{epoch}": self._stake_in,
            "api/v0/stake_pools": lambda _: [
                pool.hex() for pool, _ in POOLS.items(self._tip.layer)
            ],
            "api/v0/stake_pool/{id}": self._pool,
            "api/v0/account/{id}": self._account,
        }

    def controls(self) -> dict[str, Control[Any]]:
        """By the paths at which the monitoring listener serves them."""

        async def message(data: bytes) -> object:
            return await self._give([Fragment(data)], fail_fast=True)

        async def fragments(asked: GiveFragments) -> object:
            given = [Fragment(bytes.fromhex(each)) for each in asked.fragments]
            return await self._give(given, fail_fast=asked.fail_fast)

        async def add(asked: AddLeader) -> object:
            return (await add_leader(self._view, asked)).number

        async def remove(asked: RemoveLeader) -> object:
            await self._view.leadership.drop_leader(asked.number)
            return None

        async def shutdown(_asked: Nothing) -> object:
            self._stop()
            return None

        return {
            "api/v0/message": Control(bytes, message),
            "api/v1/fragments": Control(GiveFragments, fragments),
            "api/v0/leaders": Control(AddLeader, add),
            "api/v0/leaders/{number}": Control(RemoveLeader, remove, method="DELETE"),
            "api/v0/shutdown": Control(Nothing, shutdown),
        }

    @property
    def _tip(self) -> Place:
        return self._chain.tree.tip

    # -- the node ---------------------------------------------------------------------------------

    async def _stats(self) -> dict[str, Any]:
        tip, taken, peers = self._tip, self._chain.taken, self._peers()
        data = await self._chain.content(BLOCKS, ItemId(tip.id))
        paid = () if data is None or not tip.header.content_size_bytes else self._paid(data)
        sums = [
            sum(output.value for output in each.body.outputs)
            for each in paid
            if isinstance(each.body, Transfer)
        ]
        mempool = self._chain.mempool
        came = {kind: sum(taken[kind, each] for each in Verdict) for kind in ("block", "fragment")}
        return {
            "version": f"tetrarch {__version__}",
            "state": "Running",
            "uptime": int(self._view.clock.wall_s() - self._started_s),
            "blockRecvCnt": came["block"],
            "lastBlockContentSize": tip.header.content_size_bytes,
            "lastBlockDate": str(tip.header.date),
            "lastBlockFees": sum(each.fee for each in paid),
            "lastBlockHash": tip.id.hex(),
            "lastBlockHeight": str(tip.header.chain_length),
            "lastBlockSum": sum(sums),
            "lastBlockTime": unix_rfc3339(tip.settings.frame.starts_s(tip.slot)),
            "lastBlockTx": len(paid),
            "mempoolTotalSize": mempool.size_bytes,
            "mempoolUsageRatio": round(mempool.usage, 6),
            "peerAvailableCnt": peers.available,
            "peerConnectedCnt": peers.connected,
            "peerQuarantinedCnt": peers.quarantined,
            "peerTotalCnt": peers.available + peers.quarantined,
            "txRecvCnt": came["fragment"],
            "txRejectedCnt": taken["fragment", Verdict.INVALID] + taken["fragment", Verdict.STALE],
        }

    def _paid(self, data: bytes) -> list[Any]:
        block = decode_block(data)
        if block.header.id == self._tip.block0:
            return []  # its content is the chain's beginning
        return [decode_fragment(each) for each in split_content(block).paid]

    def _settings(self) -> dict[str, Any]:
        tip = self._tip
        settings, parameters = tip.settings, tip.settings.parameters
        slot = self._view.slot_now
        begins_s = None if slot is None else settings.frame.starts_s(slot)
        return {
            "block0Hash": tip.block0.hex(),
            "block0Time": unix_rfc3339(settings.frame.start_s),
            "currSlotStartTime": None if begins_s is None else unix_rfc3339(begins_s),
            "consensusVersion": parameters.mode.value,
            "fees": {"constant": parameters.fees.constant, "per_byte": parameters.fees.per_byte},
            "blockContentMaxSize": parameters.content_size_bytes_max,
            "slotDuration": parameters.slot_duration_ms / 1000,
            "slotsPerEpoch": parameters.slots_per_epoch,
            "txMaxExpiryEpochs": parameters.expiry_epochs_max,
            "epoch": tip.header.date.epoch,
        }

    # -- blocks -----------------------------------------------------------------------------------

    async def _block(self, query: Mapping[str, str]) -> bytes:
        block = BlockId(bytes_of(query, "id"))
        data = await self._chain.content(BLOCKS, ItemId(block))
        if data is None:
            raise NotHere("find block", id=block.hex())
        return data

    def _next(self, query: Mapping[str, str]) -> bytes:
        """The identities of blocks that come after one on the branch that counts."""
        block = ItemId(bytes_of(query, "id"))
        count = number_of(query, "count", default=1, highest=NEXT_MAX)
        if self._chain.main.place_of(BlockId(block)) is None:
            raise NotHere(
                "find block", id=block.hex(), reason="it is not on the branch that counts"
            )
        return b"".join(self._chain.path([block], None, count_max=count))

    # -- fragments --------------------------------------------------------------------------------

    def _fragments(self) -> list[dict[str, Any]]:
        return [_fragment(each) for each in self._chain.fragment_log]

    def _statuses(self, query: Mapping[str, str]) -> dict[str, Any]:
        """Of those that are named: ``fragment_ids=ID,ID``; who is not known of is left out."""
        names = [each for each in query.get("fragment_ids", "").split(",") if each]
        if len(names) > STATUSES_MAX:
            raise InputInvalid("read query", fragment_ids=len(names), highest=STATUSES_MAX)
        ids = [FragmentId(bytes_of({"fragment_ids": each}, "fragment_ids")) for each in names]
        found = (self._chain.fragment_log.get(each) for each in ids)
        return {each.fragment.hex(): _fragment(each)["status"] for each in found if each}

    async def _give(self, fragments: list[Fragment], *, fail_fast: bool) -> dict[str, Any]:
        accepted: list[str] = []
        rejected: list[dict[str, str]] = []
        for data in fragments:
            try:
                await give(self._view, self._network, data)
            except (InputInvalid, PeerFault) as error:
                rejected.append({"id": fragment_id(data).hex(), "reason": str(error)})
                if fail_fast:
                    break
            else:
                accepted.append(fragment_id(data).hex())
        return {"accepted": accepted, "rejected": rejected}

    # -- stake ------------------------------------------------------------------------------------

    def _stake_in(self, query: Mapping[str, str]) -> dict[str, Any]:
        epoch = number_of(query, "epoch", default=0, highest=EPOCH_MAX)
        if snapshot_for(self._tip.layer, epoch) is None:
            raise NotHere("find stake", epoch=epoch, reason="it is kept for the latest epochs only")
        return self._stake(epoch)

    def _stake(self, epoch: int) -> dict[str, Any]:
        snapshot = snapshot_for(self._tip.layer, epoch)
        pools = {} if snapshot is None else snapshot.pools
        listed = [[pool.hex(), each.stake] for pool, each in pools.items()]
        return {"epoch": epoch, "stake": {"pools": listed}}

    def _pool(self, query: Mapping[str, str]) -> dict[str, Any]:
        identity = PoolId(bytes_of(query, "id"))
        pool = POOLS.get(self._tip.layer, identity)
        if pool is None:
            raise NotHere("find pool", id=identity.hex())
        snapshot = snapshot_for(self._tip.layer, self._tip.header.date.epoch)
        in_lottery = None if snapshot is None else snapshot.pools.get(identity)
        return {
            "kes_public_key": pool.kes_key.hex(),
            "vrf_public_key": pool.vrf_key.hex(),
            "total_stake": 0 if in_lottery is None else in_lottery.stake,
            "tax": msgspec.to_builtins(pool.tax),
        }

    def _account(self, query: Mapping[str, str]) -> dict[str, Any]:
        identity = AccountId(bytes_of(query, "id"))
        account = account_of(self._tip.layer, identity)
        pools = [] if account.pool is None else [[account.pool.hex(), 1]]
        return {
            "value": account.value,
            "counter": account.counter,
            "delegation": {"pools": pools},
        }


def _fragment(entry: FragmentEntry) -> dict[str, Any]:
    status: Any = "Pending"
    if entry.status is FragmentStatus.REJECTED:
        status = {"Rejected": {"reason": entry.reason}}
    elif entry.date is not None and entry.block is not None:
        status = {"InABlock": {"date": str(entry.date), "block": entry.block.hex()}}
    return {
        "fragment_id": entry.fragment.hex(),
        "received_from": "Rest" if entry.is_own else "Network",
        "received_at": unix_rfc3339(entry.received_s),
        "last_updated_at": unix_rfc3339(entry.updated_s),
        "status": status,
    }
