"""The node's end of its enclave: starts the process, sends typed requests, notices its death."""

import asyncio
import contextlib
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Self, TypeVar

from tetrarch.attestation.claims import BackEnd
from tetrarch.attestation.policy import Allowed
from tetrarch.crypto.kes import KesKeySpent
from tetrarch.election import codec as election_codec
from tetrarch.election import hello as election_hello
from tetrarch.election import voter as election_voter
from tetrarch.election.certificates import CertificateInvalid
from tetrarch.election.counting import CounterMoved
from tetrarch.enclave import errors as enclave_errors
from tetrarch.enclave import protocol
from tetrarch.enclave.approval import REQUESTS_MAX
from tetrarch.enclave.ceremony_messages import (
    BackupRestored,
    BackupWritten,
    CeremonyCall,
    EvidenceMade,
    OwnKeysMade,
    SharesSealed,
    TpmKeyMade,
)
from tetrarch.enclave.election_messages import ElectionCall, ElectionOpened, Met, Said
from tetrarch.enclave.errors import EnclaveGone, EnclaveRefused, EnclaveSlow, FrameInvalid
from tetrarch.enclave.key_messages import Exported, ExportHistory, KeyCall
from tetrarch.enclave.ledger_messages import (
    HeaderSigned,
    LedgerCall,
    LedgerOpened,
    LinkSigned,
    SlotsDrawn,
    SpanAnswered,
)
from tetrarch.enclave.messages import SealedFile, ShareFile
from tetrarch.enclave.ports import EnclaveStatus, SignRequest, SignResult, Slashable
from tetrarch.enclave.protections import Confinement, Protection
from tetrarch.enclave.seal_secret import SealSecret
from tetrarch.enclave.tpm_messages import OpenTpm
from tetrarch.errors import TetrarchError, invariant
from tetrarch.ethereum.spec.chain import ChainSpec
from tetrarch.ledger import keyring as ledger_keyring
from tetrarch.ledger.finality import VoteForbidden
from tetrarch.storage import errors as storage_errors

START_TIMEOUT_S = 60.0  # an interpreter on a host that is just starting everything else, too
OPEN_TIMEOUT_S = 900.0  # thousands of keystores at a second each, on two threads
ANSWER_TIMEOUT_S = 8.0
KEY_TIMEOUT_S = 120.0  # a keystore may ask for half a gigabyte of scrypt
END_TIMEOUT_S = 5.0
_WAITING_MAX = 256
# Isolated: neither the environment nor the working folder can put other code in its place.
COMMAND = (sys.executable, "-I", "-m", "tetrarch.enclave")


A = TypeVar(
    "A",
    protocol.Done,
    protocol.Signed,
    protocol.Forgotten,
    protocol.Status,
    protocol.Protections,
    protocol.Measured,
    Exported,
    SharesSealed,
    OwnKeysMade,
    EvidenceMade,
    TpmKeyMade,
    BackupWritten,
    BackupRestored,
    ElectionOpened,
    Said,
    Met,
    LedgerOpened,
    SlotsDrawn,
    HeaderSigned,
    LinkSigned,
    SpanAnswered,
)

# The enclave's own errors, raised again here as what they are.
_RAISED_AGAIN: dict[str, type[TetrarchError]] = {
    error.code: error
    for error in (
        enclave_errors.NotConfigured,
        enclave_errors.ShareFileMissing,
        enclave_errors.ShareInvalid,
        enclave_errors.PasswordWrong,
        enclave_errors.ProtectionMissing,
        enclave_errors.ShareSwapped,
        enclave_errors.WrongChain,
        enclave_errors.InterchangeInvalid,
        enclave_errors.SealInvalid,
        enclave_errors.SealOld,
        enclave_errors.SealSecretMissing,
        enclave_errors.SealSecretWrong,
        enclave_errors.SealAbsent,
        enclave_errors.OwnKeysAbsent,
        enclave_errors.BackupInvalid,
        enclave_errors.BackupExists,
        enclave_errors.BackupTooLarge,
        enclave_errors.TpmMissing,
        enclave_errors.BootChanged,
        enclave_errors.TpmKeyExists,
        enclave_errors.TpmFailed,
        enclave_errors.CounterMissing,
        CounterMoved,
        election_codec.MessageInvalid,
        election_hello.HelloInvalid,
        election_hello.KeyChanged,
        election_hello.MemberUnattested,
        election_voter.StatementFalse,
        CertificateInvalid,
        ledger_keyring.SlotTaken,
        ledger_keyring.NotElected,
        ledger_keyring.LeaderUnknown,
        ledger_keyring.OtherChain,
        ledger_keyring.PeriodOver,
        KesKeySpent,
        VoteForbidden,
        storage_errors.FolderNotWritable,
        storage_errors.StorageInUse,
        storage_errors.StorageCorrupt,
        storage_errors.StorageFailed,
        storage_errors.StorageTooNew,
        storage_errors.StorageFull,
        storage_errors.StorageFullAtStart,
    )
}


