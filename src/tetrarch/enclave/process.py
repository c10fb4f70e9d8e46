"""The enclave process: one blocking loop on one socket, until the node lets go of it.

Started by ``client.EnclaveClient`` with the socket as standard input. Nothing else can connect
to it, no secret is in its arguments or environment, and it ends when its node does.
"""

import os
import socket
import sqlite3
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from tetrarch.attestation.software import MEASUREMENT_SIZE_BYTES
from tetrarch.clock import Clock, steady_ms
from tetrarch.enclave import (
    approval,
    editions,
    history,
    learning,
    protocol,
    restored,
    sandbox,
)
from tetrarch.enclave.attesting import SoftwareAttester
from tetrarch.enclave.ceremonies import hold
from tetrarch.enclave.ceremony_messages import (
    AskEvidence,
    CeremonyAnswer,
    CeremonyCall,
    MakeOwnKeys,
    MakeTpmKey,
    RestoreBackup,
    SealShares,
    WriteBackup,
)
from tetrarch.enclave.confining import confine
from tetrarch.enclave.election_calls import ElectionCalls
from tetrarch.enclave.election_messages import ElectionOpened
from tetrarch.enclave.errors import (
    EX_SOFTWARE,
    FrameInvalid,
    NotConfigured,
    NotRecovered,
    ProtectionMissing,
)
from tetrarch.enclave.host import Host
from tetrarch.enclave.key_keeping import keep, note_edition
from tetrarch.enclave.key_messages import AddShare, ExportHistory, ImportHistory, RemoveShares
from tetrarch.enclave.keys import BlsKeyRing
from tetrarch.enclave.ledger_calls import LedgerCalls
from tetrarch.enclave.ledger_messages import (
    AddLeader,
    AskLeaders,
    AskSlots,
    AskSpan,
    DropLeader,
    EvolveKey,
    GrantSpan,
    HoldSpan,
    LedgerOpened,
    OpenLedger,
    SignChange,
    SignFragment,
    SignHeader,
    SignLink,
)
from tetrarch.enclave.measurement import SECURITY_VERSION, measure
from tetrarch.enclave.messages import ShareFile
from tetrarch.enclave.opening import open_keys
from tetrarch.enclave.ports import SignAttestation, SignResult
from tetrarch.enclave.protections import Confinement, Protection, missing
from tetrarch.enclave.sealed_keys import SealedKeys
from tetrarch.enclave.tpm_calls import TpmCalls
from tetrarch.enclave.tpm_messages import OpenTpm
from tetrarch.entropy import system_entropy
from tetrarch.errors import InputInvalid, TetrarchError, Transient
from tetrarch.ethereum.spec.chain import ChainSpec
from tetrarch.storage.errors import StorageFailed
from tetrarch.storage.lock import OwnerLock
from tetrarch.storage.sqlite import commit_group, open_connection, read_snapshot

_CHUNK_BYTES = 1 << 16
_SIGNING_THREADS = 2

R = TypeVar("R")


