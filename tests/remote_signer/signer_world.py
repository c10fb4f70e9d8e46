"""Signers on loopback sockets, the client in front of them, and one payload of every kind."""

import asyncio
import datetime as dt
import ipaddress
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiohttp
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.duties.duty_world import (
    CHAIN,
    FixedClock,
    InlineCompute,
    RecordingLog,
    Validators,
    attestation_data,
    chain_of,
    proposal_set,
)
from tests.duties.other_duties import HEAD, SLOT, contribution_and_proof, registration

from tetrarch.duties.group_crypto import BlsGroupCrypto
from tetrarch.duties.types import (
    AggregatePayload,
    AttestationPayload,
    ContributionPayload,
    Duty,
    DutyType,
    ExitPayload,
    Payload,
    ProposalPayload,
    PubKey,
    RandaoPayload,
    RegistrationPayload,
    SelectionPayload,
    SyncMessagePayload,
    SyncSelectionPayload,
)
from tetrarch.enclave import history
from tetrarch.enclave.inline import InlineEnclave
from tetrarch.enclave.keys import CallableKeyRing
from tetrarch.entropy import system_entropy
from tetrarch.ethereum.spec.aggregates import AggregateAndProof
from tetrarch.ethereum.spec.attestations import Attestation, SlotAttestation
from tetrarch.ethereum.spec.chain import ChainSpec
from tetrarch.ethereum.spec.forks import spec_types
from tetrarch.ethereum.spec.messages import VoluntaryExit
from tetrarch.ethereum.spec.proposals import Proposal
from tetrarch.ethereum.spec.values import Fork
from tetrarch.remote_signer.access import TlsFiles, client_context, server_context
from tetrarch.remote_signer.client import RemoteSigner
from tetrarch.remote_signer.signers import Signers
from tetrarch.remote_signer.signing import RemoteSigning, RemoteSigningPorts
from tetrarch.signer_api.api import HeldKeys, SignerApi
from tetrarch.signer_api.batches import Batches
from tetrarch.signer_api.guard import Guard
from tetrarch.signer_api.server import Listen, SignerServer
from tetrarch.storage.inline import InlineDatabase

FORKS = (Fork.ALTAIR, Fork.DENEB, Fork.ELECTRA, Fork.FULU)
VALIDATORS = Validators(2)
SHARES = {
    p: VALIDATORS.keys.public_share(p, VALIDATORS.keys.own_share_index) for p in VALIDATORS.pubkeys
}
NOW_S = CHAIN.slot_start_s(SLOT)


def clock() -> FixedClock:
    return FixedClock(NOW_S)


def block_of(fork: Fork, *, slot: int = SLOT, randao: bytes = b"\xaa" * 96) -> Proposal:
    """An empty block of ``fork``."""
    types = spec_types(fork, "minimal")
    contents = fork.at_least(Fork.DENEB)
    outer = types.BlockContents.default() if contents else types.BeaconBlock.default()
    empty: Any = outer.block if contents else outer
    made = empty.replace(
        slot=slot, proposer_index=100, body=empty.body.replace(randao_reveal=randao)
    )
    ssz = (outer.replace(block=made) if contents else made).encode()
    return Proposal.from_ssz(fork, False, ssz, preset="minimal")


def aggregate_of(fork: Fork) -> AggregateAndProof:
    types = spec_types(fork, "minimal")
    empty = types.AggregateAndProof.default()
    made = AggregateAndProof.from_ssz(fork, empty.encode(), preset="minimal")
    data = attestation_data(SLOT)
    inner: Attestation | SlotAttestation = replace(made.aggregate, data=data)
    return replace(made, aggregator_index=100, aggregate=inner, selection_proof=b"\xab" * 96)


def payloads_of(fork: Fork, pubkey: PubKey = VALIDATORS.pubkeys[0]) -> tuple[Payload, ...]:
    """One of each kind that is signed, as ``fork`` has it."""
    proposal = block_of(fork)
    return (
        AttestationPayload(data=attestation_data(SLOT)),
        ProposalPayload(fork=fork, blinded=False, header=proposal.header),
        RandaoPayload(epoch=1),
        SelectionPayload(slot=SLOT),
        AggregatePayload(message=aggregate_of(fork)),
        SyncMessagePayload(slot=SLOT, beacon_block_root=HEAD),
        SyncSelectionPayload(slot=SLOT, subcommittee_index=2),
        ContributionPayload(message=contribution_and_proof(0, 2)),
        ExitPayload(message=VoluntaryExit(epoch=1, validator_index=100)),
        RegistrationPayload(message=registration(pubkey)),
    )


class DecidedBlock:
    """DutyDB, with the block of the slot."""

    def __init__(self, fork: Fork) -> None:
        self._set = proposal_set(VALIDATORS.pubkeys[0], block_of(fork))

    async def decided(self, duty: Duty) -> Any:
        return self._set if duty == Duty(SLOT, DutyType.PROPOSER) else None


