"""``tetrarch signer``: an enclave for other software, behind the Web3Signer API."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from tetrarch.cli.errors import run_command
from tetrarch.cli.run import KeyFileOption, PassphraseOption
from tetrarch.config import load_config


@run_command
def signer(
    folder: Annotated[
        Path, typer.Argument(help="The cluster's two files and one node's keystores.")
    ],
    beacon_node: Annotated[
        str | None, typer.Option("--beacon-node", help="Tells the chain at the first start.")
    ] = None,
    listen_host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    listen_port: Annotated[int | None, typer.Option(help="Port; default 9000.")] = None,
    tls_certificate: Annotated[str | None, typer.Option(help="PEM file: serve TLS.")] = None,
    tls_key: Annotated[str | None, typer.Option(help="PEM file, the certificate's key.")] = None,
    tls_client_ca: Annotated[
        str | None, typer.Option(help="PEM file: callers need a certificate of it.")
    ] = None,
    token_file: Annotated[
        str | None, typer.Option(help="Callers need the bearer token in this file.")
    ] = None,
    keymanager: Annotated[
        bool | None, typer.Option("--keymanager/--no-keymanager", help="Serve that API, too.")
    ] = None,
    keymanager_port: Annotated[int | None, typer.Option(help="Port; default 3630.")] = None,
    monitoring_port: Annotated[int | None, typer.Option(help="Port for metrics.")] = None,
    accept_rollback_risk: Annotated[
        bool,
        typer.Option(
            "--accept-rollback-risk",
            help="Serve a folder that was restored from a backup, although nobody tells a signer "
            "what its keys signed since. If they did, validators can be slashed.",
        ),
    ] = False,
    node: Annotated[
        int | None, typer.Option(help="Whose shares, if nothing in the folder tells.")
    ] = None,
    passphrase_file: PassphraseOption = None,
    key_file: KeyFileOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Log lines as JSON objects.")] = False,
    log_level: Annotated[
        str | None, typer.Option("--log-level", help="debug, info, warning or error.")
    ] = None,
) -> None:
    """Run an enclave that nodes and validator clients can ask over the network.

    Relative file names of options, but of what opens the seal, and of FOLDER/tetrarch.toml are
    looked up in FOLDER.

    Example: tetrarch signer keys0 --beacon-node http://127.0.0.1:5052 --listen-port 9000

    Exit codes: 0 stopped as asked, 65 a file is wrong, 66 a file is missing, 69 beacon node or
    port not available, 73 in use, 74 disk, 78 configuration, 70 a bug.
    """
    from tetrarch.signer_api.run import run_signer  # noqa: PLC0415 - keeps `--help` fast

    config = load_config(
        folder,
        flags={
            "beacon_node.url": beacon_node,
            "signer_api.listen_host": listen_host,
            "signer_api.listen_port": listen_port,
            "signer_api.tls_certificate_file": tls_certificate,
            "signer_api.tls_key_file": tls_key,
            "signer_api.tls_client_ca_file": tls_client_ca,
            "signer_api.token_file": token_file,
            "keymanager.enabled": keymanager,
            "keymanager.listen_port": keymanager_port,
            "monitoring.listen_port": monitoring_port,
            "log.format": "json" if as_json else None,
            "log.level": log_level,
            "enclave.passphrase_file": passphrase_file and str(passphrase_file.absolute()),
            "enclave.key_file": key_file and str(key_file.absolute()),
        },
    )
    asyncio.run(run_signer(folder, config, node=node, accepts_rollback_risk=accept_rollback_risk))
