"""A TPM in Python, as much of one as an enclave uses; swtpm passes the same contract.

The contract is ``tpm_contract.py``; ``tests/integration/test_tpm.py`` holds a real one against it.
"""

import contextlib
import hashlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from tetrarch.attestation.tpm_structures import (
    PublicKey,
    Reader,
    encode_selection,
    name_of,
    public_area,
    read_selection,
    sized,
)

ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # of P-256
BAD_AUTH, NO_HANDLE, NO_COMMAND, RETRY = 0x9A2, 0x18B, 0x143, 0x922
KEYS_MAX, OUT_OF_CONTEXTS = 3, 0x902
FIRST = 0x80000000


class Refused(Exception):
    def __init__(self, code: int) -> None:
        self.code = code


@dataclass
class Key:
    secret: ec.EllipticCurvePrivateKey
    public: bytes
    auth: bytes


@dataclass
class FakeTpm:
    """``exchange`` commands with it, or ``serve`` it on a socket. ``busy``: so often, at first."""

    seed: bytes = b"seed"
    busy: int = 0
    firmware: int = 0x2026
    resets: int = 1
    registers: list[bytes] = field(default_factory=lambda: [bytes(32)] * 24)
    keys: dict[int, Key] = field(default_factory=dict)
    commands: list[int] = field(default_factory=list)

    def extend(self, number: int, measured: bytes) -> None:
        before = self.registers[number]
        self.registers[number] = hashlib.sha256(before + hashlib.sha256(measured).digest()).digest()

    def restart(self) -> None:
        """The machine is switched off and on."""
        self.resets += 1
        self.keys.clear()
        self.registers = [bytes(32)] * 24

    def exchange(self, command: bytes) -> bytes:
        reader = Reader(command)
        tag, size, code = reader.number(2), reader.number(4), reader.number(4)
        assert size == len(command)
        self.commands.append(code)
        if self.busy:
            self.busy -= 1
            return _response(0x8001, RETRY)
        try:
            handle, parameters = self._do(code, reader)
        except Refused as refused:
            return _response(0x8001, refused.code)
        if tag == 0x8002:
            parameters = len(parameters).to_bytes(4, "big") + parameters
            return _response(tag, 0, handle + parameters + sized(b"") + b"\1" + sized(b""))
        return _response(tag, 0, handle + parameters)

    def _do(self, code: int, reader: Reader) -> tuple[bytes, bytes]:
        match code:
            case 0x131:
                return self._create_primary(reader)
            case 0x158:
                return b"", self._quote(reader)
            case 0x165:
                if self.keys.pop(reader.number(4), None) is None:
                    raise Refused(NO_HANDLE)
                return b"", b""
            case 0x17A:
                handles = b"".join(handle.to_bytes(4, "big") for handle in self.keys)
                count = len(self.keys).to_bytes(4, "big")
                return b"", b"\0" + (1).to_bytes(4, "big") + count + handles
            case 0x17E:
                return b"", self._read_registers(reader)
            case _:
                raise Refused(NO_COMMAND)

    def _create_primary(self, reader: Reader) -> tuple[bytes, bytes]:
        assert reader.number(4) == 0x4000000B
        self._check_password(reader, b"")
        sensitive = Reader(reader.sized(200))
        auth = sensitive.sized(32)
        template = reader.sized(500)
        if len(self.keys) >= KEYS_MAX:
            raise Refused(OUT_OF_CONTEXTS)
        number = int.from_bytes(hashlib.sha512(self.seed + template).digest(), "big")
        secret = ec.derive_private_key(number % (ORDER - 1) + 1, ec.SECP256R1())
        point = secret.public_key().public_numbers()
        read = PublicKey.read(template)
        x, y = (each.to_bytes(32, "big") for each in (point.x, point.y))
        public = public_area(read.attributes, x, y)
        handle = next(n for n in range(FIRST, FIRST + KEYS_MAX) if n not in self.keys)
        self.keys[handle] = Key(secret, public, auth)
        rest = (
            sized(b"creation") + sized(bytes(32)) + bytes(6) + sized(b"") + sized(name_of(public))
        )
        return handle.to_bytes(4, "big"), sized(public) + rest

    def _quote(self, reader: Reader) -> bytes:
        key = self.keys.get(reader.number(4))
        if key is None:
            raise Refused(NO_HANDLE)
        self._check_password(reader, key.auth)
        extra, _ = reader.sized(66), reader.number(2)
        numbers = read_selection(reader)
        contents = b"".join(self.registers[number] for number in numbers)
        clock = bytes(8) + self.resets.to_bytes(4, "big") + bytes(4) + b"\1"
        quoted = b"".join(
            (
                b"\xff\x54\x43\x47\x80\x18",
                sized(name_of(key.public)),
                sized(extra),
                clock + self.firmware.to_bytes(8, "big"),
                encode_selection(numbers),
                sized(hashlib.sha256(contents).digest()),
            )
        )
        r, s = decode_dss_signature(key.secret.sign(quoted, ec.ECDSA(hashes.SHA256())))
        signature = sized(r.to_bytes(32, "big")) + sized(s.to_bytes(32, "big"))
        return sized(quoted) + b"\0\x18\0\x0b" + signature

    def _read_registers(self, reader: Reader) -> bytes:
        numbers = read_selection(reader)[:8]
        values = b"".join(sized(self.registers[number]) for number in numbers)
        return bytes(4) + encode_selection(numbers) + len(numbers).to_bytes(4, "big") + values

    def _check_password(self, reader: Reader, auth: bytes) -> None:
        sessions = Reader(reader.take(reader.number(4)))
        assert sessions.number(4) == 0x40000009
        sessions.sized(0)
        sessions.number(1)
        if sessions.sized(32) != auth:
            raise Refused(BAD_AUTH)

    @contextmanager
    def serve(self, path: Path) -> Iterator[Path]:
        """On a socket, for one client after the other, as swtpm."""
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
            listener.listen()
            thread = threading.Thread(target=self._accept, args=(listener,), daemon=True)
            thread.start()
            try:
                yield path
            finally:
                with contextlib.suppress(OSError):
                    listener.shutdown(socket.SHUT_RDWR)
                thread.join(10)

    def _accept(self, listener: Any) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                while command := connection.recv(4096):
                    connection.sendall(self.exchange(command))


def _response(tag: int, code: int, body: bytes = b"") -> bytes:
    size = (10 + len(body)).to_bytes(4, "big")
    return tag.to_bytes(2, "big") + size + code.to_bytes(4, "big") + body
