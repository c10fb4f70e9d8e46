"""``tetrarch run`` and ``tetrarch config``: one node from its folder."""

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from tetrarch.cli.errors import run_command
from tetrarch.config import NodeConfig, SigningSource, load_config

FolderArgument = Annotated[
    Path, typer.Argument(help="The node's folder, as `tetrarch cluster create` wrote it.")
]
BeaconNodeOption = Annotated[
    list[str] | None,
    typer.Option("--beacon-node", help="URL of a beacon node's HTTP API. May be repeated."),
]
FallbackOption = Annotated[
    list[str] | None,
    typer.Option(
        "--fallback-beacon-node", help="One for when none of the others is well. May be repeated."
    ),
]
SigningOption = Annotated[
    SigningSource | None,
    typer.Option("--signing", help="Who signs: enclave, validator_client or remote_signer."),
]
RemoteSignerOption = Annotated[
    list[str] | None,
    typer.Option("--remote-signer", help="URL of a remote signer. May be repeated."),
]
BuilderOption = Annotated[
    bool | None,
    typer.Option(
        "--builder-api/--no-builder-api", help="Ask for builder blocks; alike on all nodes."
    ),
]
ApiPortOption = Annotated[
    int | None, typer.Option("--validator-api-port", help="Port for validator clients.")
]
MonitoringPortOption = Annotated[
    int | None, typer.Option("--monitoring-port", help="Port for metrics and health.")
]
JsonLogOption = Annotated[bool, typer.Option("--json", help="Log lines as JSON objects.")]
LevelOption = Annotated[
    str | None, typer.Option("--log-level", help="debug, info, warning or error.")
]

PassphraseOption = Annotated[
    Path | None, typer.Option("--passphrase-file", help="Opens this folder's sealed keys.")
]
KeyFileOption = Annotated[
    Path | None, typer.Option("--key-file", help="Opens them, if a key file sealed them.")
]

TrustOption = Annotated[
    bool,
    typer.Option(
        "--trust-own-history",
        help="Sign without asking the peers what they saw this node's share sign. Only while the "
        "peers needed are gone for good and this folder is certainly the newest: on an older one "
        "the node can sign something slashable.",
    ),
]

RiskOption = Annotated[
    bool,
    typer.Option(
        "--accept-rollback-risk",
        help="--trust-own-history for a folder that was restored from a backup: sign although nobody "
        "tells what its keys signed since. If they did, validators can be slashed.",
    ),
]


def _config(
    folder: Path,
    *,
    beacon_node: list[str] | None,
    fallback_beacon_node: list[str] | None,
    signing: SigningSource | None,
    remote_signer: list[str] | None,
    builder_api: bool | None,
    validator_api_port: int | None,
    monitoring_port: int | None,
    as_json: bool,
    log_level: str | None,
    passphrase_file: Path | None,
    key_file: Path | None,
) -> NodeConfig:
    return load_config(
        folder,
        flags={
            "beacon_node.urls": beacon_node or None,
            "beacon_node.fallback_urls": fallback_beacon_node or None,
            "signing": None if signing is None else signing.value,
            "remote_signer.urls": remote_signer or None,
            "builder_api": builder_api,
            "validator_api.listen_port": validator_api_port,
            "monitoring.listen_port": monitoring_port,
            "log.format": "json" if as_json else None,
            "log.level": log_level,
            "enclave.passphrase_file": passphrase_file and str(passphrase_file.absolute()),
            "enclave.key_file": key_file and str(key_file.absolute()),
        },
    )


@run_command
def run(
    folder: FolderArgument,
    beacon_node: BeaconNodeOption = None,
    fallback_beacon_node: FallbackOption = None,
    signing: SigningOption = None,
    remote_signer: RemoteSignerOption = None,
    builder_api: BuilderOption = None,
    validator_api_port: ApiPortOption = None,
    monitoring_port: MonitoringPortOption = None,
    as_json: JsonLogOption = False,
    log_level: LevelOption = None,
    passphrase_file: PassphraseOption = None,
    key_file: KeyFileOption = None,
    trust_own_history: TrustOption = False,
    accept_rollback_risk: RiskOption = False,
) -> None:
    """Run one node until SIGTERM or Ctrl-C.

    Flags beat environment (TETRARCH_BEACON_NODE__URLS) beat FOLDER/tetrarch.toml beat default.

    Example: tetrarch run cluster/node0 --beacon-node http://127.0.0.1:5052

    Exit codes: 0 stopped as asked, 65 cluster files are wrong, 66 a file is missing, 69 beacon
    node or port not available, 74 disk, 78 configuration, 70 a bug.
    """
    from tetrarch.launch import run_node  # noqa: PLC0415 - keeps `--help` fast
    from tetrarch.observability.metered_loop import run_metered  # noqa: PLC0415 - the same

    config = _config(
        folder,
        beacon_node=beacon_node,
        fallback_beacon_node=fallback_beacon_node,
        signing=signing,
        remote_signer=remote_signer,
        builder_api=builder_api,
        validator_api_port=validator_api_port,
        monitoring_port=monitoring_port,
        as_json=as_json,
        log_level=log_level,
        passphrase_file=passphrase_file,
        key_file=key_file,
    )
    run_metered(
        run_node(
            folder,
            config,
            trusts_own_history=trust_own_history or accept_rollback_risk,
            accepts_rollback_risk=accept_rollback_risk,
        )
    )


@run_command
def show_config(
    folder: FolderArgument,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Print the configuration that `run` would use, from file and environment.

    Example: tetrarch config cluster/node0 --json

    Exit codes: 0 valid, 78 not valid.
    """
    config = load_config(folder)
    if as_json:
        typer.echo(msgspec.json.format(msgspec.json.encode(config)).decode())
        return
    for name, value in sorted(_flat("", msgspec.to_builtins(config)).items()):
        typer.echo(f"{name} = {value}")


def _flat(prefix: str, tree: object) -> dict[str, object]:
    if not isinstance(tree, dict) or not tree:
        return {prefix: tree}
    flat: dict[str, object] = {}
    for name, value in tree.items():
        flat |= _flat(f"{prefix}.{name}" if prefix else str(name), value)
    return flat
