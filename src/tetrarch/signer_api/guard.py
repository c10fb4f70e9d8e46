"""Who may call: bearer token, named hosts, and which listeners may be open at all."""

import hmac
import ipaddress
from dataclasses import dataclass, field

from tetrarch.errors import ConfigInvalid

ANY_HOST = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """Judges a request's headers. ``token``: None where none is asked for."""

    token: str | None = field(default=None, repr=False)
    allowed_hosts: tuple[str, ...] = (ANY_HOST,)

    def refusal(self, *, host: str, authorization: str) -> tuple[int, str] | None:
        """Status and reason, or None where the caller may go on.

        A named host keeps web pages from calling through a browser on this machine.
        """
        if ANY_HOST not in self.allowed_hosts and _name(host) not in self.allowed_hosts:
            return 403, "this host name is not allowed"
        return None if self.permits(authorization) else (401, "a bearer token is needed")

    def permits(self, authorization: str) -> bool:
        """Whether the header carries the token."""
        if self.token is None:
            return True
        scheme, _, given = authorization.partition(" ")
        # Header bytes that are no text arrive as surrogates.
        given_bytes = given.strip().encode(errors="surrogateescape")
        same = hmac.compare_digest(given_bytes, self.token.encode())
        return scheme.lower() == "bearer" and same


def check_listener(section: str, host: str, *, guarded: bool, encrypted: bool) -> None:
    """Refuse a listener that others than this machine could use unseen.

    Args:
        section: of the configuration, for the error.
        host: where it listens.
        guarded: callers need a token or a certificate.
        encrypted: it speaks TLS.

    Raises:
        ConfigInvalid: it is open beyond this machine, and not both.
    """
    if _is_loopback(host) or (guarded and encrypted):
        return
    raise ConfigInvalid(
        "open listener",
        setting=f"{section}.listen_host",
        got=host,
        expected="a loopback address, or TLS with a token or client certificates",
    )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _name(host: str) -> str:
    """A ``Host`` header without its port."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].lower()
