"""Fragments as they travel: who pays, for how long they hold, what they do, and the payer's signature. Pure.

    kind u8 | payer 32 | counter u32 | last epoch u32 | fee u64 | body | signature 64

The signature is Ed25519 by the payer over a label, the chain's first block and all that stands before it, so a
fragment holds on one chain and for one purpose. ``counter`` is how many fragments the payer signed before: each
holds once, and in its order.
"""

from dataclasses import dataclass, field, replace
from typing import Final

from tetrarch.crypto.ed25519 import is_signed
from tetrarch.ledger.accounts import ACCOUNTS, AccountId, account_of, take_value
from tetrarch.ledger.blocks import Fragment
from tetrarch.ledger.fragments.kind import Body, Context, FragmentRefused, Where
from tetrarch.ledger.fragments.registry import KINDS
from tetrarch.ledger.headers import KEY_SIZE_BYTES, SIGNATURE_SIZE_BYTES, BlockId
from tetrarch.ledger.membership import is_voter
from tetrarch.ledger.tables import Draft, View
from tetrarch.ledger.treasury import add_fee
from tetrarch.ledger.wire import U32_MAX, Reader, Writer

LABEL: Final = b"tetrarch/ledger/fragment/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedFragment:
    """See the module."""

    payer: AccountId
    counter: int
    last_epoch: int
    fee: int
    body: Body
    signature: bytes = field(default=bytes(SIGNATURE_SIZE_BYTES), repr=False)

    @property
    def unsigned(self) -> bytes:
        """All of it but the signature."""
        writer = Writer().u8(self.body.number).raw(self.payer)
        writer.u32(self.counter).u32(self.last_epoch).u64(self.fee)
        self.body.write(writer)
        return writer.data

    def to_sign(self, block0: BlockId) -> bytes:
        """What the payer signs."""
        return LABEL + block0 + self.unsigned


def encode_fragment(fragment: SignedFragment) -> Fragment:
    """As it travels."""
    return Fragment(fragment.unsigned + fragment.signature)


def decode_fragment(data: bytes) -> SignedFragment:
    """Read a fragment; nothing is verified.

    Raises:
        BytesInvalid: it is none.
        FragmentRefused: there is no such kind.
    """
    reader = Reader(data, what="fragment")
    number = reader.u8()
    kind = KINDS.get(number)
    if kind is None:
        raise FragmentRefused("read fragment", kind=number, reason="there is no such kind")
    fragment = SignedFragment(
        payer=AccountId(reader.raw(KEY_SIZE_BYTES)),
        counter=reader.u32(),
        last_epoch=reader.u32(),
        fee=reader.u64(),
        body=kind.read(reader),
        signature=reader.raw(SIGNATURE_SIZE_BYTES),
    )
    reader.end()
    return fragment


def check_signature(fragment: SignedFragment, block0: BlockId) -> None:
    """Whether its payer signed it, for this chain. Cost: 0.15 ms.

    Raises:
        FragmentRefused: he did not.
    """
    if not is_signed(fragment.payer, fragment.to_sign(block0), fragment.signature):
        raise FragmentRefused("verify fragment", reason="its signature is false")


def apply_fragment(
    draft: Draft,
    fragment: SignedFragment,
    *,
    size_bytes: int,
    where: Where,
) -> None:
    """Change the state as a fragment says whose signature is right: all of it, or nothing.

    Raises:
        PeerFault: it does not hold there, and why.
    """
    check_bounds(draft, fragment, size_bytes=size_bytes, where=where)
    account = account_of(draft, fragment.payer)
    if fragment.counter != account.counter:
        raise FragmentRefused("apply fragment", counter=fragment.counter, expected=account.counter)
    if account.counter >= U32_MAX:
        raise FragmentRefused("apply fragment", reason="its payer signed as many as there can be")
    trial = draft.trial()
    take_value(trial, fragment.payer, fragment.fee)
    add_fee(trial, fragment.fee)
    fragment.body.apply(trial, _context(where, fragment.payer))
    payer = account_of(trial, fragment.payer)
    ACCOUNTS.put(trial, fragment.payer, replace(payer, counter=payer.counter + 1))
    draft.take(trial)


def check_bounds(view: View, fragment: SignedFragment, *, size_bytes: int, where: Where) -> None:
    """What a fragment must be wherever it comes to: not too large, of the time, and paid for.

    Raises:
        FragmentRefused: it is not, and why.
    """
    parameters = where.parameters
    if size_bytes > parameters.fragment_size_bytes_max:
        maximum = parameters.fragment_size_bytes_max
        raise FragmentRefused("apply fragment", size_bytes=size_bytes, maximum=maximum)
    lowest, highest = where.date.epoch, where.date.epoch + parameters.expiry_epochs_max
    if not lowest <= fragment.last_epoch <= highest:
        bounds = {"last_epoch": fragment.last_epoch, "lowest": lowest, "highest": highest}
        raise FragmentRefused("apply fragment", **bounds)
    is_free = fragment.body.free_for_voters and is_voter(view, fragment.payer)
    fee = 0 if is_free else parameters.fees.of(size_bytes)
    if fragment.fee < fee:
        raise FragmentRefused("apply fragment", fee=fragment.fee, needed=fee)


def _context(where: Where, payer: AccountId) -> Context:
    return Context(
        date=where.date,
        slot=where.slot,
        height=where.height,
        block0=where.block0,
        parameters=where.parameters,
        payer=payer,
    )
