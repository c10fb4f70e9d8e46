"""The operator's side of a node's folder: what he asks for, and what he finds there.

``requests/``   one small JSON file for each exit or registration that he asks the node to sign.
                ``tetrarch exit sign`` and ``tetrarch fee-recipient sign`` write them; whoever may
                write here may also read the node's keystores, so no other proof is asked for.
``exits/``      the group's signed exits, ``exit-0x<public key>.json``, as the beacon API takes them.
``builder_registrations_overrides.json``  registrations that were signed elsewhere.

Files appear whole or not at all, and survive a power failure. A node reads them at its next slot.
"""

import contextlib
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import msgspec

from tetrarch.cluster.text import hex_text, parse_hex
from tetrarch.decoding import UNDECODABLE
from tetrarch.duties.ports import Compute
from tetrarch.duties.requested import ExitRequest, OperatorRequest, RegistrationRequest
from tetrarch.duties.types import PUBLIC_KEY_SIZE_BYTES, PubKey
from tetrarch.errors import InputInvalid, OperatorError, Transient
from tetrarch.ethereum.spec.messages import (
    SignedValidatorRegistration,
    SignedVoluntaryExit,
    ValidatorRegistration,
)
from tetrarch.observability.logs import Log
from tetrarch.storage.durable_file import write_durably

REQUESTS_FOLDER = "requests"
EXITS_FOLDER = "exits"
OVERRIDES_FILE = "builder_registrations_overrides.json"
REQUESTS_MAX = 10_000
REQUEST_SIZE_BYTES_MAX = 4096
OVERRIDES_SIZE_BYTES_MAX = 1 << 26
ADDRESS_SIZE_BYTES = 20
_FOLDER_MODE = 0o700
_TIME_MAX = 2**62  # as the database takes it
_COST_MS_UNKNOWN = 100.0  # the disk may be slow: never on the event loop

_Time = Annotated[int, msgspec.Meta(ge=0, le=_TIME_MAX)]


class RequestUnwritable(OperatorError):
    """A request or exit file cannot be written; there is no half of it."""

    code = "request_unwritable"
    exit_code = 73  # EX_CANTCREAT
    mend = "run it as the user whose node this is, on a disk that has room"


class ExitUnkept(Transient):
    """The group's exit could not be written to its file; it is kept in the database."""

    code = "exit_unkept"


class _ExitFile(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="exit"
):
    validator: str
    epoch: _Time
    broadcast: bool


class _RegistrationFile(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    tag_field="kind",
    tag="registration",
):
    validator: str
    fee_recipient: str
    gas_limit: _Time
    timestamp: _Time


_AnyFile: TypeAlias = _ExitFile | _RegistrationFile


def request_path(folder: Path, request: OperatorRequest) -> Path:
    """Where ``request`` stands in the node's ``folder``: one file for what is signed once."""
    if isinstance(request, ExitRequest):
        name = f"exit-0x{request.pubkey.hex()}-{request.epoch}.json"
    else:
        name = f"registration-0x{request.pubkey.hex()}-{request.message.timestamp}.json"
    return folder / REQUESTS_FOLDER / name


def write_request(folder: Path, request: OperatorRequest) -> Path:
    """Ask the node of ``folder`` for ``request``; returns the file. Asking again is harmless.

    Raises:
        RequestUnwritable: the file system refuses.
    """
    path = request_path(folder, request)
    form: _AnyFile
    match request:
        case ExitRequest(pubkey=pubkey, epoch=epoch, broadcast=broadcast):
            form = _ExitFile(hex_text(pubkey), epoch, broadcast)
        case RegistrationRequest(message=message):
            form = _RegistrationFile(
                hex_text(message.pubkey),
                hex_text(message.fee_recipient),
                message.gas_limit,
                message.timestamp,
            )
    try:
        _write(path, msgspec.json.encode(form))
    except OSError as error:
        raise RequestUnwritable("write request", file=path, reason=error.strerror) from error
    return path


def read_request(data: bytes) -> OperatorRequest:
    """The request of one file.

    Raises:
        InputInvalid: it is none; names the field.
    """
    form: _AnyFile
    try:
        form = msgspec.json.decode(data, type=_AnyFile)
    except UNDECODABLE as error:
        raise InputInvalid("read request", reason=error) from None
    pubkey = PubKey(parse_hex(form.validator, size=PUBLIC_KEY_SIZE_BYTES, field="validator"))
    if isinstance(form, _ExitFile):
        return ExitRequest(pubkey=pubkey, epoch=form.epoch, broadcast=form.broadcast)
    recipient = parse_hex(form.fee_recipient, size=ADDRESS_SIZE_BYTES, field="fee_recipient")
    if not any(recipient):
        raise InputInvalid("read request", field="fee_recipient", reason="is zero")
    message = ValidatorRegistration(
        fee_recipient=recipient,
        gas_limit=form.gas_limit,
        timestamp=form.timestamp,
        pubkey=pubkey,
    )
    return RegistrationRequest(message=message)


def read_overrides(data: bytes) -> tuple[SignedValidatorRegistration, ...]:
    """Registrations of an overrides file: a JSON list, plain or versioned (v1). Not verified.

    Raises:
        InputInvalid: it is no such list.
    """
    try:
        items = json.loads(data)
    except ValueError as error:
        raise InputInvalid("read overrides", reason=error) from None
    if not isinstance(items, list):
        raise InputInvalid("read overrides", reason="expected a list")
    return tuple(SignedValidatorRegistration.from_json(_plain(item)) for item in items)


def _plain(item: Any) -> Any:
    if isinstance(item, dict) and "data" in item:
        if str(item.get("version", "v1")).lower() not in ("v1", "0"):
            raise InputInvalid("read overrides", field="version", got=item["version"])
        return item["data"]
    return item