class EnclaveProcess:
    """The state of one enclave: keys, history, chain. ``serve`` runs it."""

    def __init__(
        self,
        *,
        clock: Clock,
        protections: tuple[str, ...] = (),
        measurement: bytes = bytes(MEASUREMENT_SIZE_BYTES),
        before_answer: Callable[[], None] = lambda: None,
    ) -> None:
        """``measurement``: of this program, ``measurement.measure``.

        ``before_answer`` is called between the durable record and the answer, by tests.
        """
        self._clock = clock
        self._protections = protections
        self._is_locked = False
        self._required: tuple[Protection, ...] = ()
        self._before_answer = before_answer
        self._opened: _Opened | None = None
        self._measurement = measurement
        self._tpm = TpmCalls(
            program=measurement, protections=lambda: self._protections, entropy=system_entropy
        )
        self._host = Host(
            attester=SoftwareAttester(measurement, lambda: self._protections),
            entropy=system_entropy,
            read=self._tpm.read,
            make_tpm_key=self._tpm.make_key_file,
            now_ms=steady_ms,
            wall_s=clock.wall_s,
        )
        self._election = ElectionCalls(self._host)
        self._ledger = LedgerCalls(self._host)
        self._chain: ChainSpec | None = None
        self._pruned_epoch = 0

    def serve(self, connection: socket.socket) -> None:
        """Answer calls until the node closes its end.

        Raises:
            FrameInvalid: the node speaks nonsense.
        """
        frames = protocol.FrameBuffer()
        try:
            while chunk := connection.recv(_CHUNK_BYTES):
                for payload in frames.feed(chunk):
                    call = protocol.decode_call(payload)
                    connection.sendall(protocol.encode(protocol.Reply(call.id, self.answer(call))))
                    if isinstance(call.body, protocol.Sign):
                        self._prune(call.body)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the node went away; the same as a closed socket
        finally:
            self.close()

    def answer(self, call: protocol.Call) -> protocol.AnswerBody:
        """Do what ``call`` asks; expected errors become a ``Refusal``."""
        try:
            return self._dispatch(call.body)
        except TetrarchError as error:
            return protocol.Refusal(
                code=error.code,
                action=error.action,
                fields={name: str(value)[:1024] for name, value in error.fields.items()},
            )

    def close(self) -> None:
        """Give up files and threads."""
        self._election.close()
        self._ledger.close()
        self._tpm.close()
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    def _dispatch(  # noqa: C901, PLR0911, PLR0912 - one line for each call
        self, body: protocol.CallBody
    ) -> protocol.AnswerBody:
        match body:
            case protocol.Confine():
                return self._confine(body)
            case protocol.Open():
                return self._open(body)
            case protocol.Configure():
                return self._configure(body)
            case protocol.Sign():
                return self._sign(body)
            case protocol.Learn():
                return self._learn(body)
            case protocol.AskStatus():
                return self._status()
            case protocol.AskProtections():
                return protocol.Protections(self._protections)
            case protocol.AskMeasurement():
                return protocol.Measured(self._measurement, SECURITY_VERSION)
            case protocol.Recover():
                return self._recover()
            case OpenTpm():
                return self._open_tpm(body)
            case AddShare() | RemoveShares() | ImportHistory() | ExportHistory():
                exported = keep(self._require_open(), body)
                sandbox.lock_memory()  # a new key lies in new pages
                return exported or protocol.Done()
            case (
                SealShares()
                | MakeOwnKeys()
                | AskEvidence()
                | MakeTpmKey()
                | WriteBackup()
                | RestoreBackup()
            ):
                return self._hold(body)
            case (
                OpenLedger()
                | AskLeaders()
                | AddLeader()
                | DropLeader()
                | AskSlots()
                | EvolveKey()
                | SignHeader()
                | SignLink()
                | SignChange()
                | SignFragment()
                | AskSpan()
                | GrantSpan()
                | HoldSpan()
            ):
                led = self._ledger.answer(body)
                if isinstance(led, LedgerOpened):  # keys were read or made
                    self._lock_memory()
                return led
            case _:
                answer = self._election.answer(body)
                if isinstance(answer, ElectionOpened):
                    self._lock_memory()
                return answer

    def _confine(self, call: protocol.Confine) -> protocol.Done:
        if self._is_open:
            raise InputInvalid("lock enclave", reason="it is open already")
        if self._is_locked:
            raise InputInvalid("lock enclave", reason="it is locked already")
        if call.tpm:
            self._tpm.connect(Path(call.tpm))
        self._is_locked = True
        confinement = Confinement(
            writable=tuple(Path(path) for path in call.writable),
            readable=tuple(Path(path) for path in call.readable),
        )
        self._required = call.required
        self._protections = tuple(dict.fromkeys((*self._protections, *confine(confinement))))
        # Memory is locked last: with the keys in it.
        self._demand(tuple(each for each in call.required if each is not Protection.MEMORY_LOCKED))
        return protocol.Done()

    @property
    def _is_open(self) -> bool:
        return self._opened is not None or self._election.is_open or self._ledger.is_open

    def _open(self, call: protocol.Open) -> protocol.Done:
        if self._opened is not None:
            raise InputInvalid("open enclave", reason="it is open already")
        path = Path(call.database)
        lock = OwnerLock.acquire(path.with_name(path.name + ".lock"))
        try:
            database = open_connection(path, (history.SCHEMA, editions.SCHEMA, restored.SCHEMA))
        except BaseException:
            lock.release()
            raise
        try:
            sealed = None
            if call.sealed is not None:
                sealed = SealedKeys.open(call.sealed, system_entropy, self._tpm.read)
                editions.check(database, sealed.kept.edition, path=sealed.path)
            keys = BlsKeyRing(open_keys(call.shares, sealed), threads=_SIGNING_THREADS)
        except BaseException:
            database.close()
            lock.release()
            raise
        files = {file.pubkey: file for file in call.shares}
        opened = _Opened(
            path=path, lock=lock, database=database, keys=keys, files=files, sealed=sealed
        )
        self._opened = opened
        if sealed is not None:
            note_edition(opened, sealed)
        self._lock_memory()
        return protocol.Done()

    def _hold(self, call: CeremonyCall) -> CeremonyAnswer:
        if self._is_open:
            raise InputInvalid("hold ceremony", reason="it is open for a node")
        self._lock_memory()
        host = self._host
        if isinstance(call, AskEvidence) and call.tpm is not None:
            host = replace(host, attester=self._tpm.open(call.tpm))
        return hold(call, host)

    def _open_tpm(self, call: OpenTpm) -> protocol.Measured:
        attester = self._tpm.open(call)
        counters = attester.counters(system_entropy) if call.counts else None
        self._election.attest_by(attester, counters)
        self._lock_memory()
        entry = attester.entry()
        return protocol.Measured(entry.measurement, entry.security_version_min)

    def _lock_memory(self) -> None:
        locked = sandbox.lock_memory()
        self._protections = tuple(dict.fromkeys((*self._protections, *locked)))
        self._demand(self._required)

    def _demand(self, required: tuple[Protection, ...]) -> None:
        absent = missing(required, self._protections)
        if absent:
            self.close()
            names = ", ".join(absent)
            raise ProtectionMissing("lock enclave", missing=names, active=self._protections)

    def _configure(self, call: protocol.Configure) -> protocol.Done:
        opened = self._require_open()
        chain = protocol.chain_of(call)
        opened.write(lambda c: history.bind_chain(c, chain.forks.genesis_validators_root))
        self._chain = chain
        return protocol.Done()

    def _sign(self, call: protocol.Sign) -> protocol.Signed:
        opened = self._require_open()
        plans = approval.plan(
            protocol.requests_of(call),
            chain=self._chain,
            held=opened.keys.held,
            wall_s=self._clock.wall_s(),
        )
        wishes = approval.wishes_of(plans)

        def judge(connection: sqlite3.Connection) -> Callable[[], tuple[SignResult, ...]]:
            verdicts = history.check_and_record(connection, wishes)
            return approval.begin(plans, verdicts, opened.keys)  # signs beside the commit

        if opened.is_restored:
            return protocol.signed(approval.begin(plans, NotRecovered("sign"), opened.keys)())
        try:
            results = opened.write(judge) if wishes else approval.begin(plans, (), opened.keys)
        except (Transient, StorageFailed) as error:
            results = approval.begin(plans, error, opened.keys)
        self._before_answer()
        return protocol.signed(results())

    def _learn(self, call: protocol.Learn) -> protocol.Forgotten:
        opened = self._require_open()
        if self._chain is None:
            raise NotConfigured("teach enclave")
        wishes = approval.wishes_for(protocol.signed_of(call), chain=self._chain)

        def teach(connection: sqlite3.Connection) -> tuple[int, ...]:
            forgotten = learning.unknown(connection, wishes)
            learning.learn(connection, [wishes[position] for position in forgotten])
            return forgotten

        if call.record:
            return protocol.Forgotten(opened.write(teach))
        forgotten = learning.unknown(opened.database, wishes)
        return protocol.Forgotten(forgotten)

    def _recover(self) -> protocol.Done:
        opened = self._require_open()
        if opened.is_restored:
            opened.write(restored.clear)
            opened.is_restored = False
        return protocol.Done()

    def _status(self) -> protocol.Status:
        opened = self._require_open()
        counted = read_snapshot(opened.database, history.counts, path=opened.path)
        return protocol.Status(
            pubkeys=opened.keys.pubkeys,
            genesis_validators_root=history.chain(opened.database),
            blocks_recorded=counted.blocks,
            votes_recorded=counted.votes,
            protections=self._protections,
            is_restored=opened.is_restored,
        )

    def _prune(self, call: protocol.Sign) -> None:
        """Once per epoch, after an answer: nobody waits for it."""
        if self._opened is None or self._chain is None:
            return
        slots = self._chain.slots_per_epoch
        requests = protocol.requests_of(call)
        votes = (r.data.target.epoch for r in requests if isinstance(r, SignAttestation))
        newest = max(votes, default=0)
        if newest <= self._pruned_epoch:
            return
        self._pruned_epoch = newest
        try:
            self._opened.write(lambda c: history.prune(c, slots_per_epoch=slots))
        except (Transient, StorageFailed):
            return  # a longer history is no harm; the next epoch tries again

    def _require_open(self) -> "_Opened":
        if self._opened is None:
            raise FrameInvalid("ask enclave", reason="the first call must be Open")
        return self._opened


