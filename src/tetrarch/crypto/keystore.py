"""EIP-2335 keystores, version 4: one BLS secret key under a password, as a JSON object.

Reads what other tools write (scrypt and pbkdf2), with bounds on what a foreign file may make us
compute. Writes pbkdf2 with 2**18 rounds by default.

Source: EIP-2335.
"""

import hashlib
import hmac
import unicodedata
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final
from uuid import UUID

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from tetrarch.crypto.bls import SecretKey
from tetrarch.crypto.points import BlsInputInvalid
from tetrarch.entropy import Entropy
from tetrarch.errors import OperatorError

VERSION: Final = 4
DERIVED_KEY_SIZE_BYTES: Final = 32
_SALT_SIZE_BYTES: Final = 32
_IV_SIZE_BYTES: Final = 16

# Bounds on foreign files. The standard's own costs are 2**18 rounds, or 256 MiB of scrypt.
PBKDF2_ROUNDS_MAX: Final = 1 << 24
SCRYPT_MEMORY_BYTES_MAX: Final = 1 << 29
SCRYPT_P_MAX: Final = 16
_SALT_SIZE_BYTES_MAX: Final = 256
_TEXT_SIZE_MAX: Final = 1024


class KeystoreInvalid(OperatorError):
    """The object is no EIP-2335 keystore of version 4, or asks for an absurd cost."""

    code = "keystore_invalid"
    exit_code = 65  # sysexits.h EX_DATAERR
    mend = "restore the keystore file from its source"


class KeystorePasswordWrong(OperatorError):
    """The checksum does not fit: another password, or a damaged file."""

    code = "keystore_password_wrong"
    exit_code = 65  # sysexits.h EX_DATAERR
    mend = "give the password that this keystore was encrypted with"


class KeystoreCost(Enum):
    """What deriving the key from the password costs whoever guesses passwords."""

    STANDARD = "pbkdf2"  # 2**18 rounds, about 0.1 s
    SCRYPT = "scrypt"  # n = 2**18, r = 8: 256 MiB, about 0.7 s
    INSECURE = "insecure"  # pbkdf2 with 16 rounds: for tests and demonstrations only


_PBKDF2_ROUNDS: Final = {KeystoreCost.STANDARD: 1 << 18, KeystoreCost.INSECURE: 16}


@dataclass(frozen=True, slots=True, kw_only=True)
class Keystore:
    """A decrypted keystore. ``secret`` hides itself when printed."""

    secret: SecretKey
    public_key: bytes
    path: str
    description: str
    uuid: str


def normalise_password(password: str) -> bytes:
    """NFKD, without C0 and C1 control codes and Delete, as UTF-8."""
    text = unicodedata.normalize("NFKD", password)
    return "".join(c for c in text if not (ord(c) < 0x20 or 0x7F <= ord(c) <= 0x9F)).encode()


def encrypt_keystore(
    secret: SecretKey,
    password: str,
    *,
    entropy: Entropy,
    path: str = "",
    description: str = "",
    cost: KeystoreCost = KeystoreCost.STANDARD,
) -> dict[str, Any]:
    """The keystore of ``secret`` as a JSON-ready dict.

    Args:
        secret: the key.
        password: any text; see ``normalise_password``.
        entropy: 64 bytes are drawn: salt, initialisation vector, identifier.
        path: where ``secret`` stands in its EIP-2334 tree; empty if in none.
        description: shown to people.
        cost: ``INSECURE`` only where the password protects nothing.
    """
    salt, iv, identifier = entropy(_SALT_SIZE_BYTES), entropy(_IV_SIZE_BYTES), entropy(16)
    kdf: dict[str, Any]
    if cost is KeystoreCost.SCRYPT:
        params = {"dklen": 32, "n": 1 << 18, "p": 1, "r": 8, "salt": salt.hex()}
        kdf = {"function": "scrypt", "params": params, "message": ""}
    else:
        rounds = _PBKDF2_ROUNDS[cost]
        params = {"dklen": 32, "c": rounds, "prf": "hmac-sha256", "salt": salt.hex()}
        kdf = {"function": "pbkdf2", "params": params, "message": ""}
    derived = _derive(kdf, normalise_password(password))
    ciphertext = _aes_128_ctr(derived[:16], iv, secret.to_bytes())
    return {
        "crypto": {
            "kdf": kdf,
            "checksum": {
                "function": "sha256",
                "params": {},
                "message": _checksum(derived, ciphertext).hex(),
            },
            "cipher": {
                "function": "aes-128-ctr",
                "params": {"iv": iv.hex()},
                "message": ciphertext.hex(),
            },
        },
        "description": description,
        "pubkey": secret.public_key().hex(),
        "path": path,
        "uuid": str(UUID(bytes=identifier, version=4)),
        "version": VERSION,
    }


