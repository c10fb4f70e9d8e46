"""One valid call of every kind that an enclave knows, for tests that damage them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import msgspec
from tests.election.support import certified, configuration, leading, signed, view_of
from tests.enclave.enclave_world import OLD_CHAIN, Validator, block, vote
from tests.ledger.makers import bft_key, bft_public, header_at, signed_fragment

from tetrarch.election.documents import configuration_document
from tetrarch.election.requests import (
    CastVote,
    Draw,
    Elect,
    GrantLease,
    Keep,
    LearnLeader,
    Request,
    Reserve,
    Resign,
    TakeReceipts,
    TakeRefusal,
    TakeResignation,
)
from tetrarch.election.statements import Leader, Receipt, Reservation, Resignation
from tetrarch.election.witnesses import Kept
from tetrarch.enclave import protocol
from tetrarch.enclave.ceremony_messages import (
    AskEvidence,
    CeremonyCall,
    MakeOwnKeys,
    MakeTpmKey,
    RestoreBackup,
    SealShares,
    WriteBackup,
)
from tetrarch.enclave.election_messages import (
    AskElection,
    AttestHello,
    Challenge,
    OpenElection,
    SayHello,
    TakeHello,
)
from tetrarch.enclave.key_messages import (
    AddShare,
    ExportHistory,
    ImportHistory,
    Named,
    RemoveShares,
)
from tetrarch.enclave.ledger_messages import (
    AddLeader,
    AskLeaders,
    AskSlots,
    AskSpan,
    DropLeader,
    EvolveKey,
    GrantSpan,
    HoldSpan,
    LedgerCall,
    OpenLedger,
    SignChange,
    SignFragment,
    SignHeader,
    SignLink,
    VotersAre,
)
from tetrarch.enclave.messages import SealedFile, SecretFile, ShareFile
from tetrarch.enclave.protections import Protection
from tetrarch.enclave.sealing import Kind
from tetrarch.enclave.tpm_messages import OpenTpm
from tetrarch.ethereum.spec.values import Fork
from tetrarch.ledger import reservations
from tetrarch.ledger.dates import BlockDate
from tetrarch.ledger.fragments.parameter_vote import ParameterVote
from tetrarch.ledger.headers import BlockId, encode_header
from tetrarch.ledger.keyring import lottery_of
from tetrarch.ledger.parameters import Parameters
from tetrarch.ledger.praos import FIRST_NONCE

C = configuration()
_BITS_OF_EIGHT = b"\xff\x01"  # the last bit ends the list


def _offset(place: int) -> bytes:
    return place.to_bytes(4, "little")


def _number(value: int) -> bytes:
    return value.to_bytes(8, "little")


def items(validator: Validator) -> tuple[protocol.Item, ...]:
    """What may be in a batch to sign: one of each."""
    key = validator.pubkey
    data = vote(key, 3, 4).data.to_ssz()
    attestation = _offset(228) + data + bytes(96) + _BITS_OF_EIGHT
    contribution = _number(32) + bytes(32) + _number(1) + b"\xff" + bytes(96)
    proof = b"p" * 96
    return (
        *protocol.sign_call((vote(key, 3, 4), block(key, 32))).items,
        protocol.RandaoItem(key, 4),
        protocol.SelectionItem(key, 32),
        protocol.AggregateItem(
            key, Fork.DENEB, "minimal", _number(7) + _offset(108) + proof + attestation
        ),
        protocol.SyncMessageItem(key, 32, b"r" * 32),
        protocol.SyncSelectionItem(key, 32, 1),
        protocol.ContributionItem(key, "minimal", _number(7) + contribution + proof),
        protocol.ExitItem(key, _number(4) + _number(7)),
        protocol.RegistrationItem(key, b"f" * 20 + _number(30_000_000) + _number(1) + key),
    )


def calls(folder: Path, validator: Validator, file: ShareFile) -> tuple[protocol.CallBody, ...]:
    """A valid call of every kind, with the values of a node whose files lie in ``folder``."""
    key = validator.pubkey
    secret = SecretFile(str(folder / "seal-key"), Kind.KEY_FILE)
    sealed = SealedFile(str(folder / "keys.sealed"), secret)
    signing = items(validator)
    slashable = tuple(
        each for each in signing if isinstance(each, protocol.VoteItem | protocol.BlockItem)
    )
    return (
        protocol.Confine((str(folder),), (str(folder),), (Protection.NO_CORE,)),
        protocol.Open(str(folder / "slashing.db"), (file,)),
        protocol.configure_call(OLD_CHAIN),
        protocol.Sign(signing),
        protocol.Learn(slashable, record=True),
        protocol.AskStatus(),
        protocol.AskProtections(),
        protocol.AskMeasurement(),
        protocol.Recover(),
        *_ceremonies(folder, file, secret, sealed),
        OpenTpm(str(folder), secret),
        AddShare(file, Path(file.keystore).read_bytes(), Path(file.password).read_bytes().strip()),
        RemoveShares((b"\x07" * 48,)),
        ImportHistory(_interchange(key), (Named(key, (key,)),)),
        ExportHistory((Named(key, (key,)),)),
        OpenElection(str(folder), configuration_document(C), 0, secret, True, None, sealed),
        Challenge(),
        SayHello(b"s" * 32, b"n" * 32),
        TakeHello(b"\x01" + bytes(50), b"s" * 32),
        AttestHello(b"\x01" + bytes(50), b"s" * 32),
        AskElection(bytes(100)),
        OpenLedger(str(folder), secret, bytes(32)),
        *_ledger(),
    )


def _ledger() -> tuple[LedgerCall, ...]:
    lottery = lottery_of(FIRST_NONCE, 1 << 64)
    header = encode_header(header_at(BlockDate(0, 5)))
    return (
        AskLeaders(),
        AddLeader(),
        AddLeader(bytes(32)),
        AskSlots(1, lottery, 0, 20),
        EvolveKey(1, 2),
        SignHeader(0, header),
        SignHeader(1, header, lottery, 3),
        SignLink(0, bytes(32), 1, bytes(32)),
        SignChange(1, (bytes(32),)),
        SignFragment(signed_fragment(0, ParameterVote(2, Parameters())).unsigned),
        *_spans(),
        DropLeader(0),
    )


def _spans() -> tuple[LedgerCall, ...]:
    kind = reservations.Kind.SLOTS
    span = reservations.Span(holder=bft_public(0), life=bytes(32), kind=kind, first=5, until=9)
    signed = bft_key(0).sign(reservations.request_to_sign(span, BlockId(bytes(32))))
    request = reservations.encode_request(reservations.Request(span, signed))
    receipt = reservations.Receipt(span, bft_public(1), bytes(64))
    return (
        AskSpan(0, 5, 9),
        GrantSpan(request),
        HoldSpan((reservations.encode_receipt(receipt),), (VotersAre({bft_public(1): 1}, False),)),
    )


def _ceremonies(
    folder: Path, file: ShareFile, secret: SecretFile, sealed: SealedFile
) -> tuple[CeremonyCall, ...]:
    database = str(folder / "slashing.db")
    backup = str(folder / "backup")
    return (
        SealShares(database, sealed, (file,), secret, True, True),
        MakeOwnKeys(database, sealed),
        MakeTpmKey(str(folder / "seal.tpm"), (7,)),
        AskEvidence(sealed, "node", b"c" * 32, b"n" * 32),
        WriteBackup(str(folder), ("identity-key",), (database,), sealed, (file,), backup, secret),
        RestoreBackup(backup, secret, str(folder / "new"), sealed, (database, database)),
    )


def _interchange(key: bytes) -> bytes:
    root = "0x" + OLD_CHAIN.forks.genesis_validators_root.hex()
    attestation = {"source_epoch": "1", "target_epoch": "2"}
    return msgspec.json.encode(
        {
            "metadata": {
                "interchange_format_version": "5",
                "genesis_validators_root": root,
            },
            "data": [
                {
                    "pubkey": "0x" + key.hex(),
                    "signed_blocks": [{"slot": "8"}],
                    "signed_attestations": [attestation],
                }
            ],
        }
    )


def requests() -> tuple[Request, ...]:
    """What a machine may ask in a sealed call: one of each."""
    view = view_of(C)
    leader = Leader(view, 0, b"")
    asked = signed(Reservation(C.hash, 1, 1, b"b" * 32, 8))
    receipt = signed(Receipt(2, asked.what, recovered=True))
    return (
        CastVote(view),
        Draw(certified(view, (0, 1, 2))),
        Elect(certified(view, (0, 1, 2)), b"s" * 96),
        LearnLeader(leading(leader, (0, 1, 2))),
        Reserve(5),
        Keep(asked),
        TakeReceipts((receipt,)),
        TakeRefusal(Kept(asked, asked)),
        GrantLease(leader.hash, 5),
        Resign(),
        TakeResignation(signed(Resignation(leader.hash, 0))),
    )


def kinds(union: Any) -> Iterator[type]:
    """The classes of a union, however it is put together."""
    for each in get_args(union):
        yield from kinds(each) if get_args(each) else (each,)
