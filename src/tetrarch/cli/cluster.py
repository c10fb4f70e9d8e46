"""``tetrarch cluster``: make a cluster's files, and tell whether they are true."""

import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer

from tetrarch.cli.errors import run_command
from tetrarch.cli.keymanager import (
    KeymanagerCa,
    KeymanagerTokenFiles,
    KeymanagerUrls,
    keymanagers_of,
    upload_shares,
    uploading,
)
from tetrarch.cli.progress import progress_bar
from tetrarch.clock import Clock, SystemClock
from tetrarch.cluster.addresses import ZERO_ADDRESS, parse_address
from tetrarch.cluster.create import check_target, node_folder, write_cluster
from tetrarch.cluster.deal import DealtCluster, deal_cluster
from tetrarch.cluster.deposits import GAS_LIMIT_DEFAULT
from tetrarch.cluster.errors import EXIT_DATA, ClusterFileInvalid
from tetrarch.cluster.files import EXTENSION_FILE, LOCK_FILE
from tetrarch.cluster.findings import Finding
from tetrarch.cluster.keystore_files import keystore_paths
from tetrarch.cluster.load import read_extension, read_lock
from tetrarch.cluster.lock import Lock
from tetrarch.cluster.networks import (
    DEVELOPMENT_FORK_VERSION,
    NETWORKS,
    Network,
    network_for,
    network_named,
)
from tetrarch.cluster.plan import ClusterPlan, default_threshold
from tetrarch.cluster.root_keys import fresh_keys, interop_keys, keys_of_keystores
from tetrarch.cluster.text import parse_hex
from tetrarch.cluster.verify import verify_cluster, verify_lock
from tetrarch.crypto.bls import SecretKey
from tetrarch.entropy import system_entropy
from tetrarch.errors import ConfigInvalid, InputInvalid

app = typer.Typer(
    name="cluster",
    help="Make a cluster's files, and tell whether they are true.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
_NETWORK_NAMES = ", ".join(network.name for network in NETWORKS)


app.command(name="upload-shares")(upload_shares)

# The options of ``create``, in the order of its help.
Folder: TypeAlias = Annotated[Path, typer.Argument(metavar="DIR", help="New folder.")]
Nodes: TypeAlias = Annotated[int, typer.Option(help="How many nodes, 3 to 256.")]
Threshold: TypeAlias = Annotated[
    int | None, typer.Option(help="How many nodes sign; default two thirds, rounded up.")
]
Validators: TypeAlias = Annotated[
    int | None, typer.Option(help="How many; default 1, or as many as keys are given.")
]
FromKeystores: TypeAlias = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Split these keystore*.json, each with its .txt."),
]
Interop: TypeAlias = Annotated[
    str | None, typer.Option(metavar="A..B", help="Split the public test keys A to B.")
]
NetworkName: TypeAlias = Annotated[str | None, typer.Option(help=f"One of {_NETWORK_NAMES}.")]
ForkVersion: TypeAlias = Annotated[
    str | None, typer.Option(metavar="0x...", help="Genesis fork version of a chain of your own.")
]
GenesisTime: TypeAlias = Annotated[
    int | None, typer.Option(min=0, help="Genesis time (Unix seconds) of a chain of your own.")
]
Address: TypeAlias = Annotated[
    str | None, typer.Option(metavar="0x...", help="Required on public networks.")
]
Name: TypeAlias = Annotated[str, typer.Option(help="Shown to people.")]
GasLimit: TypeAlias = Annotated[int, typer.Option(help="For builder registrations.")]
Compounding: TypeAlias = Annotated[
    bool, typer.Option("--compounding", help="0x02 withdrawal credentials.")
]
Insecure: TypeAlias = Annotated[
    bool, typer.Option("--insecure-keystores", help="Fast, guessable encryption; not on mainnet.")
]
Host: TypeAlias = Annotated[str, typer.Option(help="Host of the address hints.")]
BasePort: TypeAlias = Annotated[
    int | None, typer.Option(help="Node i is hinted to listen on this port + i.")
]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@app.command()
@run_command
def create(
    folder: Folder,
    nodes: Nodes = 4,
    threshold: Threshold = None,
    validators: Validators = None,
    from_keystores: FromKeystores = None,
    interop: Interop = None,
    network: NetworkName = None,
    fork_version: ForkVersion = None,
    genesis_time: GenesisTime = None,
    withdrawal_address: Address = None,
    fee_recipient: Address = None,
    name: Name = "",
    gas_limit: GasLimit = GAS_LIMIT_DEFAULT,
    compounding: Compounding = False,
    insecure_keystores: Insecure = False,
    host: Host = "127.0.0.1",
    base_port: BasePort = None,
    keymanager_url: KeymanagerUrls = None,
    keymanager_token_file: KeymanagerTokenFiles = None,
    keymanager_ca_file: KeymanagerCa = None,
    as_json: AsJson = False,
) -> None:
    """Split validator keys among nodes and write a folder for each node.

    Without --network or --fork-version the cluster is for a development chain (fork version
    0x00000001), where addresses may be left out and are zero.

    \b
    Example: tetrarch cluster create --nodes 4 --validators 8 my-cluster
    Exit codes: 0 done, 2 usage, 65 a keystore is wrong, 66 a file is missing,
      69 a keymanager failed, 73 the folder exists or cannot be written, 78 options do not fit together.
    """  # noqa: D301 - \b keeps the help's lines
    clock: Clock = SystemClock()
    source = _key_source(from_keystores, interop, validators)
    plan = ClusterPlan(
        node_count=nodes,
        threshold=default_threshold(nodes) if threshold is None else threshold,
        validator_count=source.count,
        network=_network(network, fork_version, genesis_time),
        fee_recipient=_address(fee_recipient, option="--fee-recipient"),
        withdrawal_address=_address(withdrawal_address, option="--withdrawal-address"),
        created_at_s=int(clock.wall_s()),
        name=name,
        addresses=_hints(host, base_port, nodes),
        compounding=compounding,
        gas_limit=gas_limit,
        public_keys_known=source.interop is not None,
        insecure_keystores=insecure_keystores,
    )
    check_target(folder)
    keymanagers = keymanagers_of(
        keymanager_url, keymanager_token_file, keymanager_ca_file, nodes=nodes
    )
    dealt = deal_cluster(plan, _root_keys(source), entropy=system_entropy)
    with progress_bar("encrypting keystores") as report:
        write_cluster(
            dealt,
            folder,
            entropy=system_entropy,
            progress=report,
            upload=uploading(keymanagers),
        )
    _print_created(dealt, folder, as_json=as_json)


