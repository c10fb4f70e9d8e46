"""TLS contexts and bearer tokens from files, for both ends of the signing and keymanager APIs."""

import ssl
from dataclasses import dataclass
from pathlib import Path

from tetrarch.remote_signer.errors import TlsFileUnusable, TokenFileUnusable

TOKEN_LENGTH_MIN = 16
TOKEN_LENGTH_MAX = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """Paths of PEM files; None where there is none."""

    ca: Path | None = None  # who the other end must be signed by
    certificate: Path | None = None
    key: Path | None = None


def client_context(files: TlsFiles) -> ssl.SSLContext:
    """For calls: the server must be of ``files.ca``, or else of the host's own list.

    Raises:
        TlsFileUnusable: names the file.
    """
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if files.ca is not None:
        # The one that is named, and nobody else.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        _trust(context, files.ca)
    _prove(context, files)
    return context


def server_context(files: TlsFiles) -> ssl.SSLContext | None:
    """For a listener; None without a certificate. With ``files.ca`` callers must have one of it.

    Raises:
        TlsFileUnusable: names the file.
    """
    if files.certificate is None:
        if files.ca is not None:
            raise TlsFileUnusable("load TLS files", missing="the listener's own certificate")
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    _prove(context, files)
    if files.ca is not None:
        _trust(context, files.ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def _trust(context: ssl.SSLContext, path: Path) -> None:
    try:
        context.load_verify_locations(path)
    except (OSError, ssl.SSLError) as error:
        raise TlsFileUnusable("load TLS files", file=path, reason=_reason(error)) from None


def _prove(context: ssl.SSLContext, files: TlsFiles) -> None:
    if files.certificate is None:
        if files.key is not None:
            raise TlsFileUnusable("load TLS files", file=files.key, missing="its certificate")
        return
    try:
        # A key that needs a password is refused: nobody is there to type it.
        context.load_cert_chain(files.certificate, files.key, password=lambda: b"")
    except (OSError, ssl.SSLError, ValueError) as error:
        raise TlsFileUnusable(
            "load TLS files", file=files.certificate, key=files.key, reason=_reason(error)
        ) from None


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or getattr(error, "reason", "") or error)


def read_token(path: Path) -> str:
    """The bearer token in ``path``: its one line.

    Raises:
        TokenFileUnusable: names the file, never its content.
    """
    try:
        with path.open("rb") as file:
            content = file.read(TOKEN_LENGTH_MAX + 3)
    except OSError as error:
        raise TokenFileUnusable("read token", file=path, reason=error.strerror) from None
    token = content.rstrip(b"\r\n").decode("ascii", errors="replace")
    fits = TOKEN_LENGTH_MIN <= len(token) <= TOKEN_LENGTH_MAX
    if not fits or not all("!" <= character <= "~" for character in token):
        raise TokenFileUnusable("read token", file=path, reason="no token, or another form")
    return token


def file_of(folder: Path, name: str) -> Path | None:
    """A file that the configuration names, from the node's folder; None where it is empty."""
    return folder / name if name else None
