"""``tetrarch ledger``: keys, the first block, a node, and questions to it."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer

from tetrarch.cli.errors import run_command
from tetrarch.cli.files import read_block0, read_bounded
from tetrarch.cli.ledger_archive import archive
from tetrarch.cli.ledger_keys import NodeFolder, PassphraseFile, keys_commands, node_secret
from tetrarch.cli.ledger_options import (
    KEY_SIZE_BYTES,
    AsJson,
    Folder,
    KeyFile,
    Url,
    key_option,
)
from tetrarch.cli.ledger_state import state
from tetrarch.cli.ledger_votes import votes
from tetrarch.cli.node_questions import DEFAULT_URL, ask_node
from tetrarch.errors import ConfigInvalid, InputInvalid

app = typer.Typer(
    help="A chain of the federation's own: its first block, a node, and what it tells.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

EVENT_SIZE_BYTES_MAX: Final = 4096


class _Event(msgspec.Struct):
    """Of ``ledger watch``."""

    event: str
    height: int | None = None
    block: str = ""
    date: str = ""
    after_slot_s: float = 0.0

    @property
    def line(self) -> str:
        """For a person."""
        if self.height is None:
            return self.event
        return (
            f"{self.event:<6} {self.height:>7}  {self.date:>8}  {self.block}"
            f"  {self.after_slot_s:.3f} s after its slot began"
        )


app.add_typer(keys_commands)
app.add_typer(votes)
app.add_typer(archive)
app.add_typer(state)


@app.callback()
def group() -> None:
    """A chain of the federation's own."""


@app.command()
@run_command
def genesis(
    spec: Annotated[Path, typer.Argument(help="What the chain begins with, in TOML.")],
    out: Annotated[Path, typer.Option(help="Where the first block goes.")],
    as_json: AsJson = False,
) -> None:
    """Make a chain's first block. Everybody who has the same one is on the same chain.

    Example: tetrarch ledger genesis genesis.toml --out block0

    Exit codes: 0, 66 there is no such file, 73 it cannot be written, 78 no chain can begin so.
    """
    from tetrarch.ledger.blocks import encode_block  # noqa: PLC0415 - keeps `--help` fast
    from tetrarch.ledger.genesis import genesis_block  # noqa: PLC0415
    from tetrarch.ledger.genesis_text import TEXT_SIZE_BYTES_MAX, read_genesis_text  # noqa: PLC0415
    from tetrarch.storage.durable_file import write_durably  # noqa: PLC0415
    from tetrarch.storage.errors import cannot_create  # noqa: PLC0415

    try:
        text = read_bounded(spec, TEXT_SIZE_BYTES_MAX).decode()
        block = genesis_block(
            read_genesis_text(
                text, lambda name: read_bounded(spec.parent / name, TEXT_SIZE_BYTES_MAX)
            )
        )
    except UnicodeDecodeError as error:
        raise ConfigInvalid("read genesis", path=spec, reason=error.reason) from None
    except InputInvalid as error:
        raise ConfigInvalid("make genesis", path=spec, **error.fields) from None
    try:
        write_durably(out, encode_block(block))
    except OSError as error:
        raise cannot_create("write first block", out, error) from None
    identity = block.header.id.hex()
    told = {"chain": identity, "file": str(out)}
    typer.echo(json.dumps(told) if as_json else f"chain {identity}, first block in {out}")


