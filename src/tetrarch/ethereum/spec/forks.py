"""The table of forks: which file holds the types of which fork. A new fork adds one line."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from tetrarch.ethereum.spec import altair, bellatrix, capella, deneb, electra, fulu, phase0
from tetrarch.ethereum.spec.presets import Preset, preset_named
from tetrarch.ethereum.spec.type_table import TypeTable
from tetrarch.ethereum.spec.values import Fork

_TYPES: Mapping[Fork, Callable[[Preset], TypeTable]] = MappingProxyType(
    {
        Fork.PHASE0: phase0.types,
        Fork.ALTAIR: altair.types,
        Fork.BELLATRIX: bellatrix.types,
        Fork.CAPELLA: capella.types,
        Fork.DENEB: deneb.types,
        Fork.ELECTRA: electra.types,
        Fork.FULU: fulu.types,
    }
)


def spec_types(fork: Fork, preset: str | Preset) -> TypeTable:
    """The containers of ``fork`` under ``preset`` (``mainnet`` or ``minimal``).

    Raises:
        InputInvalid: no such preset.

    Cost: built once per fork and preset, then a dictionary look-up.
    """
    return _TYPES[fork](preset if isinstance(preset, Preset) else preset_named(preset))
