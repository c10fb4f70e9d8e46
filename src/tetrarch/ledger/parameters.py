"""What the members of a chain agreed on: set in its first block, changed by their vote. Pure."""

from dataclasses import asdict, dataclass
from enum import Enum
from typing import Final

from tetrarch.errors import InputInvalid
from tetrarch.ledger.blocks import CONTENT_SIZE_BYTES_MAX, FRAGMENT_SIZE_BYTES_MAX
from tetrarch.ledger.dates import SLOT_DURATION_S_MAX
from tetrarch.ledger.praos import COEFFICIENT_ONE
from tetrarch.ledger.wire import Reader, Writer

SLOTS_PER_EPOCH_MAX: Final = 10_000_000
RATE_ONE: Final = 1_000_000


class ParametersInvalid(InputInvalid):
    """Parameters that no chain can go by."""

    code = "parameters_invalid"


class Mode(Enum):
    """Who makes blocks."""

    BFT = "bft"  # leaders in turn
    PRAOS = "praos"  # pools, by stake
    ELECTED = "elected"  # one of the leaders, whom an attested election named


@dataclass(frozen=True, slots=True, kw_only=True)
class Fees:
    """Of a fragment, in the smallest unit of value: so much for each, and so much for each of its bytes."""

    constant: int = 0
    per_byte: int = 0

    def of(self, size_bytes: int) -> int:
        """For a fragment of that size."""
        return self.constant + self.per_byte * size_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewards:
    """In millionths: what of the pot is given out in an epoch, and what of all that is due goes to the treasury."""

    rate_millionth: int = 0
    treasury_millionth: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """``compat``: where a defect of the reference shows in what blocks are valid, as it has it."""

    mode: Mode = Mode.BFT
    slot_duration_ms: int = 1000
    slots_per_epoch: int = 43_200
    coefficient_milli: int = 500  # of the lottery: how many slots have leaders
    slots_per_kes_period: int = 43_200
    content_size_bytes_max: int = 102_400  # of what accounts paid for in a block
    fragment_size_bytes_max: int = 16_384
    expiry_epochs_max: int = 2  # how far ahead a fragment may say that it ends
    fees: Fees = Fees()
    rewards: Rewards = Rewards()
    compat: bool = False

    def __post_init__(self) -> None:
        for name, (lowest, highest) in _BOUNDS.items():
            value = getattr(self, name)
            if not lowest <= value <= highest:
                raise ParametersInvalid(
                    "set parameter", name=name, got=value, lowest=lowest, highest=highest
                )
        if min(self.fees.constant, self.fees.per_byte) < 0:
            raise ParametersInvalid("set parameter", name="fees", reason="below 0")
        for share in (self.rewards.rate_millionth, self.rewards.treasury_millionth):
            if not 0 <= share <= RATE_ONE:
                raise ParametersInvalid(
                    "set parameter", name="rewards", got=share, highest=RATE_ONE
                )
        if self.fragment_size_bytes_max > self.content_size_bytes_max:
            raise ParametersInvalid(
                "set parameter", name="fragment_size_bytes_max", reason="no block has room for it"
            )


def parameters_text(parameters: Parameters) -> dict[str, object]:
    """By name, or GROUP.NAME."""
    found: dict[str, object] = {}
    for name, value in asdict(parameters).items():
        if isinstance(value, dict):
            found |= {f"{name}.{own}": each for own, each in value.items()}
        else:
            found[name] = value.value if isinstance(value, Mode) else value
    return found


_MODES: Final = tuple(Mode)  # by the number that each has on the wire
_FIELDS: Final = (
    "slot_duration_ms",
    "slots_per_epoch",
    "coefficient_milli",
    "slots_per_kes_period",
    "content_size_bytes_max",
    "fragment_size_bytes_max",
    "expiry_epochs_max",
)


def write_parameters(writer: Writer, parameters: Parameters) -> None:
    """Mode u8, compat u8, seven numbers u32 in their order, two fees u64, two shares u32."""
    writer.u8(_MODES.index(parameters.mode)).u8(parameters.compat)
    for name in _FIELDS:
        writer.u32(getattr(parameters, name))
    writer.u64(parameters.fees.constant).u64(parameters.fees.per_byte)
    writer.u32(parameters.rewards.rate_millionth).u32(parameters.rewards.treasury_millionth)


def read_parameters(reader: Reader) -> Parameters:
    """From those bytes.

    Raises:
        BytesInvalid, ParametersInvalid: they are none.
    """
    mode = _MODES[reader.u8(highest=len(_MODES) - 1)]
    compat = bool(reader.u8(highest=1))
    numbers = {name: reader.u32() for name in _FIELDS}
    fees = Fees(constant=reader.u64(), per_byte=reader.u64())
    rewards = Rewards(rate_millionth=reader.u32(), treasury_millionth=reader.u32())
    return Parameters(mode=mode, compat=compat, fees=fees, rewards=rewards, **numbers)


# What members signed in one block: an election, a state digest, four certificates and a change of members, of 1,024 voters.
UNPAID_SIZE_BYTES_MAX: Final = 600_000
_BOUNDS: Final[dict[str, tuple[int, int]]] = {
    "slot_duration_ms": (200, int(1000 * SLOT_DURATION_S_MAX)),
    "slots_per_epoch": (1, SLOTS_PER_EPOCH_MAX),
    "coefficient_milli": (1, COEFFICIENT_ONE),
    "slots_per_kes_period": (1, SLOTS_PER_EPOCH_MAX),
    "content_size_bytes_max": (1024, CONTENT_SIZE_BYTES_MAX - UNPAID_SIZE_BYTES_MAX),
    "fragment_size_bytes_max": (256, FRAGMENT_SIZE_BYTES_MAX),
    "expiry_epochs_max": (0, 1000),
}
