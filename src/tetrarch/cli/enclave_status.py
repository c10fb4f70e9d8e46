"""``tetrarch enclave status``: what a node's folder holds, without opening a secret."""

import asyncio
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from tetrarch.cli.ceremony import AsJson, FolderArgument
from tetrarch.cli.errors import run_command

_RECORDS = """SELECT
    (SELECT count(*) FROM slashing_block), (SELECT min(slot) FROM slashing_block),
    (SELECT max(slot) FROM slashing_block), (SELECT count(*) FROM slashing_vote),
    (SELECT min(target) FROM slashing_vote), (SELECT max(target) FROM slashing_vote)"""


@run_command
def status(folder: FolderArgument, as_json: AsJson = False) -> None:
    """Tell which keys a node's folder holds and how, what it signed, and whether it runs now.

    No secret is opened and none is needed. The node may run.

    Example: tetrarch enclave status node0

    Exit codes: 0 told, 65 a file is wrong, 66 a file is missing, 70 the enclave does not start.
    """
    from tetrarch.enclave.sealed_keys import read_label  # noqa: PLC0415 - keeps `--help` fast
    from tetrarch.launch import DATABASE_FILE  # noqa: PLC0415
    from tetrarch.share_files import sealed_keys_path, share_files  # noqa: PLC0415
    from tetrarch.signer_api.holder import load_holder  # noqa: PLC0415
    from tetrarch.signing_source import ENCLAVE_DATABASE_FILE  # noqa: PLC0415
    from tetrarch.storage.lock import owner_of  # noqa: PLC0415

    cluster = load_holder(folder)
    labelled = read_label(sealed_keys_path(folder))
    label = None if labelled is None else labelled[0]
    sealed = set() if label is None else {public.pubkey for public in label.shares}
    shares = [
        {
            "validator": "0x" + file.pubkey.hex(),
            "public_share": "0x" + file.public_share.hex(),
            "kept": [
                *(["sealed"] if file.pubkey in sealed else []),
                *(["keystore"] if Path(file.keystore).exists() else []),
            ],
        }
        for file in share_files(folder, cluster)
    ]
    databases = {"enclave": folder / ENCLAVE_DATABASE_FILE, "node": folder / DATABASE_FILE}
    histories = {name: _history(path) for name, path in databases.items()}
    told: dict[str, Any] = {
        "folder": str(folder),
        "node": cluster.peer_index,
        "nodes": cluster.node_count,
        "lock_hash": "0x" + cluster.lock_hash.hex(),
        "runs": {
            name: owner_of(path.with_name(path.name + ".lock")) for name, path in databases.items()
        },
        "restored": any(each["restored"] for each in histories.values()),
        "sealed_by": None if labelled is None else labelled[1].name.lower(),
        "edition": None if label is None else label.edition,
        "own_keys": None
        if label is None or label.own is None
        else {
            "signing_key": label.own.signing_key.hex(),
            "sealing_key": label.own.sealing_key.hex(),
        },
        "shares": shares,
        "histories": histories,
        "enclave": _enclave(),
    }
    if as_json:
        print(json.dumps(told))
        return
    for name, value in _lines(told):
        print(f"{name:12} {value}")


def _lines(told: dict[str, Any]) -> list[tuple[str, str]]:
    runs = {name: owner for name, owner in told["runs"].items() if owner is not None}
    shares = told["shares"]
    kept = {way: sum(way in share["kept"] for share in shares) for way in ("sealed", "keystore")}
    absent = sum(not share["kept"] for share in shares)
    own = told["own_keys"] or {}
    lines = [
        ("node", f"{told['node']} of {told['nodes']}, cluster {told['lock_hash'][:9]}"),
        ("runs", ", ".join(f"{name} as process {owner}" for name, owner in runs.items()) or "no"),
        ("restored", "yes, and not recovered yet" if told["restored"] else "no"),
        (
            "sealed",
            "nothing"
            if told["edition"] is None
            else f"{kept['sealed']} shares by {told['sealed_by']}, edition {told['edition']}",
        ),
        ("keystores", str(kept["keystore"])),
        *([("absent", f"{absent} shares")] if absent else []),
        *own.items(),
        *(("share", f"{s['public_share']} of {s['validator']}") for s in shares if s["kept"]),
    ]
    for name, history in told["histories"].items():
        blocks, votes = history["blocks"], history["votes"]
        text = "none" if not history["there"] else ""
        if history["there"]:
            text = (
                f"{blocks} blocks{_span(history, 'slot')}, {votes} votes{_span(history, 'epoch')}"
            )
        lines.append((f"{name} signed", text))
    lines += [
        ("measurement", told["enclave"]["entry"]),
        ("protections", ", ".join(told["enclave"]["protections"])),
    ]
    return lines


def _span(history: dict[str, Any], what: str) -> str:
    first, last = history[f"first_{what}"], history[f"last_{what}"]
    return "" if first is None else f" ({what}s {first} to {last})"


def _history(path: Path) -> dict[str, Any]:
    """What one database has recorded; read beside a running node."""
    from tetrarch.storage.errors import translate  # noqa: PLC0415 - keeps `--help` fast

    chain, restored, row = None, False, (0, None, None, 0, None, None)
    there = path.exists()
    if there:
        try:
            uri = f"{path.absolute().as_uri()}?mode=ro"
            with closing(sqlite3.connect(uri, uri=True)) as connection:
                tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
                if "slashing_block" in tables:
                    row = connection.execute(_RECORDS).fetchone()
                    chain = connection.execute(
                        "SELECT genesis_validators_root FROM slashing_chain"
                    ).fetchone()
                if "restored" in tables:
                    restored = connection.execute("SELECT 1 FROM restored").fetchone() is not None
        except sqlite3.Error as error:
            raise translate(error, "read history", path) or error from error
    blocks, first_slot, last_slot, votes, first_epoch, last_epoch = row
    return {
        "there": there,
        "genesis_validators_root": None if chain is None else "0x" + bytes(chain[0]).hex(),
        "restored": restored,
        "blocks": blocks,
        "first_slot": first_slot,
        "last_slot": last_slot,
        "votes": votes,
        "first_epoch": first_epoch,
        "last_epoch": last_epoch,
    }


def _enclave() -> dict[str, Any]:
    """Of an enclave that is started here now."""
    from tetrarch.enclave.client import EnclaveClient  # noqa: PLC0415 - keeps `--help` fast
    from tetrarch.enclave.protections import Confinement  # noqa: PLC0415

    async def ask() -> dict[str, Any]:
        enclave = await EnclaveClient.launch(Confinement())
        try:
            entry = await enclave.measurement()
            return {
                "entry": str(entry),
                "measurement": entry.measurement.hex(),
                "security_version": entry.security_version_min,
                "protections": await enclave.protections(),
            }
        finally:
            await enclave.close()

    return asyncio.run(ask())
