"""The whole configuration of one node, as one frozen value.

Flags beat environment beat file beat default. The file is ``tetrarch.toml`` in the node's
folder; a misspelt key is an error, never a silently ignored line.
"""

import os
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import msgspec

from tetrarch.attestation.policy import Demand
from tetrarch.decoding import UNDECODABLE
from tetrarch.enclave.protections import Protection
from tetrarch.errors import ConfigInvalid

FILE_NAME = "tetrarch.toml"
FILE_SIZE_BYTES_MAX = 1 << 20
GRAFFITI_SIZE_BYTES_MAX = 32  # as UTF-8
ENVIRONMENT_PREFIX = "TETRARCH_"

Milliseconds: TypeAlias = Annotated[int, msgspec.Meta(ge=1, le=600_000)]
Port: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=65_535)]  # 0: any free one
Urls: TypeAlias = Annotated[tuple[str, ...], msgspec.Meta(max_length=16)]
Names: TypeAlias = Annotated[tuple[str, ...], msgspec.Meta(max_length=256)]

DEFAULT_BEACON_NODE_URL = "http://127.0.0.1:5052"
# Settings that stand for each other: one that a higher layer sets takes the other's place.
_ALTERNATIVES = {
    "beacon_node.url": "beacon_node.urls",
    "beacon_node.urls": "beacon_node.url",
    "enclave.passphrase_file": "enclave.key_file",
    "enclave.key_file": "enclave.passphrase_file",
}
_LISTS = frozenset(  # commas in a variable
    {
        "beacon_node.urls",
        "beacon_node.fallback_urls",
        "remote_signer.urls",
        "signer_api.allowed_hosts",
        "enclave.require",
        "attestation.allowed_enclaves",
        "overlay.listen",
        "overlay.trusted",
        "overlay.privileged",
        "overlay.layers",
        "overlay.proxies",
        "overlay.proxy_certificates",
    }
)


class SigningSource(StrEnum):
    """Who signs with this node's shares. Exactly one: two could sign different things."""

    ENCLAVE = "enclave"  # the node's own signer
    VALIDATOR_CLIENT = "validator_client"  # a client behind the validator API
    REMOTE_SIGNER = "remote_signer"  # one or several Web3Signer-compatible signers