@app.command()
@run_command
def node(
    folder: NodeFolder,
    block0: Annotated[Path, typer.Option("--genesis", help="The chain's first block.")],
    listen: Annotated[
        list[str], typer.Option(help="Where to listen, as IP:PORT or [IPV6]:PORT. Repeat.")
    ],
    trusted: Annotated[
        list[str] | None, typer.Option(help="Whom to ask first, as IP:PORT. Repeat.")
    ] = None,
    public: Annotated[
        str, typer.Option(help="What others are told, if not the first --listen.")
    ] = "",
    private_addresses: Annotated[
        bool,
        typer.Option("--private-addresses", help="Others may be in a private network, or here."),
    ] = False,
    round_s: Annotated[
        float, typer.Option(min=0.1, max=600, help="Between rounds of gossip.")
    ] = 10,
    passphrase_file: PassphraseFile = None,
    monitoring_port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Tell of it here, on 127.0.0.1."),
    ] = None,
    election: Annotated[
        str,
        typer.Option(
            help="Where leaders are elected: URL of the monitoring listener of the own member."
        ),
    ] = "",
    with_state: Annotated[
        bool,
        typer.Option(
            "--with-state",
            help="Begin with a state of other nodes that a quorum vouches for, not with all blocks.",
        ),
    ] = False,
    prune: Annotated[
        bool, typer.Option("--prune", help="Forget final blocks older than an epoch or two.")
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log every step.")] = False,
) -> None:
    """Take part in a chain until stopped: catch up, vote, and make the blocks of the node's leaders.

    Example: tetrarch ledger node node0 --genesis block0 --listen 127.0.0.1:3000 --private-addresses

    Exit codes: 0 stopped by a signal, 65 damaged keys or database, or those of another chain, 66 there is no such file,
    69 an address is taken, 73 the folder is in use or cannot be written, 78 an address that is none.
    """
    from tetrarch.clock import SystemClock  # noqa: PLC0415 - keeps `--help` fast
    from tetrarch.config import OverlayConfig  # noqa: PLC0415
    from tetrarch.ledger_node import LedgerNode, run_ledger_node  # noqa: PLC0415
    from tetrarch.observability.logs import LogFormat, LogLevel, build_log  # noqa: PLC0415
    from tetrarch.stop_signals import on_stop_signal  # noqa: PLC0415
    from tetrarch.supervision import sole_cause  # noqa: PLC0415

    log = build_log(
        sys.stderr,
        clock=SystemClock(),
        log_format=LogFormat.CONSOLE if sys.stderr.isatty() else LogFormat.JSON,
        level=LogLevel.DEBUG if verbose else LogLevel.INFO,
        node=listen[0],
    )
    config = LedgerNode(
        folder=folder,
        genesis=read_block0(block0),
        overlay=OverlayConfig(
            listen=tuple(listen),
            trusted=tuple(trusted or ()),
            public=public,
            private_addresses=private_addresses,
            round_ms=round(1000 * round_s),
        ),
        secret=node_secret(passphrase_file),
        monitoring_port=monitoring_port,
        election_url=election,
        begins_with_state=with_state,
        prunes=prune,
    )

    async def main() -> None:
        task = asyncio.current_task()

        def stop(_name: str) -> None:
            if task is not None:
                task.cancel()

        on_stop_signal(stop)
        await run_ledger_node(config, log)

    try:
        asyncio.run(main())
    except asyncio.CancelledError:
        return
    except BaseExceptionGroup as group:
        raise sole_cause(group) from None


@app.command()
@run_command
def check(
    folder: NodeFolder,
    block0: Annotated[Path, typer.Option("--genesis", help="The chain's first block.")],
    as_json: AsJson = False,
) -> None:
    """Apply all final blocks of a node that does not run anew, and hold its state against what comes of it.

    Where older blocks are not there, from the oldest state that it keeps, by what proves that.

    Example: tetrarch ledger check node0 --genesis block0

    Exit codes: 0 all is as it should be, 65 what is stored is damaged, 66 there is no such file, 73 the node runs, or the
    folder cannot be written.
    """
    from tetrarch.ledger.checking import check_store  # noqa: PLC0415 - keeps `--help` fast
    from tetrarch.ledger.store import SCHEMA, LedgerDamaged, LedgerStore  # noqa: PLC0415
    from tetrarch.ledger_node import DATABASE_FILE  # noqa: PLC0415
    from tetrarch.storage.database import Database  # noqa: PLC0415

    genesis_block = read_block0(block0)
    path = folder / DATABASE_FILE
    if not path.exists():
        raise LedgerDamaged("check ledger", path=path, reason="there is no such file")

    def tell(done: int, of: int) -> None:
        typer.echo(f"{done} of {of} blocks", err=True)

    async def main() -> dict[str, Any]:
        database = Database.open(path, (SCHEMA,))
        try:
            checked = await check_store(LedgerStore(database), genesis_block, on_progress=tell)
        finally:
            await database.close()
        final = checked.final
        return {
            "final_blocks": checked.finals,
            "lowest_height": checked.lowest,
            "blocks_not_final": checked.opens,
            "height": final.header.chain_length,
            "date": str(final.header.date),
            "block": final.id.hex(),
        }

    told = asyncio.run(main())
    if as_json:
        typer.echo(json.dumps(told))
        return
    since = f" from height {told['lowest_height']} on" if told["lowest_height"] else ""
    typer.echo(f"{told['final_blocks']} final blocks{since}, as they should be, to {told['date']}")
    typer.echo(f"{told['blocks_not_final']} that are not final")


