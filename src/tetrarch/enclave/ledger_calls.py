"""Answers a node's calls about its ledger's keys; holds the one keyring of this enclave."""

from collections.abc import Callable
from pathlib import Path

from tetrarch.enclave.errors import FrameInvalid, SealInvalid
from tetrarch.enclave.host import Host
from tetrarch.enclave.ledger_messages import (
    AddLeader,
    AskLeaders,
    AskSlots,
    AskSpan,
    DropLeader,
    EvolveKey,
    GrantSpan,
    HeaderSigned,
    HoldSpan,
    LedgerAnswer,
    LedgerCall,
    LedgerOpened,
    LinkSigned,
    OpenLedger,
    SignChange,
    SignFragment,
    SignHeader,
    SignLink,
    SlotsDrawn,
    SpanAnswered,
)
from tetrarch.enclave.seal_secret import SealSecret
from tetrarch.enclave.sealed_state import SealedState
from tetrarch.errors import InputInvalid
from tetrarch.ledger.finality import Checkpoint, Link, Voters
from tetrarch.ledger.fragments.signed import decode_fragment
from tetrarch.ledger.headers import (
    SIGNATURE_SIZE_BYTES,
    BlockId,
    PoolId,
    decode_header,
    encode_header,
)
from tetrarch.ledger.keyring import VERSION, KeptKeys, Keyring, born
from tetrarch.ledger.membership import Change
from tetrarch.ledger.reservations import (
    Kind,
    decode_receipt,
    decode_request,
    encode_receipt,
    encode_request,
)
from tetrarch.storage.lock import OwnerLock

FILE = "ledger-keys.sealed"
LOCK_FILE = "ledger-keys.lock"
BOUND_TO = b"tetrarch/ledger/keys/1"


class LedgerCalls:
    """``answer`` calls, ``close`` at the end."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._keyring: Keyring | None = None
        self._release: Callable[[], None] = lambda: None
        self._block0: BlockId | None = None

    @property
    def is_open(self) -> bool:
        """Whether ``OpenLedger`` was answered."""
        return self._keyring is not None

    def answer(self, call: LedgerCall) -> LedgerAnswer:  # noqa: PLR0911 - one for each kind
        """Do what ``call`` asks.

        Raises:
            TetrarchError: it cannot, or must not, be done.
        """
        if isinstance(call, OpenLedger):
            return self._open(call)
        keyring = self._keyring
        if keyring is None:
            raise FrameInvalid("ask enclave", reason="the ledger's keys are not open")
        match call:
            case AskLeaders():
                return _opened(keyring)
            case AddLeader() | DropLeader() | EvolveKey():
                _change(keyring, call)
                return _opened(keyring)
            case AskSlots(number=number, lottery=lottery, first=first, count=count):
                return SlotsDrawn(keyring.drawn_in(number, lottery, range(first, first + count)))
            case SignHeader():
                return self._sign_header(keyring, call)
            case SignLink() | SignChange() | SignFragment():
                return LinkSigned(_sign_as_voter(keyring, call, self._require_chain()))
            case AskSpan() | GrantSpan() | HoldSpan():
                return _reserve(keyring, call, self._require_chain())

    def close(self) -> None:
        """Let another process have the keys."""
        self._keyring = None
        self._release()
        self._release = lambda: None

    def _open(self, call: OpenLedger) -> LedgerOpened:
        if self._keyring is not None:
            raise InputInvalid("open ledger", reason="its keys are open already")
        folder = Path(call.folder)
        lock = OwnerLock.acquire(folder / LOCK_FILE)
        try:
            keyring = _read_keys(folder / FILE, SealSecret.of(call.secret), self._host)
            if call.block0 is not None:
                self._block0 = BlockId(call.block0)
                keyring.bind(self._block0)
            if call.is_shared:
                keyring.share()
        except BaseException:
            lock.release()
            raise
        self._keyring, self._release = keyring, lock.release
        return _opened(keyring)

    def _sign_header(self, keyring: Keyring, call: SignHeader) -> HeaderSigned:
        self._require_chain()
        header = keyring.sign_block(
            call.number,
            decode_header(call.header),
            lottery=call.lottery,
            kes_period=call.kes_period,
        )
        return HeaderSigned(encode_header(header))

    def _require_chain(self) -> BlockId:
        if self._block0 is None:
            raise InputInvalid("sign for ledger", reason="its keys are open for no chain")
        return self._block0


def _change(keyring: Keyring, call: AddLeader | DropLeader | EvolveKey) -> None:
    match call:
        case AddLeader(pool=pool):
            if pool is None:
                keyring.add_turn()
            else:
                keyring.add_pool(PoolId(pool))
        case DropLeader(number=number):
            keyring.drop(number)
        case EvolveKey(number=number, kes_period=kes_period):
            keyring.evolve(number, kes_period)


def _sign_as_voter(
    keyring: Keyring, call: SignLink | SignChange | SignFragment, block0: BlockId
) -> bytes:
    match call:
        case SignLink():
            source = Checkpoint(call.source_height, BlockId(call.source_block))
            target = Checkpoint(call.target_height, BlockId(call.target_block))
            return keyring.sign_vote(Link(source, target), block0)
        case SignChange(sequence=sequence, members=members):
            return keyring.sign_change(Change(sequence, members), block0)
        case SignFragment(fragment=unsigned):
            fragment = decode_fragment(unsigned + bytes(SIGNATURE_SIZE_BYTES))
            return keyring.sign_fragment(fragment, block0)


def _reserve(
    keyring: Keyring, call: AskSpan | GrantSpan | HoldSpan, block0: BlockId
) -> LedgerAnswer:
    match call:
        case AskSpan(kind=kind, first=first, until=until):
            request = keyring.ask_span(Kind(kind), first, until, block0)
            return SpanAnswered(encode_request(request))
        case GrantSpan(request=data):
            return SpanAnswered(encode_receipt(keyring.grant(decode_request(data), block0)))
        case HoldSpan(receipts=encoded, voters=told):
            receipts = tuple(map(decode_receipt, encoded))
            voters = tuple(Voters(each.weights, by_stake=each.by_stake) for each in told)
            keyring.hold(receipts, voters, block0)
            return _opened(keyring)


def _read_keys(path: Path, secret: SealSecret, host: Host) -> Keyring:
    """As they were left, or born."""
    state = SealedState.open(
        path, KeptKeys, secret=secret, bound_to=BOUND_TO, what="ledger keys", host=host
    )
    kept = state.found or born(host.entropy)
    if kept.version != VERSION:
        raise SealInvalid("read ledger keys", path=path, version=kept.version)
    if state.found is None:
        state.store(kept)
    return Keyring(kept, state.store, host.entropy)


def _opened(keyring: Keyring) -> LedgerOpened:
    return LedgerOpened(keyring.voter, keyring.is_shared, keyring.leaders)
