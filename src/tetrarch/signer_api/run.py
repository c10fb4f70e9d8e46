"""``tetrarch signer``: brings an enclave and its listeners up, and down again."""

import sys
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from tetrarch import __version__
from tetrarch.clock import Clock, SystemClock
from tetrarch.cluster.types import Cluster
from tetrarch.config import NodeConfig, SignerApiConfig
from tetrarch.enclave.client import EnclaveClient
from tetrarch.enclave.errors import FolderRestored
from tetrarch.entropy import system_entropy
from tetrarch.errors import OperatorError
from tetrarch.ethereum.beacon_node.client import connect_beacon_node
from tetrarch.ethereum.spec.chain import ChainSpec
from tetrarch.keymanager.keeper import KeyKeeper
from tetrarch.keymanager.of_node import held_keys
from tetrarch.keymanager.open import keymanager_listen
from tetrarch.keymanager.server import KeymanagerServer
from tetrarch.observability.logs import Log, LogFormat, LogLevel, build_log
from tetrarch.observability.metrics import Metrics
from tetrarch.observability.monitoring import Monitoring
from tetrarch.remote_signer.access import TlsFiles, file_of, read_token, server_context
from tetrarch.signer_api.api import HeldKeys, SignerApi
from tetrarch.signer_api.batches import Batches
from tetrarch.signer_api.chain_memory import learn_chain
from tetrarch.signer_api.guard import Guard, check_listener
from tetrarch.signer_api.holder import load_holder
from tetrarch.signer_api.server import Listen, SignerServer
from tetrarch.signing_source import check_seal, enclave_of
from tetrarch.stop_signals import on_stop_signal
from tetrarch.storage.folders import make_folder
from tetrarch.supervision import Supervisor, sole_cause


class SignerChainDiffers(OperatorError):
    """The beacon node follows another chain than the signer's cluster was made for."""

    code = "signer_chain_differs"
    mend = "use a beacon node of the cluster's network"


async def run_signer(
    folder: Path,
    config: NodeConfig,
    *,
    node: int | None = None,
    clock: Clock | None = None,
    accepts_rollback_risk: bool = False,
) -> None:
    """Serve the enclave of ``folder`` until SIGTERM or SIGINT.

    Args:
        folder: the cluster's two files and the keystores of one node.
        config: what the operator set.
        node: whose shares they are, where nothing in the folder tells.
        clock: the host's clock by default.
        accepts_rollback_risk: serve a folder that was restored from a backup: nobody tells a signer
            what its keys signed since.

    Raises:
        FolderRestored: it was, and that is not accepted.
        OperatorError: a person must mend something; nothing was lost.
    """
    clock, metrics = clock or SystemClock(), Metrics()
    log = build_log(
        sys.stderr,
        clock=clock,
        log_format=LogFormat(config.log.format),
        level=LogLevel[config.log.level.upper()],
        on_line=metrics.count_log_line,
    )
    cluster = load_holder(folder, node=node)
    launch = _Launch(
        folder=folder,
        config=config,
        cluster=cluster,
        metrics=metrics,
        log=log.bind(node=cluster.peer_index),
        accepts_rollback_risk=accepts_rollback_risk,
    )
    try:
        async with AsyncExitStack() as stack:
            await launch.run(stack)
    except BaseExceptionGroup as group:
        raise sole_cause(group) from group


