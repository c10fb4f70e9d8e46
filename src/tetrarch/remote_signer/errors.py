"""What can go wrong between a node and its remote signers."""

from typing import ClassVar

from tetrarch.errors import OperatorError, Transient

EX_UNAVAILABLE = 69


class RemoteSignerFailed(Transient):
    """A remote signer gave no signature: away, in trouble, or it does not know the key."""

    code = "remote_signer_failed"


class RemoteSignerAway(OperatorError):
    """Shares of this node have no remote signer, and not every signer could be asked at start."""

    code = "remote_signer_away"
    exit_code: ClassVar[int] = EX_UNAVAILABLE
    mend = "start the remote signers, or correct remote_signer.urls and its TLS files"


class RemoteSharesMissing(OperatorError):
    """All remote signers answer, and some shares of this node are with none of them."""

    code = "remote_shares_missing"
    mend = "load the named shares into one of the remote signers"


class TlsFileUnusable(OperatorError):
    """A certificate or key file named in the configuration cannot be used."""

    code = "tls_file_unusable"
    mend = "name readable PEM files of which key and certificate belong together"


class TokenFileUnusable(OperatorError):
    """A file that holds a bearer token cannot be read, or holds none."""

    code = "token_file_unusable"
    mend = "name a readable file with one line, the token of 16 to 1024 printable characters"
