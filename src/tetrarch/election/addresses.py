"""Members that are named by host and port. Pure."""

from tetrarch.errors import ConfigInvalid

DEFAULT_HOST = "127.0.0.1"
PORT_MAX = 65_535


def read_address(text: str, *, default_host: str = DEFAULT_HOST) -> tuple[str, int]:
    """``PORT``, ``HOST:PORT`` or ``[IPV6]:PORT`` as host and port.

    Raises:
        ConfigInvalid: it is none of these.
    """
    host, colon, port = text.rpartition(":")
    if not colon:
        host, port = default_host, text
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ConfigInvalid("read address", got=text, expected="[IPV6]:PORT")
    if not host or any(letter.isspace() for letter in host):
        raise ConfigInvalid("read address", got=text, expected="PORT or HOST:PORT")
    if not port.isascii() or not port.isdigit() or not 0 < int(port[:6]) <= PORT_MAX:
        raise ConfigInvalid("read address", got=text, expected=f"a port of 1 to {PORT_MAX}")
    return host, int(port)


def name_of(address: tuple[str, int]) -> str:
    """The member's name: the same on every member."""
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
