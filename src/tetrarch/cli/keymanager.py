"""Uploading shares to keymanagers: at a cluster's creation, or from a node's folder later."""

import asyncio
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated

import typer

from tetrarch.cli.errors import run_command
from tetrarch.cli.histories import History, HistoryMissing, known_chain, opened
from tetrarch.cluster.create import Upload
from tetrarch.cluster.files import read_file
from tetrarch.cluster.load import share_keystores
from tetrarch.cluster.types import Cluster
from tetrarch.duties.types import PubKey
from tetrarch.enclave import interchange
from tetrarch.enclave.errors import SharesSealed
from tetrarch.enclave.sealed_keys import read_label
from tetrarch.errors import ConfigInvalid
from tetrarch.keymanager.client import Keymanager, KeymanagerFailed, check, upload
from tetrarch.share_files import sealed_keys_path
from tetrarch.signer_api.holder import load_holder

KeymanagerUrls = Annotated[
    list[str] | None,
    typer.Option(
        "--keymanager-url", help="Upload shares there, not to disk; once for each node, in order."
    ),
]
KeymanagerTokenFiles = Annotated[
    list[Path] | None,
    typer.Option("--keymanager-token-file", help="Its bearer token; once for each node."),
]
KeymanagerCa = Annotated[
    Path | None,
    typer.Option("--keymanager-ca-file", help="PEM file: who the keymanagers' TLS must be of."),
]


def keymanagers_of(
    urls: Sequence[str] | None,
    token_files: Sequence[Path] | None,
    ca_file: Path | None,
    *,
    nodes: int,
) -> tuple[Keymanager, ...]:
    """One keymanager for each node, each asked whether it is there; none without options.

    Raises:
        ConfigInvalid: not as many as there are nodes.
        KeymanagerFailed: one cannot be reached, or does not take the token.
    """
    if not urls and not token_files:
        return ()
    urls, token_files = urls or (), token_files or ()
    if len(urls) != nodes or len(token_files) != nodes:
        raise ConfigInvalid(
            "plan upload",
            nodes=nodes,
            keymanager_urls=len(urls),
            keymanager_token_files=len(token_files),
        )
    if len(set(urls)) < len(urls):
        raise ConfigInvalid("plan upload", reason="one keymanager would hold two nodes' shares")
    found = tuple(
        Keymanager.of(url, file, ca_file=ca_file)
        for url, file in zip(urls, token_files, strict=True)
    )
    for keymanager in found:
        asyncio.run(check(keymanager))
    return found


def uploading(keymanagers: Sequence[Keymanager]) -> Upload | None:
    """What ``write_cluster`` hands each node's shares to; None without keymanagers."""
    if not keymanagers:
        return None
    done: list[str] = []

    def hand_on(index: int, keystores: tuple[str, ...], passwords: tuple[str, ...]) -> None:
        keymanager = keymanagers[index]
        try:
            asyncio.run(upload(keymanager, keystores, passwords))
        except KeymanagerFailed as error:
            taken = {"also_delete_at": ",".join(done)} if done else {}
            raise KeymanagerFailed(error.action, **error.fields, **taken) from None
        done.append(keymanager.url)

    return hand_on


@run_command
def upload_shares(
    folder: Annotated[Path, typer.Argument(help="A stopped node's folder.")],
    keymanager_url: Annotated[str, typer.Option(help="Where the shares go.")],
    keymanager_token_file: Annotated[Path, typer.Option(help="Its bearer token.")],
    keymanager_ca_file: KeymanagerCa = None,
    remove: Annotated[
        bool, typer.Option("--remove", help="Delete the keystores here once they are there.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Give a stopped node's share keystores and signing history to a keymanager.

    \b
    Example: tetrarch cluster upload-shares node0 --keymanager-url http://127.0.0.1:3630
      --keymanager-token-file keys0/keymanager-token --remove
    Exit codes: 0 done, 65 a file is wrong, 66 a file is missing, 69 the keymanager failed,
      73 the node runs, 78 options do not fit.
    """  # noqa: D301 - \b keeps the help's lines
    cluster = load_holder(folder)
    keymanager = Keymanager.of(keymanager_url, keymanager_token_file, ca_file=keymanager_ca_file)
    if read_label(sealed_keys_path(folder)) is not None:
        raise SharesSealed("upload shares", path=sealed_keys_path(folder))
    paths = share_keystores(folder, cluster)
    keystores = tuple(read_file(path).decode() for path in paths)
    passwords = tuple(read_file(path.with_suffix(".txt")).decode().rstrip("\r\n") for path in paths)
    with _history(folder, cluster) as document:
        statuses = asyncio.run(
            upload(keymanager, keystores, passwords, slashing_protection=document)
        )
        if remove:
            for path in paths:
                path.unlink()
                path.with_suffix(".txt").unlink()
    if as_json:
        answer = {
            "ok": True,
            "keymanager": keymanager.url,
            "statuses": statuses,
            "history": document is not None,
            "removed": remove,
        }
        print(json.dumps(answer))
        return
    kept = "" if remove else "; keystores kept here"
    print(f"uploaded {len(statuses)} shares to {keymanager.url}{kept}")
    if not remove:
        print(
            "note: two programs with one share can sign two things: start only one of them",
            file=sys.stderr,
        )


@contextmanager
def _history(folder: Path, cluster: Cluster) -> Iterator[str | None]:
    """The node's signing history under its public shares; the node cannot start meanwhile."""
    with ExitStack() as stack:
        try:
            histories = stack.enter_context(opened(folder, create=False))
        except HistoryMissing:
            histories = ()  # it never ran
        yield _exported(histories, cluster)


def _exported(histories: tuple[History, ...], cluster: Cluster) -> str | None:
    chain = known_chain(histories, cluster) if histories else None
    if chain is None:
        return None
    by_root = {v.pubkey: v.public_share(cluster.share_index) for v in cluster.validators}
    parts: list[bytes] = []
    interchange.export_union(
        [each.connection for each in histories],
        parts.append,
        genesis_validators_root=chain,
        name_of=lambda root: by_root.get(PubKey(root)),
    )
    return b"".join(parts).decode()