@dataclass(frozen=True, slots=True, kw_only=True)
class _KeySource:
    """Where ``count`` root keys come from: a folder, interop numbers, or else they are new."""

    count: int
    folder: Path | None
    interop: range | None


def _key_source(folder: Path | None, interop: str | None, validators: int | None) -> _KeySource:
    if folder is not None and interop is not None:
        raise ConfigInvalid("plan cluster", reason="--from-keystores and --interop exclude")
    indices = _interop_range(interop) if interop is not None else None
    given = len(keystore_paths(folder)) if folder is not None else None
    if indices is not None:
        given = len(indices)
    if given is None:
        given = 1 if validators is None else validators
    elif validators not in {None, given}:
        raise ConfigInvalid("plan cluster", validators=validators, keys_given=given)
    return _KeySource(count=given, folder=folder, interop=indices)


def _root_keys(source: _KeySource) -> tuple[SecretKey, ...]:
    if source.interop is not None:
        return interop_keys(source.interop)
    if source.folder is None:
        return fresh_keys(source.count, entropy=system_entropy)
    with progress_bar("opening keystores") as report:
        return keys_of_keystores(source.folder, progress=report)


def _interop_range(text: str) -> range:
    match = re.fullmatch(r"(\d{1,9})(?:\.\.(\d{1,9}))?", text)
    if match is None:
        raise ConfigInvalid("plan cluster", option="--interop", expected="A..B, such as 0..7")
    first = int(match[1])
    last = int(match[2]) if match[2] else first
    if last < first:
        raise ConfigInvalid("plan cluster", option="--interop", reason="the range is empty")
    return range(first, last + 1)


def _network(name: str | None, fork_version: str | None, genesis_time_s: int | None) -> Network:
    if name is not None and fork_version is not None:
        raise ConfigInvalid("plan cluster", reason="--network and --fork-version exclude")
    if name is not None:
        return network_named(name)
    version = DEVELOPMENT_FORK_VERSION
    if fork_version is not None:
        try:
            version = parse_hex(fork_version, size=4, field="--fork-version")
        except InputInvalid as error:
            raise ConfigInvalid(error.action, **error.fields) from error
    return network_for(version, genesis_time_s=genesis_time_s)