class EnclaveClient:
    """A running enclave process. Implements ``ports.Enclave``; ``start`` it, ``close`` it.

    Calls may overlap; the enclave answers them in order. After its death every call raises
    ``EnclaveGone``: whoever wants to go on closes this object and starts another.
    """

    def __init__(
        self, process: asyncio.subprocess.Process, channel: "_Channel", *, answer_timeout_s: float
    ) -> None:
        self._process = process
        self._channel = channel
        self._answer_timeout_s = answer_timeout_s

    @classmethod
    async def start(  # noqa: PLR0913 - what is not said has a default
        cls,
        *,
        database: Path,
        shares: Sequence[ShareFile],
        key_folder: Path | None = None,
        sealed: SealedFile | None = None,
        readable: Sequence[Path] = (),
        tpm: Path | None = None,
        required: tuple[Protection, ...] = (),
        answer_timeout_s: float = ANSWER_TIMEOUT_S,
        open_timeout_s: float = OPEN_TIMEOUT_S,
        command: Sequence[str] = COMMAND,
    ) -> Self:
        """Start the process, lock it, and let it open its database and shares.

        Args:
            database: the enclave's own slashing history; made if it is not there.
            shares: the files, with the public share that each must have.
            key_folder: where ``keep`` may put and remove shares; it must be there.
            sealed: the file with sealed shares, in a folder that is there; None: no seal.
            readable: more folders whose files it may be asked to open later.
            tpm: a TPM that it may be asked to open later.
            required: it does not open without these protections.
            answer_timeout_s: for one later call.
            open_timeout_s: for reading all keystores.
            command: what to execute; another one wraps the enclave, or breaks it in a test.

        Raises:
            ShareFileMissing, ShareInvalid, PasswordWrong, ShareSwapped: names the file.
            SealInvalid, SealOld, SealSecretMissing, SealSecretWrong: of ``sealed``.
            ProtectionMissing: the host does not allow one of ``required``.
            OperatorError: of ``storage.errors``, about ``database``.
            EnclaveGone: the process died.
        """
        files = (Path(name) for share in shares for name in (share.keystore, share.password))
        writable = [database.parent]
        readable_files = [file.parent for file in files]
        if key_folder is not None:
            writable.append(key_folder)
        if sealed is not None:
            writable.append(Path(sealed.path).parent)
            readable_files.append(Path(sealed.secret.path))
        confinement = Confinement(
            writable=tuple(writable),
            readable=tuple(dict.fromkeys((*readable_files, *readable))),
            tpm=tpm,
            required=required,
        )
        client = await cls.launch(confinement, answer_timeout_s=answer_timeout_s, command=command)
        try:
            await client.open(
                database=database, shares=shares, sealed=sealed, timeout_s=open_timeout_s
            )
        except BaseException:
            await client.close()
            raise
        return client

    @classmethod
    async def launch(
        cls,
        confinement: Confinement,
        *,
        answer_timeout_s: float = ANSWER_TIMEOUT_S,
        command: Sequence[str] = COMMAND,
    ) -> Self:
        """Start the process and lock it; open nothing yet.

        Raises:
            ProtectionMissing: the host does not allow what is required.
            EnclaveGone: it cannot be started.
        """
        ours, theirs = socket.socketpair()
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=theirs.fileno(),
                stdout=asyncio.subprocess.DEVNULL,
                env={"LC_ALL": "C.UTF-8"},
                # Away from the terminal's signals: it ends when its socket closes.
                start_new_session=True,
            )
        except OSError as error:
            ours.close()
            raise EnclaveGone("start enclave", command=command[0], reason=error) from error
        finally:
            theirs.close()
        loop = asyncio.get_running_loop()
        _, channel = await loop.create_connection(_Channel, sock=ours)
        client = cls(process, channel, answer_timeout_s=answer_timeout_s)
        try:
            call = protocol.confine_call(confinement)
            _expect(protocol.Done, await channel.ask(call, timeout_s=START_TIMEOUT_S))
        except BaseException:
            await client.close()
            raise
        return client

    @property
    def process_id(self) -> int:
        """Of the enclave, for status pages and tests."""
        return self._process.pid

    async def open(
        self,
        *,
        database: Path,
        shares: Sequence[ShareFile],
        sealed: SealedFile | None = None,
        timeout_s: float = OPEN_TIMEOUT_S,
    ) -> None:
        """Let it open its database and shares; once. Raises as ``start``."""
        call = protocol.Open(str(database), tuple(shares), sealed)
        _expect(protocol.Done, await self._channel.ask(call, timeout_s=timeout_s))

    async def configure(self, chain: ChainSpec) -> None:
        """As ``ports.Enclave``."""
        _expect(protocol.Done, await self._ask(protocol.configure_call(chain)))

    async def sign(self, requests: tuple[SignRequest, ...]) -> tuple[SignResult, ...]:
        """As ``ports.Enclave``. Cost: 100 attesters of one slot take about 20 ms."""
        invariant(len(requests) <= REQUESTS_MAX, "a batch is bounded")
        if not requests:
            return ()
        reply = _expect(protocol.Signed, await self._ask(protocol.sign_call(requests)))
        results = protocol.results_of(reply)
        invariant(len(results) == len(requests), "one result for each request")
        return results

    async def learn(self, signed: tuple[Slashable, ...], *, record: bool) -> tuple[int, ...]:
        """As ``ports.Enclave``."""
        invariant(len(signed) <= REQUESTS_MAX, "a batch is bounded")
        call = protocol.learn_call(signed, record=record)
        return _expect(protocol.Forgotten, await self._ask(call)).positions

    async def recover(self) -> None:
        """As ``ports.Enclave``."""
        _expect(protocol.Done, await self._ask(protocol.Recover()))

    async def status(self) -> EnclaveStatus:
        """As ``ports.Enclave``."""
        reply = _expect(protocol.Status, await self._ask(protocol.AskStatus()))
        return EnclaveStatus(
            pubkeys=reply.pubkeys,
            genesis_validators_root=reply.genesis_validators_root,
            blocks_recorded=reply.blocks_recorded,
            votes_recorded=reply.votes_recorded,
            protections=reply.protections,
            is_restored=reply.is_restored,
        )

    async def protections(self) -> tuple[str, ...]:
        """What is active, by name; see ``protections.Protection``."""
        return _expect(protocol.Protections, await self._ask(protocol.AskProtections())).active

    async def measurement(self) -> Allowed:
        """Which program it is, as an entry of a policy that allows it."""
        measured = _expect(protocol.Measured, await self._ask(protocol.AskMeasurement()))
        return Allowed(BackEnd.SOFTWARE, measured.measurement, measured.security_version)

    async def open_tpm(self, folder: Path, secret: SealSecret, *, counts: bool = False) -> Allowed:
        """Have the confinement's TPM vouch for it; the entry of a policy that allows it then.

        The secret that the TPM's key is made from lies in ``folder``, sealed by ``secret``.
        ``counts``: a member of an election is counted by it, too (``election.counting``).

        Raises:
            TpmFailed: the TPM does not.
            OperatorError: of the seal, its secret or the folder.
        """
        call = OpenTpm(str(folder), secret.file, counts)
        answer = await self._channel.ask(call, timeout_s=KEY_TIMEOUT_S)
        measured = _expect(protocol.Measured, answer)
        return Allowed(BackEnd.TPM2, measured.measurement, measured.security_version)

    async def keep(self, call: KeyCall) -> bytes:
        """Add or remove shares, import or export history; see ``key_keeping.keep``.

        Returns:
            the interchange file of ``ExportHistory``, else nothing.

        Raises:
            OperatorError: what is wrong with the keystore, its password or the file.
            EnclaveGone, EnclaveSlow: as ``sign``.
        """
        answer = await self._channel.ask(call, timeout_s=KEY_TIMEOUT_S)
        if isinstance(call, ExportHistory):
            return _expect(Exported, answer).document
        _expect(protocol.Done, answer)
        return b""

    async def hold(self, call: CeremonyCall, answer: type[A]) -> A:
        """A ceremony, by an enclave that was launched for it; see ``ceremonies.hold``.

        Raises:
            OperatorError: the enclave's own errors.
            EnclaveGone, EnclaveSlow: as ``sign``.
        """
        return _expect(answer, await self._channel.ask(call, timeout_s=OPEN_TIMEOUT_S))

    async def ask(self, call: ElectionCall | LedgerCall, answer: type[A]) -> A:
        """A call about an election or a ledger; ``election_client`` and ``ledger_client`` know which answers belong to which.

        Raises:
            TetrarchError: the enclave's own errors.
            EnclaveGone, EnclaveSlow: as ``sign``.
        """
        return _expect(answer, await self._ask(call))

    async def watch(self) -> None:
        """Return once ``close`` was called; raise ``EnclaveGone`` as soon as the enclave dies.

        For a task of the node's own group, so that its death stops the node at once.
        """
        await self._channel.watch()

    async def close(self) -> None:
        """End the process by closing its socket; kill it if it does not end."""
        self._channel.close()
        try:
            async with asyncio.timeout(END_TIMEOUT_S):
                await self._process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()

    async def _ask(self, body: protocol.CallBody) -> protocol.AnswerBody:
        return await self._channel.ask(body, timeout_s=self._answer_timeout_s)


