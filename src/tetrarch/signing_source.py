"""Who signs with this node's shares: opens the one source that the configuration names.

The enclave process, remote signers, or (nothing is opened then) a validator client.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp

from tetrarch.clock import Clock
from tetrarch.cluster.files import CLUSTER_KEY_FOLDER
from tetrarch.cluster.types import Cluster
from tetrarch.config import NodeConfig, RemoteSignerConfig, SigningSource
from tetrarch.duties.enclave_signing import EnclaveSigning
from tetrarch.duties.group_crypto import GroupCrypto
from tetrarch.duties.ports import Compute, DecidedData, GroupKeys, OwnHistory, Storage
from tetrarch.duties.signer import SigningService
from tetrarch.duties.slashing import GroupHistory
from tetrarch.enclave import history, restored
from tetrarch.enclave.client import EnclaveClient
from tetrarch.enclave.messages import ShareFile
from tetrarch.enclave.reporting import tell_protections
from tetrarch.errors import ConfigInvalid, Transient
from tetrarch.ethereum.spec.chain import ChainSpec
from tetrarch.keymanager.of_node import node_keymanager
from tetrarch.observability.logs import Log
from tetrarch.observability.metrics import Metrics
from tetrarch.remote_signer.access import TlsFiles, client_context, file_of, read_token
from tetrarch.remote_signer.client import RemoteSigner
from tetrarch.remote_signer.signers import Signers
from tetrarch.remote_signer.signing import RemoteSigning, RemoteSigningPorts
from tetrarch.share_files import (
    make_key_folder,
    naming_holders,
    seal_secret,
    sealed_file,
    sealed_keys_path,
    share_files,
)
from tetrarch.storage.database import Database
from tetrarch.storage.errors import StorageFailed
from tetrarch.storage.room import needing_room

# The share's own history, whoever holds the key: the enclave's, or in front of remote signers.
ENCLAVE_DATABASE_FILE = "database/enclave.sqlite"
PRUNE_INTERVAL_S = 3600.0
PLAIN_MEND = "stop the node, and run `tetrarch enclave seal` on its folder with --remove-keystores"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """An open source. ``watch`` runs as long as the node; it ends only by raising.

    ``enclave``: this node's own, where it signs.
    """

    service: SigningService
    enclave: EnclaveClient | None = None
    watch: Callable[[], Coroutine[Any, Any, None]]
    history: OwnHistory  # the share's own
    trouble: Callable[[], str | None] = lambda: None
    use: Callable[[DecidedData], None] = lambda _decided: None


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSetting:
    """Which source of which node."""

    folder: Path
    config: NodeConfig
    cluster: Cluster
    chain: ChainSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class _Meter:
    metrics: Metrics

    def up(self, signer: str, *, up: bool) -> None:
        self.metrics.gauge("remote_signer_up").labels(signer).set(up)

    def lied(self, signer: str) -> None:
        self.metrics.counter("remote_signer_false_signatures_total").labels(signer).inc()

    def answered(self, signer: str, kind: str, result: str, duration_s: float) -> None:
        self.metrics.counter("remote_signer_requests_total").labels(signer, kind, result).inc()
        self.metrics.histogram("remote_signer_request_seconds").labels(signer).observe(duration_s)


@asynccontextmanager
async def signing_source(  # noqa: PLR0913 - the ports of all sources
    setting: SourceSetting,
    *,
    keys: GroupKeys,
    crypto: GroupCrypto,
    compute: Compute,
    storage: Storage,
    clock: Clock,
    metrics: Metrics,
    log: Log,
) -> AsyncIterator[Source | None]:
    """The source that signs, open for the block; None where a validator client signs.

    Raises:
        OperatorError: it cannot be opened; says which file, key or signer.
    """
    source = setting.config.signing
    if setting.config.keymanager.enabled and source is not SigningSource.ENCLAVE:
        raise ConfigInvalid(
            "open keymanager", setting="keymanager.enabled", reason="this node holds no keys"
        )
    match source:
        case SigningSource.VALIDATOR_CLIENT:
            yield None
        case SigningSource.ENCLAVE:
            async with enclave_of(
                setting.folder,
                setting.config,
                cluster=setting.cluster,
                chain=setting.chain,
                log=log,
            ) as enclave:
                yield await _own(enclave, setting, storage=storage, log=log)
        case SigningSource.REMOTE_SIGNER:
            async with _signers(setting, keys=keys, metrics=metrics, log=log) as signers:
                database = Database.open(
                    setting.folder / ENCLAVE_DATABASE_FILE, (history.SCHEMA, restored.SCHEMA)
                )
                try:
                    records = history.SlashingHistory(database)
                    with needing_room():
                        await records.bind_chain(setting.chain.forks.genesis_validators_root)
                    ports = RemoteSigningPorts(
                        signers=signers,
                        history=records,
                        keys=keys,
                        crypto=crypto,
                        compute=compute,
                        clock=clock,
                        log=log,
                    )
                    at_once = setting.config.remote_signer.requests_at_once
                    remote = RemoteSigning(ports, setting.chain, at_once=at_once)
                    yield Source(
                        service=remote,
                        history=GroupHistory(storage=database, chain=setting.chain),
                        watch=partial(_watch, signers, records, setting.chain),
                        trouble=signers.trouble,
                        use=remote.use,
                    )
                finally:
                    await database.close()


async def _own(
    enclave: EnclaveClient, setting: SourceSetting, *, storage: Storage, log: Log
) -> Source:
    """The node's own enclave, with the keymanager if there is to be one."""
    service = EnclaveSigning(enclave)
    if not setting.config.keymanager.enabled:
        return Source(service=service, enclave=enclave, watch=enclave.watch, history=service)
    keymanager, keeper = await node_keymanager(
        setting.folder,
        setting.config,
        cluster=setting.cluster,
        enclave=enclave,
        storage=storage,
        log=log,
    )

    async def watch() -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(keymanager.run())
            await enclave.watch()

    return Source(
        service=service, enclave=enclave, watch=watch, history=service, trouble=keeper.trouble
    )