def _address(text: str | None, *, option: str) -> bytes:
    if text is None:
        return ZERO_ADDRESS
    try:
        return parse_address(text, field=option) or ZERO_ADDRESS
    except InputInvalid as error:
        raise ConfigInvalid(error.action, **error.fields) from error


def _hints(host: str, base_port: int | None, node_count: int) -> tuple[str, ...]:
    if base_port is None:
        return ()
    shown = f"[{host}]" if ":" in host else host
    return tuple(f"{shown}:{base_port + index}" for index in range(node_count))


def _print_created(dealt: DealtCluster, folder: Path, *, as_json: bool) -> None:
    plan, lock = dealt.plan, dealt.lock
    notes = []
    if ZERO_ADDRESS in {plan.fee_recipient, plan.withdrawal_address}:
        notes.append("an address is zero: whatever is paid to it is lost; development only")
    if plan.insecure_keystores:
        notes.append("keystores are insecurely encrypted: development only")
    if plan.threshold != default_threshold(plan.node_count):
        notes.append(f"threshold differs from the recommended {default_threshold(plan.node_count)}")
    if as_json:
        created = {
            "ok": True,
            "folder": str(folder),
            "nodes": [str(node_folder(folder, index)) for index in range(plan.node_count)],
            "threshold": plan.threshold,
            "validators": ["0x" + validator.pubkey.hex() for validator in lock.validators],
            "network": plan.network.name,
            "fork_version": "0x" + plan.network.genesis_fork_version.hex(),
            "lock_hash": "0x" + lock.lock_hash.hex(),
            "notes": notes,
        }
        print(json.dumps(created))
        return
    print(f"created {folder}: {_summary(lock)}, network {plan.network.name}")
    for note in notes:
        print(f"note: {note}", file=sys.stderr)


def _summary(lock: Lock) -> str:
    definition = lock.definition
    return (
        f"{len(definition.operators)} nodes, threshold {definition.threshold}, "
        f"{len(lock.validators)} validators, lock hash 0x{lock.lock_hash.hex()}"
    )


@app.command()
@run_command
def verify(
    lock: Annotated[
        Path, typer.Argument(metavar="LOCK", help="A lock file, or the folder of a node.")
    ],
    as_json: AsJson = False,
) -> None:
    """Check every hash and signature of a lock and of the extension beside it.

    Prints each thing that is wrong, with the path of the field.

    \b
    Example: tetrarch cluster verify my-cluster/node0
    Exit codes: 0 all is true, 65 something is wrong, 66 a file is missing.
    """  # noqa: D301 - \b keeps the help's lines
    path = lock / LOCK_FILE if lock.is_dir() else lock
    parsed, findings = _findings(path)
    if as_json:
        answer: dict[str, Any] = {
            "ok": not findings,
            "lock": str(path),
            "lock_hash": "0x" + parsed.lock_hash.hex() if parsed else None,
            "findings": [
                {"file": f.file, "code": f.code, "where": f.where, "problem": f.problem}
                for f in findings
            ],
        }
        print(json.dumps(answer))
    else:
        for finding in findings:
            print(finding)
        if parsed is not None and not findings:
            print(f"ok: {path}: {_summary(parsed)}")
    if findings:
        print(
            f"error: verify cluster files: {len(findings)} wrong in {path.parent}; restore both "
            "files from another operator",
            file=sys.stderr,
        )
        raise typer.Exit(EXIT_DATA)


def _findings(path: Path) -> tuple[Lock | None, list[Finding]]:
    """The parsed lock, and all that is wrong with it and its extension."""
    parsed, extension, findings = None, None, []
    try:
        parsed = read_lock(path)
    except ClusterFileInvalid as error:
        findings.append(_malformed("lock", error))
    try:
        extension = read_extension(path.parent / EXTENSION_FILE)
    except ClusterFileInvalid as error:
        findings.append(_malformed("extension", error))
    if parsed is not None and extension is not None:
        findings += verify_cluster(parsed, extension, entropy=system_entropy)
    elif parsed is not None:
        findings += verify_lock(parsed, entropy=system_entropy)
    return parsed, findings


def _malformed(file: str, error: ClusterFileInvalid) -> Finding:
    where = str(error.fields.get("field", "file"))
    reason = {name: text for name, text in error.fields.items() if name not in {"file", "field"}}
    problem = " ".join(f"{name}={text}" for name, text in reason.items()) or error.action
    return Finding(file=file, code="malformed", where=where, problem=" ".join(problem.split()))
