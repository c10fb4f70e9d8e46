"""EIP-2335: official keystores, round trips, and refusals that name what is wrong."""

import copy
import json
from random import Random
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.crypto.keys import key
from tests.vectors_path import vectors

from tetrarch.crypto.keystore import (
    KeystoreCost,
    KeystoreInvalid,
    KeystorePasswordWrong,
    decrypt_keystore,
    encrypt_keystore,
    normalise_password,
)

OFFICIAL_PASSWORD = "𝔱𝔢𝔰𝔱𝔭𝔞𝔰𝔰𝔴𝔬𝔯𝔡🔑"  # noqa: RUF001 - the standard's own example
OFFICIAL_SECRET = "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f"


def entropy(size_bytes: int, /) -> bytes:
    return Random(size_bytes).randbytes(size_bytes)


def cheap(number: int = 1, password: str = "correct", **options: Any) -> dict[str, Any]:
    options = {"cost": KeystoreCost.INSECURE, **options}
    return encrypt_keystore(key(number), password, entropy=entropy, **options)


@pytest.mark.parametrize("name", ["test0.json", "test1.json"])
@pytest.mark.parametrize(
    "password", [OFFICIAL_PASSWORD, "testpassword🔑", "test\x07password\x7f🔑"]
)
def test_official_keystore_opens(name: str, password: str) -> None:
    given = json.loads((vectors("keystore") / name).read_text())
    opened = decrypt_keystore(given, password)
    assert opened.secret.to_bytes().hex() == OFFICIAL_SECRET
    assert opened.public_key.hex() == given["pubkey"]
    assert (opened.path, opened.uuid) == (given["path"], given["uuid"])
    assert OFFICIAL_SECRET not in repr(opened)


@pytest.mark.parametrize("name", ["test0.json", "test1.json"])
def test_official_keystore_refuses_another_password(name: str) -> None:
    given = json.loads((vectors("keystore") / name).read_text())
    with pytest.raises(KeystorePasswordWrong) as caught:
        decrypt_keystore(given, "testpassword")
    assert "testpassword" not in str(caught.value)
    assert caught.value.mend in str(caught.value)
    assert caught.value.exit_code == 65


def test_password_normalisation() -> None:
    assert normalise_password(OFFICIAL_PASSWORD).hex() == "7465737470617373776f7264f09f9491"
    assert normalise_password("\x00a\x1fb\x7fc\x80d\x9fe f") == b"abcde f"
    assert normalise_password("Å") == normalise_password("A\u030a")


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 50), st.text(max_size=40), st.sampled_from(["", "m/12381/3600/0/0/0"]))
def test_what_is_encrypted_opens_again(number: int, password: str, path: str) -> None:
    keystore = cheap(number, password, path=path, description="a share")
    assert key(number).to_bytes().hex() not in json.dumps(keystore)
    opened = decrypt_keystore(json.loads(json.dumps(keystore)), password)
    assert opened.secret == key(number)
    assert opened.path == path
    assert opened.description == "a share"
    assert UUID(opened.uuid).version == 4
    with pytest.raises(KeystorePasswordWrong):
        decrypt_keystore(keystore, password + "x")


@pytest.mark.parametrize("cost", [KeystoreCost.STANDARD, KeystoreCost.SCRYPT])
def test_costs_are_the_standards_own(cost: KeystoreCost) -> None:
    keystore = encrypt_keystore(key(1), "p", entropy=entropy, cost=cost)
    params = keystore["crypto"]["kdf"]["params"]
    if cost is KeystoreCost.SCRYPT:
        assert (params["n"], params["r"], params["p"]) == (262144, 8, 1)
    else:
        assert params["c"] == 262144
    assert decrypt_keystore(keystore, "p").secret == key(1)
    assert "c" in encrypt_keystore(key(1), "p", entropy=entropy)["crypto"]["kdf"]["params"]


