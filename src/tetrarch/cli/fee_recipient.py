"""``tetrarch fee-recipient``: let blocks pay somebody else, by a new builder registration."""

import json
from typing import Annotated, Any

import typer

from tetrarch.cli.asked import (
    AsJson,
    Folder,
    Validators,
    confirm,
    lasting_rows,
    refuse_client_mode,
    selected,
)
from tetrarch.cli.errors import run_command
from tetrarch.clock import SystemClock
from tetrarch.cluster.deposits import GAS_LIMIT_DEFAULT
from tetrarch.cluster.load import load_cluster
from tetrarch.cluster.text import parse_hex
from tetrarch.cluster.types import Cluster
from tetrarch.duties.requested import RegistrationRequest
from tetrarch.duties.types import DutyType, PubKey, RegistrationPayload
from tetrarch.errors import ConfigInvalid, InputInvalid
from tetrarch.ethereum.spec.messages import ValidatorRegistration
from tetrarch.operator_files import ADDRESS_SIZE_BYTES, OperatorFolder, write_request

app = typer.Typer(
    name="fee-recipient",
    help="Change whom blocks pay: a threshold of operators must ask for the same.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

AHEAD_MAX_S = 600  # a timestamp further ahead is taken for a mistake


@app.command()
@run_command
def sign(
    folder: Folder,
    fee_recipient: Annotated[
        str, typer.Option("--fee-recipient", metavar="0x...", help="Whom blocks shall pay.")
    ],
    validators: Validators = None,
    every: Annotated[bool, typer.Option("--all", help="Every validator of the cluster.")] = False,
    gas_limit: Annotated[
        int, typer.Option(min=1, max=2**62, help="For the builders.")
    ] = GAS_LIMIT_DEFAULT,
    timestamp: Annotated[
        int | None,
        typer.Option(min=1, help="Unix seconds; the first operator's, alike on all nodes."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Ask this operator's node to sign new builder registrations.

    Once a threshold of operators asked for the same (address, gas limit and timestamp), all nodes
    send it to builders each epoch, and have their own blocks pay the new address.

    \b
    Example: tetrarch fee-recipient sign my-cluster/node0 --all --fee-recipient 0x388c81...
    Exit codes: 0 asked for, 65 cluster files are wrong, 66 a file is missing, 73 not writable,
    78 a wrong option, no such validator, or a validator client signs for this node.
    """  # noqa: D301 - \b keeps the help\'s lines
    cluster = load_cluster(folder)
    refuse_client_mode(folder, "use an overrides file, signed by nodes that sign by themselves")
    recipient, chosen = _address(fee_recipient), selected(cluster, validators, every=every)
    now_s = int(SystemClock().wall_s())
    time_s = now_s if timestamp is None else timestamp
    _check_time(time_s, now_s, _newest(folder, cluster), chosen)
    confirm(
        f"Blocks of {len(chosen)} validator(s) shall pay 0x{recipient.hex()}. Ask for it?", yes=yes
    )
    for pubkey in chosen:
        message = ValidatorRegistration(
            fee_recipient=recipient, gas_limit=gas_limit, timestamp=time_s, pubkey=pubkey
        )
        write_request(folder, RegistrationRequest(message=message))
    if as_json:
        typer.echo(json.dumps({"timestamp": time_s, "validators": len(chosen)}))
        return
    which = "--all" if every else " ".join(f"--validator 0x{key.hex()}" for key in chosen)
    typer.echo(
        f"asked; {cluster.threshold} operators must ask for the same. The others run:\n"
        f"tetrarch fee-recipient sign FOLDER {which} --fee-recipient 0x{recipient.hex()}"
        f" --gas-limit {gas_limit} --timestamp {time_s}"
    )


@app.command("list")
@run_command
def list_(folder: Folder, as_json: AsJson = False) -> None:
    """List whom each validator's blocks pay, and what is asked for and not signed yet.

    What an overrides file says is not shown: the running node logs it (registration_adopted).

    \b
    Example: tetrarch fee-recipient list my-cluster/node0
    Exit codes: 0 listed, 65 cluster files are wrong, 66 a file is missing.
    """  # noqa: D301 - \b keeps the help\'s lines
    cluster = load_cluster(folder)
    newest = _newest(folder, cluster)
    waiting = [
        each.message
        for each in OperatorFolder.requests_of(folder)
        if isinstance(each, RegistrationRequest)
        and each.pubkey in newest
        and each.message.timestamp > newest[each.pubkey].timestamp
    ]
    if as_json:
        told = {"registrations": [_told(each) for each in newest.values()]}
        typer.echo(json.dumps(told | {"waiting": [_told(each) for each in waiting]}))
        return
    for state, messages in (("pays", tuple(newest.values())), ("waits:", tuple(waiting))):
        for each in messages:
            typer.echo(
                f"0x{each.pubkey.hex()} {state} 0x{each.fee_recipient.hex()}"
                f" gas limit {each.gas_limit} timestamp {each.timestamp}"
            )


def _told(message: ValidatorRegistration) -> dict[str, Any]:
    return message.to_json()


def _newest(folder: Folder, cluster: Cluster) -> dict[PubKey, ValidatorRegistration]:
    """What the lock says, or the group has signed since."""
    newest = {each.pubkey: each.registration.signed().message for each in cluster.validators}
    for pubkey, payload in lasting_rows(folder, DutyType.BUILDER_REGISTRATION).signed:
        key = PubKey(pubkey)
        if isinstance(payload, RegistrationPayload) and key in newest:
            newest[key] = max(newest[key], payload.message, key=lambda each: each.timestamp)
    return newest


def _address(text: str) -> bytes:
    try:
        address = parse_hex(text.lower(), size=ADDRESS_SIZE_BYTES, field="--fee-recipient")
    except InputInvalid as error:
        raise ConfigInvalid("read options", reason=error) from error
    if not any(address):
        raise ConfigInvalid("read options", option="--fee-recipient", reason="is zero")
    return address


def _check_time(
    time_s: int,
    now_s: int,
    newest: dict[PubKey, ValidatorRegistration],
    chosen: tuple[PubKey, ...],
) -> None:
    if time_s > now_s + AHEAD_MAX_S:
        raise ConfigInvalid("read options", option="--timestamp", got=time_s, now=now_s)
    latest = max(newest[pubkey].timestamp for pubkey in chosen)
    if time_s <= latest:
        raise ConfigInvalid(
            "read options", option="--timestamp", got=time_s, expected=f"after {latest}"
        )