def check_seal(folder: Path, config: NodeConfig) -> None:
    """Find out at once that sealed keys could not be opened, not only when a beacon node was found.

    Raises:
        SealSecretUnnamed, SealSecretMissing: nothing opens them.
    """
    secret = seal_secret(folder, config.enclave)
    if sealed_file(folder, secret) is not None and secret is not None:
        secret.check()


@asynccontextmanager
async def enclave_of(
    folder: Path, config: NodeConfig, *, cluster: Cluster, chain: ChainSpec, log: Log
) -> AsyncIterator[EnclaveClient]:
    """The enclave process of ``folder``, with its shares, for ``chain``.

    With all of them, or, where a keymanager brings them, with those that are there.
    """
    managed, meets = config.keymanager.enabled, config.meets_peers
    sealed = sealed_file(folder, seal_secret(folder, config.enclave))
    shares = share_files(folder, cluster, only_present=managed)
    with naming_holders(cluster):
        enclave = await EnclaveClient.start(
            database=folder / ENCLAVE_DATABASE_FILE,
            shares=shares,
            key_folder=make_key_folder(folder) if managed else None,
            sealed=sealed,
            readable=(folder / CLUSTER_KEY_FOLDER,) if meets else (),
            tpm=config.enclave.tpm_path,
            required=config.enclave.require,
        )
    try:
        await tell_protections(enclave, log)
        _tell_keystores(folder, shares, log)
        with needing_room():
            await enclave.configure(chain)
        yield enclave
    finally:
        await enclave.close()


def _tell_keystores(folder: Path, shares: Sequence[ShareFile], log: Log) -> None:
    """One line if shares that should be sealed by now also lie in keystores."""
    plain = sum(Path(file.keystore).exists() for file in shares)
    if plain and sealed_keys_path(folder).exists():
        log.warning("keystores_beside_seal", count=plain, mend=PLAIN_MEND)


@asynccontextmanager
async def _signers(
    setting: SourceSetting, *, keys: GroupKeys, metrics: Metrics, log: Log
) -> AsyncIterator[Signers]:
    config, folder = setting.config.remote_signer, setting.folder
    if not config.urls:
        raise ConfigInvalid("read configuration", setting="remote_signer.urls", reason="empty")
    if len(set(config.urls)) < len(config.urls):
        raise ConfigInvalid("read configuration", setting="remote_signer.urls", reason="repeated")
    files = TlsFiles(
        ca=file_of(folder, config.tls_ca_file),
        certificate=file_of(folder, config.tls_certificate_file),
        key=file_of(folder, config.tls_key_file),
    )
    token_file = file_of(folder, config.token_file)
    token = None if token_file is None else read_token(token_file)
    connector = aiohttp.TCPConnector(ssl=client_context(files), limit=config.requests_at_once)
    async with aiohttp.ClientSession(
        connector=connector, cookie_jar=aiohttp.DummyCookieJar()
    ) as session:
        signers = Signers(
            [_signer(session, url, config, token) for url in config.urls],
            shares=[keys.public_share(root, keys.own_share_index) for root in keys.pubkeys],
            log=log,
            meter=_Meter(metrics=metrics),
        )
        await signers.start(wait_s=config.start_wait_ms / 1000)
        yield signers


def _signer(
    session: aiohttp.ClientSession, url: str, config: RemoteSignerConfig, token: str | None
) -> RemoteSigner:
    return RemoteSigner(session, url, timeout_s=config.timeout_ms / 1000, token=token)


async def _watch(signers: Signers, records: history.SlashingHistory, chain: ChainSpec) -> None:
    """Keep asking who is up; once in a while turn old records into floors."""
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(signers.run())
        while True:
            await asyncio.sleep(PRUNE_INTERVAL_S)
            with contextlib.suppress(Transient, StorageFailed):
                await records.prune(slots_per_epoch=chain.slots_per_epoch)
