"""What holds for a chain at a block: parameters, time, who leads in turn. Pure."""

from dataclasses import dataclass
from typing import Final

from tetrarch.errors import invariant
from tetrarch.ledger.dates import Era, TimeFrame
from tetrarch.ledger.parameters import Parameters
from tetrarch.ledger.tables import Draft, Table, View

_ONE: Final = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """From one block on, until another says otherwise."""

    parameters: Parameters
    era: Era
    frame: TimeFrame
    leaders: tuple[bytes, ...]


SETTINGS: Final = Table("settings", Settings)


def settings_of(view: View) -> Settings:
    """As they are."""
    settings = SETTINGS.get(view, _ONE)
    invariant(settings is not None, "a chain's first block sets them")
    assert settings is not None
    return settings


def put_settings(draft: Draft, settings: Settings) -> None:
    """As they are from now on."""
    SETTINGS.put(draft, _ONE, settings)
