"""Every type of every fork equals the consensus specification's own, on random values.

Bytes, roots and JSON are compared with the oracle in both directions. Mutated bytes must be
refused by InputInvalid or decode to the one value that has those bytes; the oracle decides which.
"""

from contextlib import suppress
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.ethereum.spec.oracle import oracle_type
from tests.ssz.random_values import random_value

from tetrarch.errors import InputInvalid
from tetrarch.ethereum.spec.forks import spec_types
from tetrarch.ethereum.spec.values import Fork
from tetrarch.ssz.container import Container
from tetrarch.ssz.descriptor import SszInvalid

LARGE = {("mainnet", "BeaconState"), ("mainnet", "HistoricalBatch")}
CASES = [
    pytest.param(fork, preset, kind, id=f"{preset}-{fork.value}-{kind.name}")
    for preset in ("minimal", "mainnet")
    for fork in Fork
    for kind in spec_types(fork, preset)
    # Mainnet's large ones take seconds: once, in the newest fork.
    if (preset, kind.name) not in LARGE or fork is Fork.FULU
]
SAMPLES = 3


def plain(value: Any) -> Any:
    """The oracle's JSON with every number as the beacon API writes it."""
    match value:
        case bool():
            return value
        case int():
            return str(value)
        case dict():
            return {
                # The oracle writes the one 256-bit number as little-endian hex.
                name: str(int.from_bytes(bytes.fromhex(each[2:]), "little"))
                if name == "base_fee_per_gas"
                else plain(each)
                for name, each in value.items()
            }
        case list() | tuple():
            return [plain(each) for each in value]
        case _:
            return value


@pytest.mark.parametrize(("fork", "preset", "kind"), CASES)
def test_type_equals_oracle(fork, preset, kind):
    oracle = oracle_type(fork, preset, kind.name)
    heavy = (preset, kind.name) in LARGE
    for sample in range(1 if heavy else SAMPLES):
        rng = Random(f"{fork}/{preset}/{kind.name}/{sample}")
        value = random_value(kind, rng)
        data = value.encode()
        theirs = oracle.decode_bytes(data)
        assert theirs.encode_bytes() == data
        assert kind.decode(data) == value
        assert value.hash_tree_root() == bytes(theirs.hash_tree_root())
        assert kind.decode(data).hash_tree_root() == value.hash_tree_root()
        json = value.to_json()
        assert json == plain(theirs.to_obj())
        assert kind.from_json(json) == value
        if not heavy:
            assert oracle.from_obj(json).encode_bytes() == data


@pytest.mark.parametrize("preset", ["minimal", "mainnet"])
@pytest.mark.parametrize("fork", list(Fork))
def test_defaults_equal_oracle(fork, preset):
    for kind in spec_types(fork, preset):
        theirs = oracle_type(fork, preset, kind.name)()
        assert kind.default().hash_tree_root() == bytes(theirs.hash_tree_root()), kind.name
        assert kind.default().encode() == theirs.encode_bytes(), kind.name


@pytest.mark.parametrize("fork", list(Fork))
def test_fields_stand_in_the_specifications_order(fork):
    for kind in spec_types(fork, "mainnet"):
        assert list(kind.fields) == list(oracle_type(fork, "mainnet", kind.name).fields())


def test_tables_are_built_once_and_do_not_share_changes():
    assert spec_types(Fork.ELECTRA, "mainnet") is spec_types(Fork.ELECTRA, "mainnet")
    deneb, electra = (spec_types(fork, "mainnet") for fork in (Fork.DENEB, Fork.ELECTRA))
    assert "committee_bits" in electra.Attestation.fields
    assert "committee_bits" not in deneb.Attestation.fields
    assert deneb.Checkpoint is electra.Checkpoint
    assert "SingleAttestation" not in deneb
    with pytest.raises(AttributeError):
        _ = deneb.SingleAttestation
    with pytest.raises(InputInvalid):
        spec_types(Fork.DENEB, "gnosis")


def oracle_accepts(oracle: Any, data: bytes) -> bool:
    """Whether the oracle decodes ``data`` to a value that has exactly these bytes."""
    try:
        return oracle.decode_bytes(data).encode_bytes() == data  # type: ignore[no-any-return]  # untyped
    except Exception:  # noqa: BLE001 - the oracle refuses by many kinds of error
        return False


FUZZED = [
    (fork, kind)
    for fork in (Fork.ALTAIR, Fork.DENEB, Fork.ELECTRA, Fork.FULU)
    for kind in spec_types(fork, "minimal")
    if kind.fixed_size is None and "Contents" not in kind.name  # Contents hold whole blobs
]


@st.composite
def mutated(draw: st.DrawFn) -> tuple[Fork, Container, bytes]:
    """The bytes of a random value with up to four changes; most change an offset or a length."""
    fork, kind = draw(st.sampled_from(FUZZED))
    rng = Random(draw(st.integers(0, 2**32)))
    data = bytearray(random_value(kind, rng).encode())
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(min(len(data), 600) - 1, 0)))
        match draw(st.sampled_from(("byte", "word", "cut", "insert", "repeat"))):
            case "byte" if data:
                data[at] ^= 1 << draw(st.integers(0, 7))
            case "word":
                word = draw(st.sampled_from((0, 1, 3, 4, 8, len(data), len(data) + 1, 2**32 - 1)))
                data[at : at + 4] = word.to_bytes(4, "little")
            case "cut":
                del data[at : at + draw(st.sampled_from((1, 4, 8, 32, 10**6)))]
            case "insert":
                data[at:at] = bytes(draw(st.sampled_from((1, 4, 8, 32))))
            case _:
                data += data[at:]
    return fork, kind, bytes(data)


@settings(max_examples=1500, deadline=None, derandomize=True)
@given(mutated())
def test_mutated_bytes_are_judged_as_the_oracle_does(case):
    fork, kind, data = case
    expected = oracle_accepts(oracle_type(fork, "minimal", kind.name), data)
    try:
        value = kind.decode(data)
    except InputInvalid:
        assert not expected
    else:
        assert value.encode() == data
        assert expected


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    st.sampled_from(FUZZED),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=80),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    ),
    st.integers(0, 2**32),
)
def test_any_json_is_read_or_refused(case, junk, seed):
    _, kind = case
    rng = Random(seed)
    json = random_value(kind, rng).to_json()
    place: Any = json
    while True:  # put the junk somewhere inside the object
        key = rng.choice(list(place) if isinstance(place, dict) else range(len(place)))
        inner = place[key]
        if not isinstance(inner, dict | list) or not inner or rng.random() < 0.2:
            place[key] = junk
            break
        place = inner
    with suppress(SszInvalid):
        assert kind.from_json(json).encode()
