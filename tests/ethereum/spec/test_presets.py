"""Presets equal the specification's constants."""

from dataclasses import fields

import pytest
from tests.ethereum.spec.oracle import spec

from tetrarch.errors import InputInvalid
from tetrarch.ethereum.spec.presets import MAINNET, MINIMAL, Preset, preset_named
from tetrarch.ethereum.spec.values import Fork


@pytest.mark.parametrize("preset", [MAINNET, MINIMAL], ids=lambda preset: preset.name)
def test_preset_equals_oracle(preset: Preset):
    module = spec(Fork.FULU, preset.name)
    for each in fields(preset):
        if each.name != "name":
            assert getattr(preset, each.name) == int(getattr(module, each.name.upper())), each.name


def test_unknown_preset_is_named():
    assert preset_named("minimal") is MINIMAL
    with pytest.raises(InputInvalid, match="gnosis"):
        preset_named("gnosis")