class _Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table of the file."""


class BeaconNodeConfig(_Section, frozen=True):
    """The beacon nodes: ``url`` for one, or ``urls``. They may carry credentials; those are never logged.

    ``fallback_urls`` are used only while none of the others is healthy.
    """

    url: str = ""
    urls: Urls = ()
    fallback_urls: Urls = ()
    timeout_ms: Milliseconds = 2_000
    production_timeout_ms: Milliseconds = 12_000
    submit_timeout_ms: Milliseconds = 4_000
    proxy_idle_timeout_ms: Milliseconds = 10_000  # between two pieces of a proxied answer
    start_wait_ms: Milliseconds = 30_000  # a node that starts gives up after that

    def __post_init__(self) -> None:
        if self.url and self.urls:
            raise ValueError("url is for one beacon node and urls for several: set one of them")

    @property
    def primary_urls(self) -> tuple[str, ...]:
        """Those that are asked first."""
        return self.urls or (self.url or DEFAULT_BEACON_NODE_URL,)


class MeshConfig(_Section, frozen=True):
    """Where the peers reach this node, and where they are when the lock does not say."""

    listen_host: str = ""  # empty: what the cluster's files say
    listen_port: Port = 0  # 0: what the cluster's files say
    peers: dict[str, str] = {}  # peer number (from 0) -> "host:port"
    clock_offset_ms_max: Milliseconds = 1_000


class ValidatorApiConfig(_Section, frozen=True):
    """The listener for validator clients; open only when a validator client signs.

    Files are found from the node's folder on; empty: none is asked for.
    """

    listen_host: str = "127.0.0.1"
    listen_port: Port = 3600
    request_timeout_ms: Milliseconds = 10_000  # the longest that a client waits for an agreement
    token_file: str = ""
    tls_certificate_file: str = ""
    tls_private_key_file: str = ""


class EnclaveConfig(_Section, frozen=True):
    """The process that holds the shares. ``require``: it does not open without these.

    One of the three files opens its sealed keys; found from the node's folder on, empty: no seal.
    """

    require: tuple[Protection, ...] = ()
    passphrase_file: str = ""
    key_file: str = ""  # 32 bytes
    tpm_key_file: str = ""  # as `tetrarch enclave tpm-key` makes it
    tpm: str = ""  # opens tpm_key_file and vouches for the enclave, as "/dev/tpmrm0"

    def __post_init__(self) -> None:
        named = [self.passphrase_file, self.key_file, self.tpm_key_file]
        if len(named) - named.count("") > 1:
            raise ValueError(
                "a seal opens by passphrase_file, key_file or tpm_key_file: set one of them"
            )
        if self.tpm_key_file and not self.tpm:
            raise ValueError("tpm_key_file needs a tpm")

    @property
    def tpm_path(self) -> Path | None:
        """The device or socket, if one is named."""
        return Path(self.tpm) if self.tpm else None


class AttestationConfig(_Section, frozen=True):
    """Whether the nodes of the cluster show each other what their enclaves are: on all nodes alike.

    ``demand``: what becomes of a peer without evidence that is accepted; required, it is not heard.
    ``allowed_enclaves``: as `tetrarch enclave measure` prints them.
    """

    demand: Demand = Demand.OFF
    allowed_enclaves: Annotated[tuple[str, ...], msgspec.Meta(max_length=64)] = ()


class ElectionConfig(_Section, frozen=True):
    """Whether the nodes of the cluster elect a leader, and how: all alike but the counter."""

    enabled: bool = False
    mode: Annotated[str, msgspec.Meta(pattern="^(bft|crash)$")] = "bft"
    rule: Annotated[str, msgspec.Meta(pattern="^(lowest|round-robin|beacon)$")] = "lowest"
    lease_ms: Annotated[int, msgspec.Meta(ge=0, le=3_600_000)] = 0
    heartbeat_ms: Annotated[int, msgspec.Meta(ge=20, le=60_000)] = 250
    tpm_counter: bool = False  # of [enclave] tpm: it shows which state is the newest
    accept_cold_start: bool = False  # begin although all nodes were down at once


class OverlayConfig(_Section, frozen=True):
    """The node's part in the open network. Addresses are IP:PORT; what others mean stands in docs/explanation/overlay.md.

    ``chain`` names its first block; empty: the cluster's own, whose nodes are then alone on it.
    ``public``: an address, ``none``, ``auto``, ``auto:PORT``, or empty for the first of ``listen``. ``privileged``:
    addresses or node ids. Interests: ``none``, ``low``, ``normal`` or ``high``.
    """

    enabled: bool = False
    listen: Urls = ("0.0.0.0:3640",)
    public: str = ""
    chain: str = ""
    trusted: Urls = ()
    privileged: Names = ()
    layers: Urls = ("rings", "vicinity", "cyclon")
    fragments_interest: str = "normal"
    blocks_interest: str = "normal"
    private_addresses: bool = False
    plain: bool = False
    plain_nodes: bool = False
    proxies: Urls = ()
    proxy_certificates: Urls = ()
    round_ms: Milliseconds = 10_000
    quarantine_ms: Annotated[int, msgspec.Meta(ge=1_000, le=86_400_000)] = 600_000
    quarantine_ms_max: Annotated[int, msgspec.Meta(ge=1_000, le=604_800_000)] = 86_400_000
    policy: dict[str, float] = {}  # rules by name
    nodes_max: Annotated[int, msgspec.Meta(ge=16, le=65_536)] = 1_024
    nodes_of_network_max: Annotated[int, msgspec.Meta(ge=1, le=65_536)] = 8
    nodes_of_introducer_max: Annotated[int, msgspec.Meta(ge=1, le=65_536)] = 256


class RemoteSignerConfig(_Section, frozen=True):
    """The remote signers, used only when they sign. Files may be named from the node's folder."""

    urls: Urls = ()  # in the order in which they are asked
    tls_ca_file: str = ""  # empty: the host's own list
    tls_certificate_file: str = ""  # ours, for signers that want one
    tls_key_file: str = ""
    token_file: str = ""  # a bearer token, for signers that want one
    timeout_ms: Milliseconds = 2_000  # for one signature of one signer
    requests_at_once: Annotated[int, msgspec.Meta(ge=1, le=1_024)] = 64
    start_wait_ms: Milliseconds = 30_000  # a node that starts gives up after that


class SignerApiConfig(_Section, frozen=True):
    """The listener of `tetrarch signer` for other software."""

    listen_host: str = "127.0.0.1"
    listen_port: Port = 9000
    tls_certificate_file: str = ""  # empty: no TLS
    tls_key_file: str = ""
    tls_client_ca_file: str = ""  # callers need a certificate of it
    token_file: str = ""  # callers need this bearer token
    allowed_hosts: Urls = ("localhost", "127.0.0.1", "::1")  # "*": any


class KeymanagerConfig(_Section, frozen=True):
    """The keymanager listener, where there is an enclave. Callers need its bearer token."""

    enabled: bool = False
    listen_host: str = "127.0.0.1"
    listen_port: Port = 3630
    tls_certificate_file: str = ""
    tls_key_file: str = ""
    token_file: str = "keymanager-token"  # noqa: S105 - a name; written at the first start


class MonitoringConfig(_Section, frozen=True):
    """The listener for metrics, health and the duties' reports.

    ``debug`` keeps the newest consensus messages in memory and serves them.
    """

    listen_host: str = "127.0.0.1"
    listen_port: Port = 3620
    debug: bool = False


class TracingConfig(_Section, frozen=True):
    """Where traces go: an OpenTelemetry collector's OTLP/HTTP address. Empty: nowhere."""

    endpoint: str = ""


