"""Parameters that were agreed on and hold from an epoch on. Pure.

The leaders of an epoch are known an epoch ahead, so what is agreed on holds from the epoch after the next at the earliest.
Time and the periods of keys stay as the first block has them: schedules, keys and clocks go by them.
"""

from dataclasses import dataclass, replace
from typing import Final

from tetrarch.ledger.parameters import Parameters
from tetrarch.ledger.settings import put_settings, settings_of
from tetrarch.ledger.tables import Draft, Table, View

FIXED: Final = ("slot_duration_ms", "slots_per_epoch", "slots_per_kes_period", "compat")
COMING_MAX: Final = 16
_ONE: Final = b""


@dataclass(frozen=True, slots=True)
class Agreed:
    """``coming``: epochs, and what holds from each on."""

    coming: tuple[tuple[int, Parameters], ...] = ()


AGREED: Final = Table("agreed_parameters", Agreed)


def fixed_that_differ(now: Parameters, then: Parameters) -> tuple[str, ...]:
    """Names of what cannot change, and would."""
    return tuple(name for name in FIXED if getattr(now, name) != getattr(then, name))


def agree(draft: Draft, epoch: int, parameters: Parameters) -> None:
    """A quorum chose them, for an epoch that nothing is agreed on for."""
    AGREED.put(
        draft, _ONE, Agreed(tuple(sorted((*agreed_of(draft), (epoch, parameters)), key=_epoch)))
    )


def agreed_of(view: View) -> tuple[tuple[int, Parameters], ...]:
    """What is agreed on and does not hold yet, with the epochs from which on it does, in their order."""
    agreed = AGREED.get(view, _ONE)
    return () if agreed is None else agreed.coming


def parameters_for(view: View, epoch: int) -> Parameters:
    """Those of the present epoch or a later one, as far as it is known."""
    found = settings_of(view).parameters
    for begins, parameters in agreed_of(view):
        if begins <= epoch:
            found = parameters
    return found


def begin_parameters(draft: Draft, epoch: int) -> None:
    """An epoch begins: the latest that were agreed on for it, or before, hold."""
    coming = agreed_of(draft)
    if coming and coming[0][0] <= epoch:
        parameters = parameters_for(draft, epoch)
        left = tuple(each for each in coming if each[0] > epoch)
        AGREED.put(draft, _ONE, Agreed(left))
        put_settings(draft, replace(settings_of(draft), parameters=parameters))


def _epoch(agreed: tuple[int, Parameters]) -> int:
    return agreed[0]