def decrypt_keystore(keystore: object, password: str) -> Keystore:
    """Open ``keystore``, the decoded JSON object.

    Raises:
        KeystoreInvalid: not such an object, or its cost is beyond the bounds; names the field.
        KeystorePasswordWrong: the password does not open it.

    Cost: what the file asks for, within the bounds: usually 0.1 to 1 s. Native code that releases
        the interpreter lock.
    """
    version = _field(keystore, "version", int)
    if version != VERSION:
        raise KeystoreInvalid("open keystore", field="version", got=version)
    crypto = _field(keystore, "crypto", dict)
    checksum, cipher = _field(crypto, "checksum", dict), _field(crypto, "cipher", dict)
    if _field(checksum, "function", str) != "sha256":
        raise KeystoreInvalid("open keystore", field="checksum.function")
    if _field(cipher, "function", str) != "aes-128-ctr":
        raise KeystoreInvalid("open keystore", field="cipher.function")
    iv = _hex(_field(cipher, "params", dict), "iv", size=range(16, 17))
    ciphertext = _hex(cipher, "message", size=range(32, 33))
    expected = _hex(checksum, "message", size=range(32, 33))
    derived = _derive(_field(crypto, "kdf", dict), normalise_password(password))
    if not hmac.compare_digest(_checksum(derived, ciphertext), expected):
        raise KeystorePasswordWrong("open keystore")
    try:
        secret = SecretKey.from_bytes(_aes_128_ctr(derived[:16], iv, ciphertext))
    except BlsInputInvalid:
        raise KeystoreInvalid("open keystore", reason="holds no BLS secret key") from None
    return _described(keystore, secret)


def _described(keystore: object, secret: SecretKey) -> Keystore:
    public_key = secret.public_key()
    if isinstance(keystore, dict) and keystore.get("pubkey") is not None:  # optional
        named = _field(keystore, "pubkey", str).lower().removeprefix("0x")
        if named != public_key.hex():
            raise KeystoreInvalid("open keystore", field="pubkey", reason="of another secret")
    return Keystore(
        secret=secret,
        public_key=public_key,
        path=_text(keystore, "path"),
        description=_text(keystore, "description"),
        uuid=_text(keystore, "uuid"),
    )


def _derive(kdf: dict[str, Any], password: bytes) -> bytes:
    function, params = _field(kdf, "function", str), _field(kdf, "params", dict)
    salt = _hex(params, "salt", size=range(_SALT_SIZE_BYTES_MAX + 1))
    _number(params, "dklen", low=DERIVED_KEY_SIZE_BYTES, high=DERIVED_KEY_SIZE_BYTES)
    if function == "pbkdf2":
        rounds = _number(params, "c", low=1, high=PBKDF2_ROUNDS_MAX)
        if _field(params, "prf", str) != "hmac-sha256":
            raise KeystoreInvalid("open keystore", field="kdf.params.prf")
        return hashlib.pbkdf2_hmac("sha256", password, salt, rounds, DERIVED_KEY_SIZE_BYTES)
    if function == "scrypt":
        n = _number(params, "n", low=2, high=SCRYPT_MEMORY_BYTES_MAX // 128)
        r = _number(params, "r", low=1, high=SCRYPT_MEMORY_BYTES_MAX // 128)
        p = _number(params, "p", low=1, high=SCRYPT_P_MAX)
        memory = 128 * r * (n + p + 2)
        if n & (n - 1) or memory > SCRYPT_MEMORY_BYTES_MAX + (1 << 20):
            raise KeystoreInvalid("open keystore", field="kdf.params.n", n=n, r=r)
        return hashlib.scrypt(
            password,
            salt=salt,
            n=n,
            r=r,
            p=p,
            maxmem=memory + (1 << 20),
            dklen=DERIVED_KEY_SIZE_BYTES,
        )
    raise KeystoreInvalid("open keystore", field="kdf.function")


def _checksum(derived: bytes, ciphertext: bytes) -> bytes:
    return hashlib.sha256(derived[16:32] + ciphertext).digest()


def _aes_128_ctr(key: bytes, iv: bytes, data: bytes) -> bytes:
    encryptor = Cipher(algorithms.AES(key), modes.CTR(iv)).encryptor()
    return encryptor.update(data) + encryptor.finalize()


def _field(value: object, name: str, kind: type) -> Any:
    if not isinstance(value, dict) or type(value.get(name)) is not kind:
        raise KeystoreInvalid("open keystore", field=name, expected=kind.__name__)
    return value[name]


def _number(params: dict[str, Any], name: str, *, low: int, high: int) -> int:
    number: int = _field(params, name, int)
    if not low <= number <= high:
        raise KeystoreInvalid("open keystore", field=name, got=number, low=low, high=high)
    return number


def _hex(value: dict[str, Any], name: str, *, size: range) -> bytes:
    text: str = _field(value, name, str)
    try:
        if len(text) > 2 * size.stop:
            raise ValueError  # noqa: TRY301 - the same refusal as for text that is no hex
        data = bytes.fromhex(text)
    except ValueError:
        raise KeystoreInvalid("open keystore", field=name, reason="not hexadecimal") from None
    if len(data) not in size:
        raise KeystoreInvalid("open keystore", field=name, got_bytes=len(data))
    return data


def _text(value: object, name: str) -> str:
    if not isinstance(value, dict) or value.get(name) is None:
        return ""
    text: str = _field(value, name, str)
    if len(text) > _TEXT_SIZE_MAX:
        raise KeystoreInvalid("open keystore", field=name, reason="too long")
    return text