class _Channel(asyncio.Protocol):
    """Matches replies to calls by id."""

    def __init__(self) -> None:
        self._frames = protocol.FrameBuffer()
        self._waiting: dict[int, asyncio.Future[protocol.AnswerBody]] = {}
        self._next_id = 0
        self._transport: asyncio.Transport | None = None
        self._closing = False
        self._gone: EnclaveGone | None = None
        self._ended = asyncio.Event()

    async def ask(self, body: protocol.CallBody, *, timeout_s: float) -> protocol.AnswerBody:
        if self._closing or self._gone is not None or self._transport is None:
            raise self._gone or EnclaveGone("ask enclave", reason="closed")
        if len(self._waiting) >= _WAITING_MAX:
            raise EnclaveSlow("ask enclave", waiting=len(self._waiting))
        self._next_id += 1
        call_id = self._next_id
        frame = protocol.encode(protocol.Call(call_id, body))
        future: asyncio.Future[protocol.AnswerBody] = asyncio.get_running_loop().create_future()
        self._waiting[call_id] = future
        try:
            self._transport.write(frame)
            async with asyncio.timeout(timeout_s):
                return await future
        except TimeoutError:
            raise EnclaveSlow("ask enclave", timeout_s=timeout_s) from None
        finally:
            self._waiting.pop(call_id, None)

    async def watch(self) -> None:
        await self._ended.wait()
        if not self._closing and self._gone is not None:
            raise self._gone

    def close(self) -> None:
        self._closing = True
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        invariant(isinstance(transport, asyncio.Transport), "a socket's transport can write")
        if isinstance(transport, asyncio.Transport):
            self._transport = transport

    def data_received(self, data: bytes) -> None:
        try:
            for payload in self._frames.feed(data):
                reply = protocol.decode_reply(payload)
                future = self._waiting.get(reply.id)  # None: the asker gave up
                if future is not None and not future.done():
                    future.set_result(reply.body)
        except FrameInvalid as error:
            self._end(str(error))
            if self._transport is not None:
                self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(str(exc) if exc else "its socket closed")

    def _end(self, reason: str) -> None:
        if self._gone is None:
            self._gone = EnclaveGone("ask enclave", reason="closed" if self._closing else reason)
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(self._gone)
        self._ended.set()


def _expect(kind: type[A], answer: protocol.AnswerBody) -> A:
    if isinstance(answer, kind):
        return answer
    if isinstance(answer, protocol.Refusal):
        again = _RAISED_AGAIN.get(answer.code)
        if again is not None:
            raise again(answer.action, **answer.fields)
        raise EnclaveRefused(answer.action, **{**answer.fields, "refused_as": answer.code})
    raise FrameInvalid("read reply", expected=kind.__name__, got=type(answer).__name__)
