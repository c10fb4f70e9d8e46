"""What a greeting must say, and that nothing else is one."""

from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.network.overlay.support import node_id

from tetrarch.network.overlay.greeting import (
    VERSION,
    ChainDiffers,
    Greeting,
    GreetingInvalid,
    NodeDiffers,
    VersionDiffers,
    check_greeting,
    decode_answer,
    decode_greeting,
    encode_greeting,
)
from tetrarch.network.overlay.profile import NodeId

OURS, THEIRS, OTHER = (node_id(number) for number in (1, 2, 3))
BLOCK0 = b"b" * 32


@dataclass(frozen=True)
class Said:
    """What a greeting says, with one thing changed."""

    version: int = VERSION
    node: NodeId = THEIRS
    block0: bytes = BLOCK0

    def greeting(self) -> Greeting:
        return Greeting(
            version=self.version,
            node=self.node,
            nonce=bytes(32),
            block0=self.block0,
            certificate=b"",
        )


def check(said: Said, expected: NodeId | None = None) -> None:
    check_greeting(said.greeting(), block0=BLOCK0, expected=expected, own=OURS)


@pytest.mark.parametrize("expected", [None, THEIRS])
def test_who_should_be_there_may_be(expected: NodeId | None) -> None:
    check(Said(), expected)


def test_another_version() -> None:
    with pytest.raises(VersionDiffers):
        check(replace(Said(), version=VERSION + 1))


def test_another_chain() -> None:
    with pytest.raises(ChainDiffers):
        check(replace(Said(), block0=b"x" * 32))


def test_another_node() -> None:
    with pytest.raises(NodeDiffers):
        check(Said(), OTHER)


def test_ourselves() -> None:
    with pytest.raises(NodeDiffers):
        check(replace(Said(), node=OURS))


def test_a_greeting_is_read_as_it_was_written() -> None:
    greeting = Said().greeting()
    assert decode_greeting(encode_greeting(greeting)) == greeting


@given(st.binary(max_size=2000))
def test_noise_is_refused(noise: bytes) -> None:
    for decode in (decode_greeting, decode_answer):
        with pytest.raises(GreetingInvalid):
            decode(noise)
