"""The one error of the state transition."""

from tetrarch.errors import InputInvalid

UINT64_MAX = 2**64 - 1


class TransitionInvalid(InputInvalid):
    """A block or operation breaks a rule of the specification; ``rule`` says which."""

    code = "transition_invalid"


def require(holds: bool, rule: str, /, **fields: object) -> None:  # noqa: FBT001 - reads as a sentence
    """Refuse unless ``holds``.

    Raises:
        TransitionInvalid: names ``rule``.
    """
    if not holds:
        raise TransitionInvalid("apply block", rule=rule, **fields)


def uint64(value: int) -> int:
    """``value``, which the specification computes in 64 bits: overflow is a refusal."""
    require(0 <= value <= UINT64_MAX, "64-bit overflow")
    return value
