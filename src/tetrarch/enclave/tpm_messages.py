"""Messages by which a node has its enclave attested by a TPM."""

from tetrarch.enclave.messages import Message, Path, SecretFile


class OpenTpm(Message, frozen=True, tag="open_tpm"):
    """Have the TPM that ``Confine`` named vouch for this enclave, from now on.

    ``folder``: where the secret lies that the TPM's key is made from; ``secret``: what opens its
    seal. ``counts``: a member of an election that is made now is counted by the TPM, too. The
    answer is ``Measured``.
    """

    folder: Path
    secret: SecretFile
    counts: bool = False