class CountingMeter:
    def __init__(self) -> None:
        self.answers: list[tuple[Any, ...]] = []
        self.states: list[tuple[str, bool]] = []
        self.liars: list[str] = []

    def answered(self, *values: Any) -> None:
        self.answers.append(values[:-1])  # all but the time

    def lied(self, signer: str) -> None:
        self.liars.append(signer)

    def up(self, signer: str, *, up: bool) -> None:
        self.states.append((signer, up))


@dataclass
class ServedSigner:
    """One signer that listens, with a slashing history of its own."""

    server: SignerServer
    enclave: InlineEnclave
    keys: HeldKeys
    log: RecordingLog
    meter: CountingMeter
    scheme: str
    task: "asyncio.Task[None]"

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.server.bound_port}"


@asynccontextmanager
async def served_signer(
    chain: ChainSpec = CHAIN,
    *,
    shares: dict[PubKey, Any] | None = None,
    tls: TlsFiles | None = None,
    guard: Guard | None = None,
) -> AsyncIterator[ServedSigner]:
    """``shares``: what the enclave really signs with; the API names them by the true shares."""
    given = shares or {pubkey: VALIDATORS.shares[pubkey][1] for pubkey in VALIDATORS.pubkeys}
    secrets: dict[bytes, Any] = {bytes(pubkey): given[pubkey] for pubkey in given}
    enclave = InlineEnclave(
        storage=InlineDatabase.open((history.SCHEMA,)),
        keys=CallableKeyRing(secrets),
        clock=clock(),
    )
    await enclave.configure(chain)
    keys = HeldKeys({SHARES[PubKey(pubkey)]: pubkey for pubkey in secrets})
    batches, log, meter = Batches(enclave), RecordingLog(), CountingMeter()
    server = SignerServer(
        SignerApi(sign=batches.sign, keys=keys, chain=chain),
        listen=Listen(
            host="127.0.0.1",
            port=0,
            tls=None if tls is None else server_context(tls),
            guard=guard or Guard(),
        ),
        log=log,
        meter=meter,
    )
    async with asyncio.TaskGroup() as tasks:
        workers = [tasks.create_task(batches.run()), tasks.create_task(server.run())]
        try:
            await server.listening.wait()
            yield ServedSigner(
                server, enclave, keys, log, meter, "http" if tls is None else "https", workers[1]
            )
        finally:
            for worker in workers:
                worker.cancel()


@dataclass
class ClientWorld:
    signing: RemoteSigning
    signers: Signers
    log: RecordingLog
    meter: CountingMeter
    storage: InlineDatabase

    async def sign(self, *payloads: Payload, pubkey: PubKey = VALIDATORS.pubkeys[0]) -> Any:
        return await self.signing.sign(tuple((pubkey, payload) for payload in payloads))


@asynccontextmanager
async def client_of(
    *urls: str,
    chain: ChainSpec = CHAIN,
    fork: Fork = Fork.ELECTRA,
    tls: TlsFiles | None = None,
    token: str | None = None,
    timeout_s: float = 5.0,
    storage: InlineDatabase | None = None,
    wait_s: float = 0.0,
) -> AsyncIterator[ClientWorld]:
    log, meter = RecordingLog(), CountingMeter()
    storage = storage or InlineDatabase.open((history.SCHEMA,))
    async with AsyncExitStack() as stack:
        connector = aiohttp.TCPConnector(ssl=client_context(tls or TlsFiles()))
        session = await stack.enter_async_context(aiohttp.ClientSession(connector=connector))
        signers = Signers(
            [RemoteSigner(session, url, timeout_s=timeout_s, token=token) for url in urls],
            shares=SHARES.values(),
            log=log,
            meter=meter,
        )
        await signers.start(wait_s=wait_s)
        ports = RemoteSigningPorts(
            signers=signers,
            history=history.SlashingHistory(storage),
            keys=VALIDATORS.keys,
            crypto=BlsGroupCrypto(keys=VALIDATORS.keys, entropy=system_entropy),
            compute=InlineCompute(),
            clock=clock(),
            log=log,
        )
        signing = RemoteSigning(ports, chain, at_once=8)
        signing.use(DecidedBlock(fork))
        yield ClientWorld(signing, signers, log, meter, storage)


def chain_for(fork: Fork) -> ChainSpec:
    return chain_of(fork)


def certificates(folder: Path) -> dict[str, TlsFiles]:
    """A certificate authority with a server's and a client's certificate, as PEM files."""
    authority_key = ec.generate_private_key(ec.SECP256R1())
    authority = _certificate(folder, "ca", authority_key, None, None)
    made: dict[str, TlsFiles] = {}
    for name in ("server", "client"):
        key = ec.generate_private_key(ec.SECP256R1())
        _certificate(folder, name, key, authority, authority_key)
        made[name] = TlsFiles(
            ca=folder / "ca.pem", certificate=folder / f"{name}.pem", key=folder / f"{name}-key.pem"
        )
    return made


def _certificate(folder: Path, name: str, key: Any, issuer: Any, issuer_key: Any) -> Any:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    start = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + dt.timedelta(days=36_500))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
    )
    made = builder.sign(issuer_key or key, hashes.SHA256())
    (folder / f"{name}.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / f"{name}-key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return made


def names(values: Sequence[object]) -> list[str]:
    return [type(value).__name__ for value in values]