class _Opened:
    """The files and keys of an open enclave."""

    def __init__(
        self,
        *,
        path: Path,
        lock: OwnerLock,
        database: sqlite3.Connection,
        keys: BlsKeyRing,
        files: dict[bytes, ShareFile],
        sealed: SealedKeys | None,
    ) -> None:
        self.path = path
        self.database = database
        self.keys = keys
        self.files = files
        self.sealed = sealed
        self.is_restored = restored.is_marked(database)
        self._lock = lock

    def write(self, function: Callable[[sqlite3.Connection], R]) -> R:
        """Run ``function`` in a transaction and return after its commit reached the disk."""
        (outcome,) = commit_group(self.database, (function,), path=self.path)
        if outcome.error is not None:
            raise outcome.error
        value: R = outcome.value
        return value

    def close(self) -> None:
        self.keys.close()
        self.database.close()
        self._lock.release()


def run(clock: Clock) -> None:
    """The program: serve the socket that is standard input.

    A node that speaks nonsense ends it with one line and exit code 70.
    """
    protections = sandbox.protect_process()
    process = EnclaveProcess(clock=clock, protections=protections, measurement=measure())
    with socket.socket(fileno=os.dup(0)) as connection:
        try:
            process.serve(connection)
        except FrameInvalid as error:
            sys.stderr.write(f"error: {error}\n")
            raise SystemExit(EX_SOFTWARE) from None