@app.command()
@run_command
def status(url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """Where a node's chain ends, and what of it is final.

    Example: tetrarch ledger status --url http://127.0.0.1:3620

    Exit codes: 0, 65 what answers has no ledger, 69 nobody answers.
    """
    told = ask_node(url, "/ledger/status", {}, dict[str, Any])
    if as_json:
        typer.echo(json.dumps(told))
        return
    tip, final = told["tip"], told["final"]
    typer.echo(f"now    {told['date_now'] or 'before the chain begins'}")
    typer.echo(f"tip    {tip['height']:>8}  {tip['date']:>10}  {tip['block']}")
    typer.echo(f"final  {final['height']:>8}  {final['date']:>10}  {final['block']}")


@app.command()
@run_command
def tip(url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """The id of the newest block of the branch that counts.

    Example: tetrarch ledger tip

    Exit codes: 0, 65 what answers has no ledger, 69 nobody answers.
    """
    told = ask_node(url, "/api/v0/tip", {}, str)
    typer.echo(json.dumps({"tip": told}) if as_json else told)


@app.command()
@run_command
def block(
    block_id: Annotated[str, typer.Argument(metavar="ID", help="64 hexadecimal digits.")],
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """One block: its header, and what it carries.

    Example: tetrarch ledger block 0e57...

    Exit codes: 0, 65 there is no such block, or no ledger, 69 nobody answers.
    """
    told = ask_node(url, "/ledger/block", {"id": block_id}, dict[str, Any])
    if as_json:
        typer.echo(json.dumps(told))
        return
    for name in ("block", "height", "date", "parent", "maker", "content_size_bytes"):
        typer.echo(f"{name:<20}{told[name]}")
    elected = told["election"]
    if elected is not None:
        term = f"term {elected['term']}"
        typer.echo(f"{term:<20}{elected['name']} leads, {elected['signers']} signed")
    for each in told["certificates"]:
        typer.echo(
            f"certificate         {each['source']} -> {each['target']}, {each['votes']} votes"
        )
    for each in told["fragments"]:
        typer.echo(f"{each['kind']:<20}{each['id']} of {each['payer']}")


@app.command()
@run_command
def account(
    key_file: Annotated[Path, typer.Argument(help="Where its key goes, for this user alone.")],
    as_json: AsJson = False,
) -> None:
    """Make the key of an account, or print the account of one that is there.

    Example: tetrarch ledger account alice.key

    Exit codes: 0, 66 the file holds no key, 73 it cannot be written.
    """
    from tetrarch.cli.fragments import account_of, read_account_key  # noqa: PLC0415
    from tetrarch.entropy import system_entropy  # noqa: PLC0415
    from tetrarch.storage.durable_file import write_durably  # noqa: PLC0415
    from tetrarch.storage.errors import cannot_create  # noqa: PLC0415

    if not key_file.exists():
        try:
            write_durably(key_file, system_entropy(KEY_SIZE_BYTES).hex().encode() + b"\n")
        except OSError as error:
            raise cannot_create("make account", key_file, error) from None
    identity = account_of(read_account_key(key_file)).hex()
    typer.echo(json.dumps({"account": identity}) if as_json else identity)


@app.command()
@run_command
def send(
    to: Annotated[str, typer.Argument(metavar="ACCOUNT", help="64 hexadecimal digits.")],
    value: Annotated[int, typer.Argument(min=1, max=2**63 - 1, help="In the smallest unit.")],
    key_file: KeyFile,
    folder: Folder,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Pay another account: sign a transfer, and give it to a node, which tells all others.

    Example: tetrarch ledger send ab12... 100 --key-file alice.key --folder node0

    Exit codes: 0 it waits for a block, 65 it cannot hold, and why, 66 no key or token, 69 nobody answers, 77 not its token,
    78 no account.
    """
    from tetrarch.cli.fragments import read_account_key  # noqa: PLC0415
    from tetrarch.cli.fragments import send as send_fragment  # noqa: PLC0415
    from tetrarch.ledger.accounts import AccountId  # noqa: PLC0415
    from tetrarch.ledger.fragments.transfer import Output, Transfer  # noqa: PLC0415

    body = Transfer((Output(AccountId(key_option("ACCOUNT", to)), value),))
    sent = send_fragment(body, read_account_key(key_file), url=url, folder=folder)
    typer.echo(json.dumps(sent.to_json()) if as_json else f"fragment {sent.fragment}")


@app.command()
@run_command
def watch(url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """Print blocks that come to count, or do so no more, and those that are final, until stopped.

    Example: tetrarch ledger watch --url http://127.0.0.1:4200

    Exit codes: 0 stopped, 65 what answers is no such node, 69 no node answers, or it ended.
    """
    from tetrarch.cli.node_questions import NodeAnswerInvalid, follow_node  # noqa: PLC0415
    from tetrarch.decoding import UNDECODABLE  # noqa: PLC0415

    async def main() -> None:
        async for event in follow_node(url, "/ledger/events", size_max=EVENT_SIZE_BYTES_MAX):
            try:
                told = msgspec.json.decode(event, type=_Event)
            except UNDECODABLE as error:
                raise NodeAnswerInvalid("watch ledger", url=url, reason=error) from None
            typer.echo(event.decode() if as_json else told.line)
            sys.stdout.flush()

    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        return
