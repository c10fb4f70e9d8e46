"""The files of one enclave's part in an election."""

from dataclasses import dataclass
from pathlib import Path

from tetrarch.enclave.messages import SealedFile, ShareFile
from tetrarch.enclave.seal_secret import SealSecret


@dataclass(frozen=True, slots=True)
class ElectionFiles:
    """What the enclave opens.

    ``folder``: of its sealed state; ``share``: of the key that the members share, where the
    configuration names one; ``sealed``: where that may lie sealed.
    """

    folder: Path
    secret: SealSecret
    share: ShareFile | None = None
    sealed: SealedFile | None = None
