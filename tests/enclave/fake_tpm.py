"""A TPM in Python, as much of one as an enclave uses; swtpm passes the same contract.

The contract is ``tpm_contract.py``; ``tests/integration/test_tpm.py`` holds a real one against it.
"""

import contextlib
import hashlib
import hmac
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
DEFINED, UNWRITTEN = 0x14C, 0x14A
KEYS_MAX, OUT_OF_CONTEXTS = 3, 0x902
FIRST, SESSION = 0x80000000, 0x03000000
POLICY_FAIL = 0x99D


class Refused(Exception):
    def __init__(self, code: int) -> None:
        self.code = code


@dataclass
class Key:
    secret: ec.EllipticCurvePrivateKey
    public: bytes
    auth: bytes


@dataclass
class DerivingKey:
    secret: bytes
    policy: bytes


@dataclass
class Session:
    is_trial: bool
    digest: bytes = bytes(32)


@dataclass
class Counter:
    auth: bytes
    area: bytes
    value: int = 0

    @property
    def name(self) -> bytes:
        attributes = int.from_bytes(self.area[6:10], "big") | 1 << 29
        return name_of(self.area[:6] + attributes.to_bytes(4, "big") + self.area[10:])


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
    counters: dict[int, Counter] = field(default_factory=dict)
    deriving: dict[int, DerivingKey] = field(default_factory=dict)
    sessions: dict[int, Session] = field(default_factory=dict)
    highest: int = 0  # that any deleted counter had

    def extend(self, number: int, measured: bytes) -> None:
        before = self.registers[number]
        self.registers[number] = hashlib.sha256(before + hashlib.sha256(measured).digest()).digest()

    def clear(self) -> None:
        """Its owner resets it: counters go, and what is made anew begins above them."""
        self.highest = max((self.highest, *(each.value for each in self.counters.values())))
        self.counters.clear()

    def restart(self) -> None:
        """The machine is switched off and on."""
        self.resets += 1
        self.keys.clear()
        self.deriving.clear()
        self.sessions.clear()
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
            sessions = (sized(b"") + b"\1" + sized(b"")) * (2 if code == 0x184 else 1)
            return _response(tag, 0, handle + parameters + sessions)
        return _response(tag, 0, handle + parameters)

    def _do(self, code: int, reader: Reader) -> tuple[bytes, bytes]:
        if code == 0x131:
            return self._create_primary(reader)
        if code == 0x176:
            return self._start_session(reader), b""
        others = {
            0x12A: self._define,
            0x134: self._increment,
            0x155: self._hmac,
            0x158: self._quote,
            0x165: self._flush,
            0x17A: self._loaded,
            0x17E: self._read_registers,
            0x17F: self._policy_of_registers,
            0x184: self._certify,
            0x189: self._policy_digest,
        }
        if code not in others:
            raise Refused(NO_COMMAND)
        return b"", others[code](reader)

    def _flush(self, reader: Reader) -> bytes:
        handle = reader.number(4)
        loaded: list[dict[int, Any]] = [self.keys, self.deriving, self.sessions]
        if all(each.pop(handle, None) is None for each in loaded):
            raise Refused(NO_HANDLE)
        return b""

    def _loaded(self, _: Reader) -> bytes:
        loaded = (*self.keys, *self.deriving)
        handles = b"".join(handle.to_bytes(4, "big") for handle in loaded)
        return b"\0" + (1).to_bytes(4, "big") + len(loaded).to_bytes(4, "big") + handles

    def _create_primary(self, reader: Reader) -> tuple[bytes, bytes]:
        assert reader.number(4) == 0x4000000B
        self._check_passwords(reader, b"")
        sensitive = Reader(reader.sized(200))
        auth = sensitive.sized(32)
        template = reader.sized(500)
        loaded = (*self.keys, *self.deriving)
        if len(loaded) >= KEYS_MAX:
            raise Refused(OUT_OF_CONTEXTS)
        handle = next(n for n in range(FIRST, FIRST + KEYS_MAX) if n not in loaded)
        if template.startswith(b"\0\x08"):
            self.deriving[handle] = self._deriving_key(template, auth)
            return handle.to_bytes(4, "big"), _rest(template)
        number = int.from_bytes(hashlib.sha512(self.seed + template).digest(), "big")
        secret = ec.derive_private_key(number % (ORDER - 1) + 1, ec.SECP256R1())
        point = secret.public_key().public_numbers()
        read = PublicKey.read(template)
        x, y = (each.to_bytes(32, "big") for each in (point.x, point.y))
        public = public_area(read.attributes, x, y)
        self.keys[handle] = Key(secret, public, auth)
        return handle.to_bytes(4, "big"), _rest(public)

    def _deriving_key(self, template: bytes, auth: bytes) -> DerivingKey:
        area = Reader(template)
        area.take(8)
        policy = area.sized(32)
        assert area.take(4) == b"\0\x05\0\x0b"
        assert not auth
        return DerivingKey(hashlib.sha512(self.seed + template).digest(), policy)

    def _hmac(self, reader: Reader) -> bytes:
        key = self.deriving.get(reader.number(4))
        if key is None:
            raise Refused(NO_HANDLE)
        if key.policy:
            sessions = Reader(reader.take(reader.number(4)))
            session = self.sessions.pop(sessions.number(4), None)
            shown = None if session is None or session.is_trial else session.digest
            if shown != key.policy:
                raise Refused(POLICY_FAIL)
        else:
            self._check_passwords(reader, b"")
        data, algorithm = reader.sized(1024), reader.number(2)
        assert algorithm == 0x0B
        return sized(hmac.digest(key.secret, data, "sha256"))

    def _start_session(self, reader: Reader) -> bytes:
        assert (reader.number(4), reader.number(4)) == (0x40000007, 0x40000007)
        assert len(reader.sized(64)) == 32
        reader.sized(0)
        kind = reader.number(1)
        assert (reader.number(2), reader.number(2)) == (0x10, 0x0B)
        handle = next(n for n in range(SESSION, SESSION + 64) if n not in self.sessions)
        self.sessions[handle] = Session({1: False, 3: True}[kind])
        return handle.to_bytes(4, "big") + sized(bytes(32))

    def _policy_of_registers(self, reader: Reader) -> bytes:
        session = self.sessions[reader.number(4)]
        reader.sized(0)
        numbers = read_selection(reader)
        held = hashlib.sha256(b"".join(self.registers[number] for number in numbers)).digest()
        command = (0x17F).to_bytes(4, "big")
        added = session.digest + command + encode_selection(numbers) + held
        session.digest = hashlib.sha256(added).digest()
        return b""

    def _policy_digest(self, reader: Reader) -> bytes:
        return sized(self.sessions[reader.number(4)].digest)

    def _quote(self, reader: Reader) -> bytes:
        key = self.keys.get(reader.number(4))
        if key is None:
            raise Refused(NO_HANDLE)
        self._check_passwords(reader, key.auth)
        extra, _ = reader.sized(66), reader.number(2)
        numbers = read_selection(reader)
        contents = b"".join(self.registers[number] for number in numbers)
        digest = hashlib.sha256(contents).digest()
        return self._said(key, 0x8018, extra, encode_selection(numbers) + sized(digest))

    def _define(self, reader: Reader) -> bytes:
        assert reader.number(4) == 0x40000001
        self._check_passwords(reader, b"")
        auth, area = reader.sized(32), reader.sized(64)
        index = int.from_bytes(area[:4], "big")
        if index in self.counters:
            raise Refused(DEFINED)
        self.counters[index] = Counter(auth, area)
        return b""

    def _increment(self, reader: Reader) -> bytes:
        counter = self._counter(reader)
        self._check_passwords(reader, counter.auth)
        counter.value = counter.value + 1 if counter.value else self.highest + 1
        return b""

    def _certify(self, reader: Reader) -> bytes:
        key = self.keys.get(reader.number(4))
        if key is None:
            raise Refused(NO_HANDLE)
        counter = self._counter(reader)
        self._check_passwords(reader, key.auth, counter.auth)
        if not counter.value:
            raise Refused(UNWRITTEN)
        extra, numbers = reader.sized(66), [reader.number(2) for _ in range(3)]
        assert numbers == [0x10, 8, 0]
        value = counter.value.to_bytes(8, "big")
        return self._said(key, 0x8014, extra, sized(counter.name) + b"\0\0" + sized(value))

    def _counter(self, reader: Reader) -> Counter:
        by, index = reader.number(4), reader.number(4)
        if by != index or index not in self.counters:
            raise Refused(NO_HANDLE)
        return self.counters[index]

    def _said(self, key: Key, kind: int, extra: bytes, what: bytes) -> bytes:
        clock = bytes(8) + self.resets.to_bytes(4, "big") + bytes(4) + b"\1"
        statement = b"".join(
            (
                b"\xff\x54\x43\x47" + kind.to_bytes(2, "big"),
                sized(name_of(key.public)),
                sized(extra),
                clock + self.firmware.to_bytes(8, "big"),
                what,
            )
        )
        r, s = decode_dss_signature(key.secret.sign(statement, ec.ECDSA(hashes.SHA256())))
        signature = sized(r.to_bytes(32, "big")) + sized(s.to_bytes(32, "big"))
        return sized(statement) + b"\0\x18\0\x0b" + signature

    def _read_registers(self, reader: Reader) -> bytes:
        numbers = read_selection(reader)[:8]
        values = b"".join(sized(self.registers[number]) for number in numbers)
        return bytes(4) + encode_selection(numbers) + len(numbers).to_bytes(4, "big") + values

    def _check_passwords(self, reader: Reader, *auths: bytes) -> None:
        sessions = Reader(reader.take(reader.number(4)))
        for number, auth in enumerate(auths):
            assert sessions.number(4) == 0x40000009
            sessions.sized(0)
            sessions.number(1)
            if sessions.sized(32) != auth:
                raise Refused(BAD_AUTH + 0x100 * number)
        sessions.end()

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


def _rest(public: bytes) -> bytes:
    """What a TPM says of a key that it has made."""
    created = sized(b"creation") + sized(bytes(32)) + bytes(6) + sized(b"")
    return sized(public) + created + sized(name_of(public))


def _response(tag: int, code: int, body: bytes = b"") -> bytes:
    size = (10 + len(body)).to_bytes(4, "big")
    return tag.to_bytes(2, "big") + size + code.to_bytes(4, "big") + body