def changed(path: str, value: object, *, remove: bool = False) -> dict[str, Any]:
    keystore = copy.deepcopy(cheap())
    *way, last = path.split(".")
    target = keystore
    for step in way:
        target = target[step]
    if remove:
        del target[last]
    else:
        target[last] = value
    return keystore


SCRYPT = {"dklen": 32, "n": 2, "r": 1, "p": 1, "salt": "00"}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("version", 3),
        ("version", "4"),
        ("crypto", []),
        ("crypto.kdf", None),
        ("crypto.kdf.function", "argon2"),
        ("crypto.kdf.params.c", 0),
        ("crypto.kdf.params.c", -5),
        ("crypto.kdf.params.c", 2**24 + 1),
        ("crypto.kdf.params.c", True),
        ("crypto.kdf.params.c", "16"),
        ("crypto.kdf.params.c", 1.5),
        ("crypto.kdf.params.dklen", 16),
        ("crypto.kdf.params.dklen", 2**40),
        ("crypto.kdf.params.prf", "hmac-md5"),
        ("crypto.kdf.params.salt", "zz"),
        ("crypto.kdf.params.salt", "00" * 1000),
        ("crypto.checksum.function", "crc32"),
        ("crypto.checksum.message", "00"),
        ("crypto.cipher.function", "aes-256-gcm"),
        ("crypto.cipher.params.iv", "00" * 15),
        ("crypto.cipher.message", "00" * 31),
        ("crypto.cipher.message", "0" * 10**6),
        ("pubkey", 7),
        ("pubkey", "00" * 48),
        ("description", "x" * 2000),
        ("path", 5),
        ("crypto.kdf", {"function": "scrypt", "message": "", "params": SCRYPT | {"n": 3}}),
        ("crypto.kdf", {"function": "scrypt", "message": "", "params": SCRYPT | {"n": 2**30}}),
        ("crypto.kdf", {"function": "scrypt", "message": "", "params": SCRYPT | {"n": 1}}),
        (
            "crypto.kdf",
            {"function": "scrypt", "message": "", "params": SCRYPT | {"n": 2**20, "r": 8}},
        ),
        ("crypto.kdf", {"function": "scrypt", "message": "", "params": SCRYPT | {"p": 17}}),
        ("crypto.kdf", {"function": "scrypt", "message": "", "params": SCRYPT | {"r": 0}}),
    ],
)
def test_malformed_keystore_is_refused_before_it_costs_anything(path: str, value: object) -> None:
    with pytest.raises(KeystoreInvalid) as caught:
        decrypt_keystore(changed(path, value), "correct")
    assert caught.value.mend in str(caught.value)


@pytest.mark.parametrize(
    "path",
    [
        "version",
        "crypto",
        "crypto.kdf",
        "crypto.kdf.params",
        "crypto.kdf.params.salt",
        "crypto.checksum",
        "crypto.cipher.params.iv",
        "crypto.cipher.message",
    ],
)
def test_missing_field_is_named(path: str) -> None:
    with pytest.raises(KeystoreInvalid, match=path.rpartition(".")[2]):
        decrypt_keystore(changed(path, None, remove=True), "correct")


@pytest.mark.parametrize("value", [None, [], "text", 4, {}])
def test_other_json_is_refused(value: object) -> None:
    with pytest.raises(KeystoreInvalid):
        decrypt_keystore(value, "correct")


def test_optional_fields_may_be_absent() -> None:
    for path in ("pubkey", "description", "path", "uuid"):
        assert decrypt_keystore(changed(path, None, remove=True), "correct").secret == key(1)
    upper = changed("pubkey", "0x" + key(1).public_key().hex().upper())
    assert decrypt_keystore(upper, "correct").public_key == key(1).public_key()


def test_damaged_ciphertext_is_refused_like_a_wrong_password() -> None:
    keystore = cheap()
    message = keystore["crypto"]["cipher"]["message"]
    keystore["crypto"]["cipher"]["message"] = f"{int(message[0], 16) ^ 1:x}" + message[1:]
    with pytest.raises(KeystorePasswordWrong):
        decrypt_keystore(keystore, "correct")
