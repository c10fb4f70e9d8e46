"""Opens the keymanager's listener as the configuration says."""

import os
from pathlib import Path

from tetrarch.config import KeymanagerConfig
from tetrarch.entropy import Entropy
from tetrarch.errors import ConfigInvalid
from tetrarch.remote_signer.access import TlsFiles, file_of, read_token, server_context
from tetrarch.signer_api.guard import Guard, check_listener
from tetrarch.signer_api.server import Listen
from tetrarch.storage.errors import cannot_create

TOKEN_ENTROPY_BYTES = 32


def keymanager_listen(folder: Path, config: KeymanagerConfig, *, entropy: Entropy) -> Listen:
    """The listener; its token is made at the first start, in a file for this user only.

    Raises:
        OperatorError: a file cannot be used or written, or others could read keys on their way.
    """
    path = file_of(folder, config.token_file)
    if path is None:
        raise ConfigInvalid("read configuration", setting="keymanager.token_file", reason="empty")
    if not path.exists():
        _make_token(path, entropy)
    files = TlsFiles(
        certificate=file_of(folder, config.tls_certificate_file),
        key=file_of(folder, config.tls_key_file),
    )
    tls = server_context(files)
    check_listener("keymanager", config.listen_host, guarded=True, encrypted=tls is not None)
    guard = Guard(token=read_token(path))
    return Listen(host=config.listen_host, port=config.listen_port, tls=tls, guard=guard)


def _make_token(path: Path, entropy: Entropy) -> None:
    token = "api-token-0x" + entropy(TOKEN_ENTROPY_BYTES).hex()
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(token + "\n")
    except OSError as error:
        raise cannot_create("write token", path, error) from None
