"""Part of ``tetrarch ledger``, and of ``tetrarch pool``: the keys of a node that does not run."""

import asyncio
import json
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer

from tetrarch.cli.errors import run_command
from tetrarch.cli.ledger_options import AsJson, key_option
from tetrarch.errors import ConfigInvalid

NodeFolder: TypeAlias = Annotated[Path, typer.Argument(help="The node's folder.")]
PassphraseFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(help="Seals the keys. Default: a key file, made in their folder."),
]

keys_commands = typer.Typer(rich_markup_mode=None)


@keys_commands.command()
@run_command
def keys(
    folder: NodeFolder,
    add_leader: Annotated[
        bool, typer.Option("--add-leader", help="Make the key of one more leader in turn.")
    ] = False,
    add_pool: Annotated[
        str | None,
        typer.Option(metavar="ACCOUNT", help="Make the keys of a pool that this account operates."),
    ] = None,
    pool_serial: Annotated[
        int, typer.Option(min=0, max=2**32 - 1, help="Of several pools of one account.")
    ] = 0,
    shared: Annotated[
        bool,
        typer.Option(
            "--shared", help="From now on, and for good: copies of this folder may run, on standby."
        ),
    ] = False,
    passphrase_file: PassphraseFile = None,
    as_json: AsJson = False,
) -> None:
    """Print the public keys of a node that does not run: its vote's, and its leaders'. Made at the first time.

    With --shared, a quorum of the members reserves for one running copy at a time what it may sign.

    Example: tetrarch ledger keys node0 --add-leader --json

    Exit codes: 0, 65 damaged keys, 66 no passphrase file, 73 the folder is in use or cannot be written.
    """
    from tetrarch.ledger.keyring import LeaderUnknown  # noqa: PLC0415 - keeps `--help` fast

    pool = None if add_pool is None else _pool(add_pool, pool_serial, option="--add-pool")
    secret = node_secret(passphrase_file)
    try:
        told = asyncio.run(_keys(folder, secret, add_leader=add_leader, pool=pool, shared=shared))
    except LeaderUnknown as error:
        raise ConfigInvalid("make keys", folder=folder, **error.fields) from None
    if as_json:
        typer.echo(json.dumps(told))
        return
    copies = "; copies may run" if told["shared"] else ""
    typer.echo(f"votes with {told['voter']}{copies}")
    for leader in told["leaders"]:
        what = (
            leader.get("key") or f"{leader['pool']} vrf {leader['vrf_key']} kes {leader['kes_key']}"
        )
        typer.echo(f"leader {leader['number']}, {leader['kind']}: {what}")


def pool_keys(
    folder: Path, account: str, serial: int, passphrase_file: Path | None
) -> dict[str, Any]:
    """The keys of a pool that ``account`` operates, in the enclave of a node that does not run; made at the first time.

    Raises:
        OperatorError: of the enclave, the seal, its secret or the folder; ConfigInvalid: no account.
    """
    pool, secret = _pool(account, serial, option="ACCOUNT"), node_secret(passphrase_file)
    told = asyncio.run(_keys(folder, secret))
    if _of_pool(told, pool) is None:
        told = asyncio.run(_keys(folder, secret, pool=pool))
    found = _of_pool(told, pool)
    assert found is not None, "it was made"
    return {**found, "vote_key": told["voter"], "serial": serial}


def node_secret(passphrase_file: Path | None) -> Any:
    """What seals a node's keys; None: a key file in their folder. Raises an OperatorError: there is no such file."""
    from tetrarch.enclave.seal_secret import SealSecret  # noqa: PLC0415
    from tetrarch.enclave.sealing import Kind  # noqa: PLC0415

    if passphrase_file is None:
        return None
    secret = SealSecret(Kind.PASSPHRASE, passphrase_file)
    secret.check()
    return secret


def _pool(account: str, serial: int, *, option: str) -> Any:
    from tetrarch.ledger.accounts import AccountId  # noqa: PLC0415
    from tetrarch.ledger.pools import pool_id  # noqa: PLC0415

    return pool_id(AccountId(key_option(option, account)), serial)


async def _keys(
    folder: Path, secret: Any, *, add_leader: bool = False, pool: Any = None, shared: bool = False
) -> dict[str, Any]:
    from tetrarch.api.ledger_views import leader_view  # noqa: PLC0415
    from tetrarch.ledger_node import open_keys  # noqa: PLC0415
    from tetrarch.storage.folders import make_folder  # noqa: PLC0415

    make_folder(folder)
    async with AsyncExitStack() as stack:
        held, _ = await open_keys(stack, folder, secret, None, is_shared=shared)
        if add_leader:
            await held.add_leader()
        if pool is not None:
            await held.add_leader(pool)
        leaders = [leader_view(each) for each in await held.leaders()]
        return {"voter": held.voter.hex(), "shared": held.is_shared, "leaders": leaders}


def _of_pool(told: dict[str, Any], pool: bytes) -> dict[str, Any] | None:
    found = (each for each in told["leaders"] if each.get("pool") == pool.hex())
    return next(found, None)