class LogConfig(_Section, frozen=True):
    """How log lines look, and how many there are."""

    format: Annotated[str, msgspec.Meta(pattern="^(console|json)$")] = "console"
    level: Annotated[str, msgspec.Meta(pattern="^(debug|info|warning|error)$")] = "info"


class NodeConfig(_Section, frozen=True):
    """Everything an operator can set. Secrets are in files of the node's folder, never here."""

    signing: SigningSource = SigningSource.ENCLAVE
    builder_api: bool = False
    attest_on_head: bool = True  # once the slot's block is there, not only after a third of it
    nickname: Annotated[str, msgspec.Meta(max_length=32)] = ""  # what peers see
    doppelganger_detection: bool = False  # sign nothing for two epochs, and look who else does
    graffiti: Annotated[str, msgspec.Meta(max_length=32)] = "tetrarch"
    beacon_node: BeaconNodeConfig = BeaconNodeConfig()
    mesh: MeshConfig = MeshConfig()
    validator_api: ValidatorApiConfig = ValidatorApiConfig()
    enclave: EnclaveConfig = EnclaveConfig()
    attestation: AttestationConfig = AttestationConfig()
    election: ElectionConfig = ElectionConfig()
    overlay: OverlayConfig = OverlayConfig()
    remote_signer: RemoteSignerConfig = RemoteSignerConfig()
    signer_api: SignerApiConfig = SignerApiConfig()
    keymanager: KeymanagerConfig = KeymanagerConfig()
    monitoring: MonitoringConfig = MonitoringConfig()
    log: LogConfig = LogConfig()
    tracing: TracingConfig = TracingConfig()

    def __post_init__(self) -> None:
        if self.election.tpm_counter and not self.enclave.tpm:
            raise ValueError("election.tpm_counter needs enclave.tpm")

    @property
    def meets_peers(self) -> bool:
        """Whether this node's enclave meets those of its peers."""
        return self.election.enabled or self.attestation.demand is not Demand.OFF


def load_config(
    folder: Path,
    *,
    flags: Mapping[str, object] | None = None,
    environment: Mapping[str, str] | None = None,
) -> NodeConfig:
    """Read ``tetrarch.toml`` in ``folder`` (it may be absent) and lay the others over it.

    Args:
        folder: the node's folder.
        flags: dotted names to values, as ``beacon_node.url``; None values are not set.
        environment: variables such as ``TETRARCH_BEACON_NODE__URL``; the process's by default.

    Raises:
        ConfigInvalid: the file cannot be read, is not TOML or breaks a rule; says which key.
    """
    path = folder / FILE_NAME
    merged = _read_file(path)
    try:
        msgspec.convert(merged, type=NodeConfig)
    except msgspec.ValidationError as error:
        raise ConfigInvalid("read configuration", file=path, reason=error) from error
    variables = os.environ if environment is None else environment
    settings = {
        name.removeprefix(ENVIRONMENT_PREFIX).lower().replace("__", "."): text
        for name, text in sorted(variables.items())
        if name.startswith(ENVIRONMENT_PREFIX) and name != "TETRARCH_VECTORS"
    }
    _lay_over(merged, settings)
    _lay_over(merged, {name: value for name, value in (flags or {}).items() if value is not None})
    try:
        # Not strict: variables are text, whatever the setting's type.
        config = msgspec.convert(merged, type=NodeConfig, strict=False)
    except msgspec.ValidationError as error:
        origin = "environment or flags"  # the file alone was right
        raise ConfigInvalid("read configuration", where=origin, reason=error) from error
    if len(config.graffiti.encode()) > GRAFFITI_SIZE_BYTES_MAX:
        raise ConfigInvalid("read configuration", setting="graffiti", expected="at most 32 bytes")
    return config


def _read_file(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > FILE_SIZE_BYTES_MAX:
            raise ConfigInvalid("read configuration", file=path, reason="larger than 1 MiB")
        decoded: dict[str, Any] = msgspec.toml.decode(path.read_bytes())
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ConfigInvalid("read configuration", file=path, reason=error.strerror) from error
    except UNDECODABLE as error:
        raise ConfigInvalid("read configuration", file=path, reason=error) from error
    return decoded


def _lay_over(tree: dict[str, Any], settings: Mapping[str, object]) -> None:
    """Set all ``settings`` of one layer."""
    for dotted, value in settings.items():
        other = _ALTERNATIVES.get(dotted)
        if other is not None and other not in settings:
            section, _, key = other.rpartition(".")
            _table(tree, section, setting=dotted).pop(key, None)
        if dotted in _LISTS and isinstance(value, str):
            value = [part.strip() for part in value.split(",") if part.strip()]  # noqa: PLW2901
        section, _, key = dotted.rpartition(".")
        _table(tree, section, setting=dotted)[key] = value


def _table(tree: dict[str, Any], dotted: str, *, setting: str) -> dict[str, Any]:
    for section in filter(None, dotted.split(".")):
        tree = tree.setdefault(section, {})
        if not isinstance(tree, dict):
            raise ConfigInvalid("read configuration", setting=setting, reason="not a table")
    return tree
