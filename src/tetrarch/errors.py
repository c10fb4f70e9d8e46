"""Every family of error that this package raises on purpose, and what the caller must decide.

Starts no I/O and imports nothing of the project: every module may import it.
"""

from typing import ClassVar


class TetrarchError(Exception):
    """Base of all expected errors: the action that failed, with structured fields.

    Pick the family by the decision it forces, not by the layer that raises it:

    * ``OperatorError``  a person must change something: stop, exit by ``exit_code``.
    * ``PeerFault``      another node broke the protocol: keep the evidence, go on.
    * ``Transient``      the world was busy: retry until the duty's deadline.
    * ``InputInvalid``   bytes from outside are not what they must be; the edge that
      read them decides which of the above it means.

    A broken invariant is none of these. See ``invariant``.
    """

    code: ClassVar[str] = "error"

    def __init__(self, action: str, /, **fields: object) -> None:
        super().__init__(action)
        self.action = action  # imperative and lower case: "open share file"
        self.fields = fields  # only what the caller cannot know already; never a secret

    def __str__(self) -> str:
        detail = " ".join(f"{name}={value}" for name, value in self.fields.items())
        return f"{self.action}: {self.code}" + (f" ({detail})" if detail else "")


class OperatorError(TetrarchError):
    """A person must change something. ``mend`` says what, in one imperative sentence."""

    code = "operator_error"
    exit_code: ClassVar[int] = 78  # sysexits.h EX_CONFIG
    mend: ClassVar[str] = ""

    def __str__(self) -> str:
        text = super().__str__()
        return f"{text}; {self.mend}" if self.mend else text


class ConfigInvalid(OperatorError):
    """A configuration file, flag or environment variable breaks a rule."""

    code = "config_invalid"
    mend = "correct the named setting"


class ListenFailed(OperatorError):
    """A listener's address cannot be bound: in use, not this host's, or not permitted."""

    code = "listen_failed"
    exit_code = 69  # sysexits.h EX_UNAVAILABLE
    mend = "stop the program that uses the address, or set another host and port"


class PeerFault(TetrarchError):
    """Another node broke the protocol: keep the evidence, score it, go on."""

    code = "peer_fault"


class Transient(TetrarchError):
    """The world was busy or away: retry until the duty's deadline."""

    code = "transient"


class InputInvalid(TetrarchError, ValueError):
    """Bytes or text from outside do not have the required form."""

    code = "input_invalid"


class InvariantBroken(BaseException):
    """The code is wrong. Derives from BaseException so ``except Exception`` cannot eat it."""


def invariant(holds: bool, claim: str) -> None:  # noqa: FBT001 - reads as a sentence
    """Stop the process when ``claim`` is false. Unlike ``assert``, survives ``python -O``."""
    if not holds:
        raise InvariantBroken(claim)