@dataclass(slots=True)
class OperatorFolder:
    """Satisfies ``duties.requested.OperatorPort`` with the files of one node's folder."""

    folder: Path
    compute: Compute
    log: Log
    _known: dict[str, tuple[int, int, OperatorRequest | None]] = field(default_factory=dict)
    _overrides_seen: tuple[int, int] | None = None
    _overrides: tuple[SignedValidatorRegistration, ...] = ()

    @classmethod
    def requests_of(cls, folder: Path) -> tuple[OperatorRequest, ...]:
        """The requests that stand in ``folder`` now; files that are none are left out."""
        found = []
        for path in sorted((folder / REQUESTS_FOLDER).glob("*.json"))[:REQUESTS_MAX]:
            with contextlib.suppress(OSError, InputInvalid):
                found.append(read_request(_read(path, size_max=REQUEST_SIZE_BYTES_MAX)))
        return tuple(found)

    async def requests(self) -> tuple[OperatorRequest, ...]:
        """See ``OperatorPort``. A file that is no request is named once, and left alone."""
        return await self.compute.run(self._read_requests, cost_ms=_COST_MS_UNKNOWN)

    async def overrides(self) -> tuple[SignedValidatorRegistration, ...]:
        """See ``OperatorPort``. A file that cannot be read is named once; the last one stays."""
        return await self.compute.run(self._read_overrides, cost_ms=_COST_MS_UNKNOWN)

    async def keep_exit(self, pubkey: PubKey, signed: SignedVoluntaryExit) -> None:
        """See ``OperatorPort``. Of several exits of a validator the earliest is kept."""
        await self.compute.run(lambda: self._keep(pubkey, signed), cost_ms=_COST_MS_UNKNOWN)

    def _read_requests(self) -> tuple[OperatorRequest, ...]:
        try:
            with os.scandir(self.folder / REQUESTS_FOLDER) as entries:
                files = sorted(
                    (entry.name, entry.stat()) for entry in entries if entry.name.endswith(".json")
                )
        except FileNotFoundError:
            return ()
        except OSError as error:
            self._warn_once("", REQUESTS_FOLDER, error.strerror)
            return ()
        found: dict[str, tuple[int, int, OperatorRequest | None]] = {}
        for name, stat in files[:REQUESTS_MAX]:
            known = self._known.get(name)
            if known is not None and known[:2] == (stat.st_mtime_ns, stat.st_size):
                found[name] = known
            else:
                found[name] = (stat.st_mtime_ns, stat.st_size, self._read_one(name))
        if len(files) > REQUESTS_MAX and len(self._known) < REQUESTS_MAX:
            self.log.warning("requests_left_out", count=len(files) - REQUESTS_MAX)
        self._known = found
        return tuple(request for _, _, request in found.values() if request is not None)

    def _read_one(self, name: str) -> OperatorRequest | None:
        path = self.folder / REQUESTS_FOLDER / name
        try:
            return read_request(_read(path, size_max=REQUEST_SIZE_BYTES_MAX))
        except OSError as error:
            self.log.warning("request_unreadable", file=name, reason=error.strerror)
        except InputInvalid as error:
            self.log.warning("request_unreadable", file=name, reason=str(error), code=error.code)
        return None

    def _warn_once(self, key: str, file: str, reason: object) -> None:
        if key not in self._known:
            self._known[key] = (0, 0, None)
            self.log.warning("request_unreadable", file=file, reason=reason)

    def _read_overrides(self) -> tuple[SignedValidatorRegistration, ...]:
        path = self.folder / OVERRIDES_FILE
        try:
            stat = path.stat()
            seen = stat.st_mtime_ns, stat.st_size
            if seen == self._overrides_seen:
                return self._overrides
            self._overrides_seen = seen
            self._overrides = read_overrides(_read(path, size_max=OVERRIDES_SIZE_BYTES_MAX))
        except FileNotFoundError:
            pass
        except (OSError, InputInvalid) as error:
            code = error.code if isinstance(error, InputInvalid) else "overrides_unreadable"
            self.log.warning("overrides_unreadable", file=str(path), reason=str(error), code=code)
        return self._overrides

    def _keep(self, pubkey: PubKey, signed: SignedVoluntaryExit) -> None:
        path = self.folder / EXITS_FOLDER / f"exit-0x{pubkey.hex()}.json"
        try:
            known = read_exit(_read(path, size_max=REQUEST_SIZE_BYTES_MAX))
            if known.message.epoch <= signed.message.epoch:
                return
        except (FileNotFoundError, InputInvalid):
            pass  # what is no exit there is replaced
        except OSError as error:
            raise ExitUnkept("keep exit", file=path, reason=error.strerror) from error
        try:
            _write(path, json.dumps(signed.to_json(), indent=1).encode())
        except OSError as error:
            raise ExitUnkept("keep exit", file=path, reason=error.strerror) from error


def read_exit(data: bytes) -> SignedVoluntaryExit:
    """The signed exit of a file.

    Raises:
        InputInvalid: it is none.
    """
    try:
        return SignedVoluntaryExit.from_json(json.loads(data))
    except ValueError as error:  # InputInvalid too
        raise InputInvalid("read exit", reason=error) from None


def _read(path: Path, *, size_max: int) -> bytes:
    with path.open("rb") as file:
        data = file.read(size_max + 1)
    if len(data) > size_max:
        raise InputInvalid("read file", file=path, size_bytes_max=size_max)
    return data


def _write(path: Path, data: bytes) -> None:
    """Whole or not at all, durable on return; makes the folder."""
    path.parent.mkdir(mode=_FOLDER_MODE, exist_ok=True)
    write_durably(path, data + b"\n")