@dataclass(frozen=True, slots=True, kw_only=True)
class _Meter:
    metrics: Metrics

    def answered(self, kind: str, status: int, duration_s: float) -> None:
        self.metrics.counter("signer_api_requests_total").labels(kind, str(status)).inc()
        self.metrics.histogram("signer_api_request_seconds").labels(kind).observe(duration_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Launch:
    folder: Path
    config: NodeConfig
    cluster: Cluster
    metrics: Metrics
    log: Log
    accepts_rollback_risk: bool

    async def run(self, stack: AsyncExitStack) -> None:
        """Bring everything up in order, run, bring it down in reverse."""
        listen = signer_listen(self.folder, self.config.signer_api)
        managing = (
            keymanager_listen(self.folder, self.config.keymanager, entropy=system_entropy)
            if self.config.keymanager.enabled
            else None
        )
        check_seal(self.folder, self.config)
        make_folder(self.folder / "database")
        chain = await self._chain()
        enclave = await stack.enter_async_context(
            enclave_of(self.folder, self.config, cluster=self.cluster, chain=chain, log=self.log)
        )
        await self._refuse_restored(enclave)
        keys = await held_keys(enclave, self.cluster)
        batches = Batches(enclave)
        api = SignerApi(sign=batches.sign, keys=keys, chain=chain)
        server = SignerServer(api, listen=listen, log=self.log, meter=_Meter(metrics=self.metrics))
        async with Supervisor(self.log) as tasks:
            self._stop_on_signals(tasks)
            tasks.spawn(enclave.watch(), name="enclave")
            tasks.spawn(batches.run(), name="batches")
            tasks.spawn(self._monitoring().run(), name="monitoring")
            tasks.spawn(server.run(), name="signer-api")
            await server.listening.wait()
            if managing is not None:
                keymanager = self._keymanager(enclave, keys, managing)
                tasks.spawn(keymanager.run(), name="keymanager")
                await keymanager.listening.wait()
            self._tell_started(keys, enclave)

    async def _refuse_restored(self, enclave: EnclaveClient) -> None:
        if not (await enclave.status()).is_restored:
            return
        if not self.accepts_rollback_risk:
            raise FolderRestored("serve keys", folder=self.folder)
        await enclave.recover()
        self.log.warning("rollback_risk_accepted", folder=str(self.folder))

    def _keymanager(
        self, enclave: EnclaveClient, keys: HeldKeys, listen: Listen
    ) -> KeymanagerServer:
        keeper = KeyKeeper(
            folder=self.folder, cluster=self.cluster, enclave=enclave, held=keys, log=self.log
        )
        return KeymanagerServer(keeper, listen=listen, graffiti=self.config.graffiti, log=self.log)

    async def _chain(self) -> ChainSpec:
        config = self.config.beacon_node
        async with AsyncExitStack() as stack:
            beacon_nodes = [
                await stack.enter_async_context(connect_beacon_node(url))
                for url in config.primary_urls + config.fallback_urls
            ]
            wait_s = config.start_wait_ms / 1000
            chain = await learn_chain(self.folder, beacon_nodes, wait_s=wait_s, log=self.log)
        if chain.forks.genesis_fork_version != self.cluster.fork_version:
            raise SignerChainDiffers(
                "check chain",
                beacon_node_fork="0x" + chain.forks.genesis_fork_version.hex(),
                cluster_fork="0x" + self.cluster.fork_version.hex(),
            )
        return chain

    def _monitoring(self) -> Monitoring:
        return Monitoring(
            host=self.config.monitoring.listen_host,
            port=self.config.monitoring.listen_port,
            metrics=self.metrics,
            reasons=tuple,
            log=self.log,
        )

    def _tell_started(self, keys: HeldKeys, enclave: EnclaveClient) -> None:
        self.metrics.gauge("node_info").labels(
            __version__, self.cluster.lock_hash.hex()[:7], str(self.cluster.peer_index)
        ).set(1)
        self.log.info(
            "signer_started",
            cluster=self.cluster.lock_hash.hex()[:7],
            shares=len(keys.shares()),
            enclave=enclave.process_id,
        )

    def _stop_on_signals(self, tasks: Supervisor) -> None:
        def stop(name: str) -> None:
            self.log.info("signer_stopping", signal=name)
            tasks.stop()

        on_stop_signal(stop)


def signer_listen(folder: Path, config: SignerApiConfig) -> Listen:
    """The signer API's listener, from the configuration.

    Raises:
        OperatorError: a file cannot be used, or others could use the listener unseen.
    """
    files = TlsFiles(
        ca=file_of(folder, config.tls_client_ca_file),
        certificate=file_of(folder, config.tls_certificate_file),
        key=file_of(folder, config.tls_key_file),
    )
    tls = server_context(files)
    token_file = file_of(folder, config.token_file)
    guard = Guard(
        token=None if token_file is None else read_token(token_file),
        allowed_hosts=tuple(host.lower() for host in config.allowed_hosts),
    )
    guarded = guard.token is not None or files.ca is not None
    check_listener("signer_api", config.listen_host, guarded=guarded, encrypted=tls is not None)
    return Listen(host=config.listen_host, port=config.listen_port, tls=tls, guard=guard)
