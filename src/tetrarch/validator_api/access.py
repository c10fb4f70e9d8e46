"""Who may speak to the validator API: a bearer token and TLS, both from files and both optional.

The token is compared in constant time and goes no further: the beacon node never sees it.
"""

import hmac
import ssl
from dataclasses import dataclass, field
from pathlib import Path

from tetrarch.config import ValidatorApiConfig
from tetrarch.errors import ConfigInvalid

TOKEN_LENGTH_MIN, TOKEN_LENGTH_MAX = 16, 1024
_SCHEME = "bearer"


class AccessFileInvalid(ConfigInvalid):
    """A file that the validator API's listener needs cannot be used."""

    code = "access_file_invalid"
    mend = "correct the file, or the setting of [validator_api] that names it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """What the listener asks of its clients. By default nothing."""

    token: str | None = field(default=None, repr=False)
    tls: ssl.SSLContext | None = None

    def admits(self, authorization: str) -> bool:
        """Whether a request with that ``Authorization`` header may be answered."""
        if self.token is None:
            return True
        scheme, _, given = authorization.partition(" ")
        given_bytes = given.strip().encode(errors="surrogateescape")
        is_right = hmac.compare_digest(given_bytes, self.token.encode())
        return is_right and scheme.lower() == _SCHEME


def load_access(folder: Path, config: ValidatorApiConfig) -> Access:
    """Read the files that ``config`` names; relative paths begin in the node's ``folder``.

    Raises:
        AccessFileInvalid: one of them is missing, or is not what it should be.
    """
    certificate, key = config.tls_certificate_file, config.tls_private_key_file
    if bool(certificate) != bool(key):
        raise AccessFileInvalid(
            "open validator API",
            reason="tls_certificate_file and tls_private_key_file need each other",
        )
    return Access(
        token=_token(folder / config.token_file) if config.token_file else None,
        tls=_tls(folder / certificate, folder / key) if certificate else None,
    )


def _token(path: Path) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(TOKEN_LENGTH_MAX + 16)
    except OSError as error:
        raise AccessFileInvalid("read token", file=path, reason=error.strerror) from error
    try:
        token = raw.decode("ascii").strip()
    except UnicodeDecodeError:
        token = ""
    is_word = token.isprintable() and " " not in token
    if not is_word or not TOKEN_LENGTH_MIN <= len(token) <= TOKEN_LENGTH_MAX:
        raise AccessFileInvalid(
            "read token",
            file=path,
            expected=f"{TOKEN_LENGTH_MIN} to {TOKEN_LENGTH_MAX} printable characters, no spaces",
        )
    return token


def _tls(certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2

    def no_passphrase() -> str:
        raise AccessFileInvalid("read private key", file=key, reason="it is encrypted")

    for path in (certificate, key):
        if not path.is_file():
            raise AccessFileInvalid("read certificate", file=path, reason="no such file")
    try:
        context.load_cert_chain(certificate, key, password=no_passphrase)
    except (OSError, ssl.SSLError) as error:
        # The reason never quotes the key.
        raise AccessFileInvalid(
            "read certificate", file=certificate, key_file=key, reason=str(error)
        ) from error
    return context
