"""The few commands of a TPM 2.0 that an enclave needs, over any way to exchange bytes with it.

No objects that stay in the TPM: its keys are made anew at each start, the same for the same
secret. No sessions but passwords, and those that show what the PCRs hold. Source: TCG, "Trusted Platform Module Library", part 3 (commands).
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, TypeAlias

from tetrarch.attestation.tpm_structures import (
    ATTESTING,
    COUNTER_SIZE_BYTES,
    DIGEST_SIZE_BYTES,
    Algorithm,
    Malformed,
    PublicKey,
    Quote,
    Reader,
    counter_area,
    deriving_area,
    encode_selection,
    public_area,
    read_selection,
    sized,
)
from tetrarch.enclave.errors import TpmFailed
from tetrarch.errors import invariant

RESPONSE_MAX_BYTES: Final = 4096
HEADER_SIZE_BYTES: Final = 10
COORDINATE_SIZE_BYTES: Final = 32
_WITHOUT_SESSIONS, _WITH_SESSIONS = 0x8001, 0x8002
_OWNER = 0x40000001
_ENDORSEMENT = 0x4000000B  # below it lies what no owner of the machine can exchange
_PASSWORD, _CONTINUE = 0x40000009, 1
_HANDLES, _TRANSIENT_FIRST, _HANDLES_MAX = 1, 0x80000000, 254
_PUBLIC_MAX_BYTES = 512
_NOTHING = 0x40000007  # [TPM_RH_NULL]
_POLICY, _TRIAL = 1, 3  # [TPM_SE]; a trial only computes the digest
_NONCE_SIZE_BYTES = 32

# Sends a whole command; its whole response.
Exchange: TypeAlias = Callable[[bytes], bytes]


class Code(IntEnum):
    """[TPM_CC]"""

    CREATE_PRIMARY = 0x131
    NV_DEFINE_SPACE = 0x12A
    NV_INCREMENT = 0x134
    HMAC = 0x155
    QUOTE = 0x158
    FLUSH_CONTEXT = 0x165
    START_AUTH_SESSION = 0x176
    GET_CAPABILITY = 0x17A
    PCR_READ = 0x17E
    POLICY_PCR = 0x17F
    NV_CERTIFY = 0x184
    POLICY_GET_DIGEST = 0x189


@dataclass(frozen=True, slots=True)
class LoadedKey:
    """A key that is in the TPM now. ``auth``: with what it is used."""

    handle: int
    public: PublicKey
    auth: bytes


class Tpm:
    """Commands over ``exchange``; each may raise ``TpmFailed``, or what ``exchange`` raises."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def make_key(self, *, x: bytes, y: bytes, auth: bytes) -> LoadedKey:
        """The attesting key that belongs to ``x`` and ``y``, 32 secret bytes each.

        It follows from them and from what this TPM was made with: nobody makes it without them, nor
        with them on another TPM. Used with ``auth`` alone. ``flush`` it at the end.
        """
        invariant({len(x), len(y)} == {COORDINATE_SIZE_BYTES}, "two secrets of 32 bytes")
        parameters = (
            sized(sized(auth) + sized(b"")),
            sized(public_area(ATTESTING, x, y)),
            sized(b""),
            bytes(4),  # no PCRs
        )
        reader, handle = self._run(
            Code.CREATE_PRIMARY, (_ENDORSEMENT,), (b"",), b"".join(parameters), gives_handle=True
        )
        with _reading(Code.CREATE_PRIMARY):
            public = PublicKey.read(reader.sized(_PUBLIC_MAX_BYTES))
        if public.attributes != ATTESTING:
            raise TpmFailed("use TPM", command=Code.CREATE_PRIMARY.name, reason="another key")
        return LoadedKey(handle, public, auth)

    def quote(
        self, key: LoadedKey, extra_data: bytes, registers: tuple[int, ...]
    ) -> tuple[bytes, bytes]:
        """[TPMS_ATTEST] about ``registers`` and ``extra_data``; ``key``'s [TPMT_SIGNATURE] of it."""
        parameters = (
            sized(extra_data),
            Algorithm.NULL.to_bytes(2, "big"),  # the scheme is the key's own
            encode_selection(registers),
        )
        reader, _ = self._run(Code.QUOTE, (key.handle,), (key.auth,), b"".join(parameters))
        with _reading(Code.QUOTE):
            quoted, signature = reader.sized(RESPONSE_MAX_BYTES), reader.rest()
            Quote.read(quoted)
        return quoted, signature

    def make_deriving_key(self, salt: bytes, policy: bytes) -> int:
        """The handle of a key for ``hmac``, which follows from ``salt`` and from this TPM alone.

        ``policy``: empty, or a digest of ``policy_of``. ``flush`` it at the end.
        """
        parameters = (
            sized(sized(b"") + sized(b"")),
            sized(deriving_area(salt, policy)),
            sized(b""),
            bytes(4),  # no PCRs
        )
        _, handle = self._run(
            Code.CREATE_PRIMARY, (_ENDORSEMENT,), (b"",), b"".join(parameters), gives_handle=True
        )
        return handle

    def hmac(self, handle: int, data: bytes, *, registers: tuple[int, ...] = ()) -> bytes:
        """HMAC-SHA256 of ``data`` by a deriving key; ``registers``: of the key's policy, if it has one."""
        if not registers:
            return self._hmac(handle, data, by=b"")
        with self._session(_POLICY, registers) as session:
            return self._hmac(handle, data, by=session)  # which ends it

    def policy_of(self, registers: tuple[int, ...]) -> bytes:
        """The digest of a policy by which ``registers`` hold what they hold now."""
        with self._session(_TRIAL, registers) as session:
            reader, _ = self._run(Code.POLICY_GET_DIGEST, (session,), (), b"")
            with _reading(Code.POLICY_GET_DIGEST):
                digest = reader.sized(DIGEST_SIZE_BYTES)
            self.flush(session)
        return digest

    def read_registers(self, registers: tuple[int, ...]) -> bytes:
        """What they hold, 32 bytes each, ascending."""
        contents: dict[int, bytes] = {}
        while wanted := tuple(number for number in registers if number not in contents):
            reader, _ = self._run(Code.PCR_READ, (), (), encode_selection(wanted))
            with _reading(Code.PCR_READ):
                reader.number(4)  # how often any was changed
                given = read_selection(reader)  # as many as fit into one response
                if not given or not set(given) <= set(wanted) or reader.number(4) != len(given):
                    raise Malformed("it has no such PCRs")
                contents |= {number: reader.sized(DIGEST_SIZE_BYTES) for number in given}
                reader.end()
        return b"".join(contents[number] for number in sorted(registers))

    def define_counter(self, index: int, auth: bytes) -> None:
        """Make a counter at ``index``, advanced and read with ``auth``.

        Once it is advanced, its value is above that of every counter that was deleted.
        """
        parameters = sized(auth) + sized(counter_area(index))
        self._run(Code.NV_DEFINE_SPACE, (_OWNER,), (b"",), parameters)

    def advance_counter(self, index: int, auth: bytes) -> None:
        """Make the counter at ``index`` greater by one."""
        self._run(Code.NV_INCREMENT, (index, index), (auth,), b"")

    def certify_counter(
        self, key: LoadedKey, index: int, auth: bytes, extra_data: bytes
    ) -> tuple[bytes, bytes]:
        """[TPMS_ATTEST] about the counter and ``extra_data``; ``key``'s [TPMT_SIGNATURE] of it."""
        numbers = (Algorithm.NULL, COUNTER_SIZE_BYTES, 0)  # the key's own scheme; from its start
        parameters = sized(extra_data) + b"".join(number.to_bytes(2, "big") for number in numbers)
        handles = (key.handle, index, index)
        reader, _ = self._run(Code.NV_CERTIFY, handles, (key.auth, auth), parameters)
        with _reading(Code.NV_CERTIFY):
            return reader.sized(RESPONSE_MAX_BYTES), reader.rest()

    def flush(self, handle: int) -> None:
        """Forget what is loaded at ``handle``."""
        self._run(Code.FLUSH_CONTEXT, (), (), handle.to_bytes(4, "big"))

    def loaded(self) -> tuple[int, ...]:
        """Handles of all keys that are loaded."""
        numbers = (_HANDLES, _TRANSIENT_FIRST, _HANDLES_MAX)
        parameters = b"".join(number.to_bytes(4, "big") for number in numbers)
        reader, _ = self._run(Code.GET_CAPABILITY, (), (), parameters)
        with _reading(Code.GET_CAPABILITY):
            reader.number(1)  # whether there are more
            if reader.number(4) != _HANDLES or (count := reader.number(4)) > _HANDLES_MAX:
                raise Malformed("another list")
            return tuple(reader.number(4) for _ in range(count))

    def _hmac(self, handle: int, data: bytes, *, by: bytes | int) -> bytes:
        parameters = sized(data) + Algorithm.SHA256.to_bytes(2, "big")
        reader, _ = self._run(Code.HMAC, (handle,), (by,), parameters)
        with _reading(Code.HMAC):
            derived = reader.sized(DIGEST_SIZE_BYTES)
            if len(derived) != DIGEST_SIZE_BYTES:
                raise Malformed("its size")
        return derived

    @contextmanager
    def _session(self, kind: int, registers: tuple[int, ...]) -> Iterator[int]:
        """The handle of a session that has shown what ``registers`` hold. It is left to end by itself."""
        numbers = (Algorithm.NULL, Algorithm.SHA256)  # encrypts nothing
        parameters = sized(bytes(_NONCE_SIZE_BYTES)) + sized(b"") + bytes((kind,))
        parameters += b"".join(number.to_bytes(2, "big") for number in numbers)
        _, session = self._run(
            Code.START_AUTH_SESSION, (_NOTHING, _NOTHING), (), parameters, gives_handle=True
        )
        try:
            self._run(Code.POLICY_PCR, (session,), (), sized(b"") + encode_selection(registers))
            yield session
        except TpmFailed:
            with suppress(TpmFailed):
                self.flush(session)
            raise

    def _run(
        self,
        code: Code,
        handles: tuple[int, ...],
        passwords: tuple[bytes | int, ...],
        parameters: bytes,
        *,
        gives_handle: bool = False,
    ) -> tuple[Reader, int]:
        """The response's parameters, and its handle (0 where there is none). ``passwords``: see ``command``."""
        response = self._exchange(command(code, handles, passwords, parameters))
        with _reading(code):
            reader = Reader(response)
            tag, size, result = reader.number(2), reader.number(4), reader.number(4)
            if size != len(response):
                raise Malformed("its size")
            if result != 0:
                raise TpmFailed("use TPM", command=code.name, response=f"{result:#05x}")
            if tag != (_WITH_SESSIONS if passwords else _WITHOUT_SESSIONS):
                raise Malformed("its tag")
            handle = reader.number(4) if gives_handle else 0
            given = reader.take(reader.number(4)) if passwords else reader.rest()
        return Reader(given), handle


def command(
    code: int, handles: tuple[int, ...], passwords: tuple[bytes | int, ...], parameters: bytes
) -> bytes:
    """The bytes of one command; in place of a password the handle of a session, which ends. Pure."""
    sessions = b"".join(
        each.to_bytes(4, "big") + sized(b"") + b"\0" + sized(b"")
        if isinstance(each, int)
        else _PASSWORD.to_bytes(4, "big") + sized(b"") + bytes((_CONTINUE,)) + sized(each)
        for each in passwords
    )
    body = b"".join(handle.to_bytes(4, "big") for handle in handles)
    if passwords:
        body += len(sessions).to_bytes(4, "big") + sessions
    body += parameters
    tag = _WITH_SESSIONS if passwords else _WITHOUT_SESSIONS
    size = HEADER_SIZE_BYTES + len(body)
    return tag.to_bytes(2, "big") + size.to_bytes(4, "big") + code.to_bytes(4, "big") + body


@contextmanager
def _reading(code: Code) -> Iterator[None]:
    try:
        yield
    except Malformed as error:
        raise TpmFailed("use TPM", command=code.name, reason=error) from None
