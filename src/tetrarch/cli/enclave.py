"""``tetrarch enclave``: which program an enclave is, and whether evidence of one is genuine."""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from tetrarch.attestation.binding import Subject
from tetrarch.attestation.claims import BackEnd, Claims
from tetrarch.attestation.errors import EvidenceInvalid
from tetrarch.attestation.policy import Allowed, Policy, appraise
from tetrarch.cli import enclave_backup, enclave_keys, enclave_status
from tetrarch.cli.enclave_keys import read_hex
from tetrarch.cli.errors import run_command
from tetrarch.cli.files import read_bounded
from tetrarch.clock import SystemClock
from tetrarch.decoding import UNDECODABLE
from tetrarch.errors import ConfigInvalid

app = typer.Typer(
    help="Keys at rest, and which program holds them, here and at others.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.callback()
def group() -> None:
    """Keys at rest, and which program holds them, here and at others."""


app.command(name="seal")(enclave_keys.seal)
app.command(name="status")(enclave_status.status)
app.command(name="backup")(enclave_backup.backup)
app.command(name="restore")(enclave_backup.restore)
app.command(name="keygen")(enclave_keys.keygen)
app.command(name="attest")(enclave_keys.attest)
app.command(name="tpm-key")(enclave_keys.tpm_key)


@app.command(name="measure")
@run_command
def measure_enclave(
    tpm: Annotated[
        Path | None,
        typer.Option(help="Measure what this TPM vouches for, usually /dev/tpmrm0."),
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option(help="With --tpm: a cluster's node's, or --folder of `election node`."),
    ] = None,
    passphrase_file: Annotated[
        Path | None,
        typer.Option(help="With --tpm: as the node's; without one, a key file in the folder."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Print the measurement of this installation's enclave, for --enclave-measurement.

    The same for equal releases, Python versions and native packages. With --tpm: of this
    machine, as it was booted, with the enclave of this folder, which is made ready for it.

    Example: tetrarch enclave measure

    Exit codes: 0 done, 65 the folder's seal does not open, 66 no passphrase file, 69 there is no such
    TPM, 70 the enclave does not start, 73 the folder cannot be written, 78 --tpm without --folder.
    """
    from tetrarch.cli.ceremony import folder_of  # noqa: PLC0415 - keeps `--help` fast
    from tetrarch.cluster.files import LOCK_FILE  # noqa: PLC0415
    from tetrarch.election.joining import prepare_folder, prepare_node_folder  # noqa: PLC0415
    from tetrarch.enclave.client import EnclaveClient  # noqa: PLC0415
    from tetrarch.enclave.protections import Confinement  # noqa: PLC0415
    from tetrarch.launch import ELECTION_FOLDER  # noqa: PLC0415

    if (tpm is None) != (folder is None):
        raise ConfigInvalid(
            "read option", option="--tpm", reason="needs --folder, and that needs it"
        )

    async def ask() -> tuple[Allowed, tuple[str, ...]]:
        enclave = await EnclaveClient.launch(Confinement())
        try:
            return await enclave.measurement(), await enclave.protections()
        finally:
            await enclave.close()

    async def ask_tpm(folder: Path) -> tuple[Allowed, tuple[str, ...]]:
        if (folder / LOCK_FILE).exists():
            held = folder_of(folder, passphrase_file, None)
            folder /= ELECTION_FOLDER
            secret = prepare_node_folder(folder, held.secret)
        else:
            secret = prepare_folder(folder, passphrase_file)
        confinement = Confinement(writable=(folder,), readable=secret.paths, tpm=tpm)
        enclave = await EnclaveClient.launch(confinement)
        try:
            return await enclave.open_tpm(folder, secret), await enclave.protections()
        finally:
            await enclave.close()

    entry, protections = asyncio.run(ask() if folder is None else ask_tpm(folder))
    if as_json:
        told = {
            "entry": str(entry),
            "back_end": entry.back_end,
            "measurement": entry.measurement.hex(),
            "security_version": entry.security_version_min,
            "protections": protections,
        }
        typer.echo(json.dumps(told))
    else:
        typer.echo(str(entry))


@app.command(name="verify")
@run_command
def verify_evidence(
    back_end: Annotated[BackEnd, typer.Argument(help="Which kind of evidence it is.")],
    document: Annotated[Path, typer.Argument(help="Document, report or quote, as a file.")],
    endorsement: Annotated[
        list[Path] | None,
        typer.Option(
            help="What its maker says of it. sev-snp: the VCEK, ASK and ARK certificates (DER), in "
            "this order; sgx and tdx: the collateral (JSON). Repeat."
        ),
    ] = None,
    allow: Annotated[
        list[str] | None,
        typer.Option(help="Also ask whether this entry allows it: BACK_END:HEX[:VERSION]. Repeat."),
    ] = None,
    bound: Annotated[
        str, typer.Option(help="Also ask whether it is about these 64 bytes, as hex.")
    ] = "",
    subject: Annotated[
        Path | None,
        typer.Option(
            help="Also ask whether it is about this enclave and --nonce: what `tetrarch enclave "
            "attest --json` printed."
        ),
    ] = None,
    nonce: Annotated[str, typer.Option(help="The nonce that was drawn for it, as hex.")] = "",
    signing_key: Annotated[
        str, typer.Option(help="The enclave's key (Ed25519, hex), for software evidence.")
    ] = "",
    at: Annotated[str, typer.Option(help="As if it were this time, as 2026-06-01T12:00Z.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Check that evidence is genuine and print what it says; with --allow, also judge it.

    Needs no network. Without --allow, evidence of debug mode and old evidence are printed, too.

    Example: tetrarch enclave verify nitro attestation.cose --at 2022-06-01T12:00Z

    Exit codes: 0 genuine (and allowed), 65 not genuine, stale or about something else, 66 no such
    file, 69 a package is missing, 77 not allowed, 78 wrong option.
    """
    from tetrarch.attestation.binding import NONCE_SIZE_BYTES, report_data  # noqa: PLC0415
    from tetrarch.attestation.verifier import (  # noqa: PLC0415 - keeps `--help` fast
        ENVELOPE_MAX_BYTES,
        Evidence,
        verify,
    )

    now_s = _time(at)
    evidence = Evidence(
        back_end,
        read_bounded(document, ENVELOPE_MAX_BYTES),
        tuple(read_bounded(path, ENVELOPE_MAX_BYTES) for path in endorsement or ()),
    )
    key, about = _bytes(signing_key, "--signing-key"), _bytes(bound, "--bound")
    if subject is not None:
        shown = _subject(subject, key)
        key = shown.signing_key
        about = report_data(shown, read_hex(nonce, "--nonce", size=NONCE_SIZE_BYTES))
    elif nonce:
        raise ConfigInvalid(
            "read option", option="--nonce", reason="says nothing without --subject"
        )
    claims = verify(evidence, signing_key=key, now_s=now_s)
    wanted = about or claims.bound
    entries = tuple(Allowed.parse(entry) for entry in allow or ())
    if entries:
        appraise(claims, Policy(allowed=entries), bound=wanted, now_s=now_s)
    elif wanted != claims.bound:
        raise EvidenceInvalid("verify evidence", reason="about something else")
    told = _told(claims)
    if as_json:
        typer.echo(json.dumps(told | {"allowed": bool(entries)}))
        return
    for name, value in told.items():
        typer.echo(f"{name:17} {value}")


def _told(claims: Claims) -> dict[str, Any]:
    return {
        "back_end": claims.back_end.value,
        "measurement": claims.measurement.hex(),
        "security_version": claims.security_version,
        "debug": claims.is_debug,
        "status": claims.status,
        "advisories": ", ".join(claims.advisories),
        "bound": claims.bound.hex(),
        "issued": _text_of(claims.issued_s),
        "fresh_until": _text_of(claims.fresh_until_s),
        **claims.details,
    }


class _Shown(msgspec.Struct):
    """What `attest` prints, as far as evidence can be about it."""

    signing_key: str
    sealing_key: str
    node: str
    configuration_hash: str
    incarnation: str


def _subject(path: Path, signing_key: bytes) -> Subject:
    try:
        shown = msgspec.json.decode(read_bounded(path, 1 << 20), type=_Shown)
        subject = Subject(
            signing_key=bytes.fromhex(shown.signing_key),
            sealing_key=bytes.fromhex(shown.sealing_key),
            node=shown.node,
            configuration_hash=bytes.fromhex(shown.configuration_hash),
            incarnation=bytes.fromhex(shown.incarnation),
        )
    except (*UNDECODABLE, ValueError):
        raise ConfigInvalid("read subject", file=path, reason="not what `attest` prints") from None
    if signing_key and signing_key != subject.signing_key:
        raise EvidenceInvalid("verify evidence", reason="of an enclave with another signing key")
    return subject


def _text_of(time_s: float | None) -> str:
    return "" if time_s is None else datetime.fromtimestamp(time_s, UTC).isoformat()


def _time(text: str) -> float:
    if not text:
        return SystemClock().wall_s()
    try:
        time = datetime.fromisoformat(text)
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise ConfigInvalid("read option", option="--at", reason="no ISO 8601 time") from None


def _bytes(text: str, option: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise ConfigInvalid("read option", option=option, reason="no hex") from None
