"""The checkers see what they are for: a checker that never fires proves nothing."""

import asyncio

import pytest
from tests.consensus.building import DUTY, PREPARE, A, B

from tetrarch.consensus.codec import Codec
from tetrarch.consensus.messages import Envelope, Message, SignedMessage
from tetrarch.consensus.ports import Decided
from tetrarch.network.ports import Topic
from tetrarch.sim import qbft_world
from tetrarch.sim.checkers import Agreement, Honesty, SimViolation
from tetrarch.sim.identities import ModelIdentity
from tetrarch.sim.qbft_world import run_seed


def decided(value: bytes) -> Decided:
    return Decided(duty=DUTY, value=value, round=1, leader=3, started_s=0, decided_s=1)


def test_two_values_for_a_duty_are_seen() -> None:
    agreement = Agreement(valid=lambda value: True)
    agreement.note(0, 0, decided(b"x"))
    with pytest.raises(SimViolation, match="agree"):
        agreement.note(1, 0, decided(b"y"))


def test_invalid_value_is_seen() -> None:
    agreement = Agreement(valid=lambda value: False)
    with pytest.raises(SimViolation, match="valid"):
        agreement.note(0, 0, decided(b"x"))


def test_second_decision_in_one_life_is_seen_and_in_another_is_fine() -> None:
    agreement = Agreement(valid=lambda value: True)
    agreement.note(0, 0, decided(b"x"))
    agreement.note(0, 1, decided(b"x"))
    assert agreement.missing(DUTY, (0, 1)) == (1,)
    with pytest.raises(SimViolation, match="once"):
        agreement.note(0, 1, decided(b"x"))


def test_two_words_of_an_honest_node_are_seen() -> None:
    codec = Codec(identity=ModelIdentity(seed=1, own_index=0), cluster_id=bytes(32), node_count=4)
    honesty = Honesty(codec, (0, 1))

    def say(source: int, value: bytes) -> None:
        signed = codec.sign(Message(PREPARE, DUTY, source, 1, value))  # type: ignore[arg-type]
        honesty.note(source, Topic.CONSENSUS, codec.encode([Envelope(signed)]))

    say(0, A)
    say(0, A)
    say(3, A)
    say(3, B)
    with pytest.raises(SimViolation, match="one thing"):
        say(0, B)


@pytest.mark.parametrize(("peers", "bound"), [(0, False), (1, False), (2, True)])
def test_forgotten_word_binds_a_restored_node_where_enough_peers_remember(
    peers: int, bound: bool
) -> None:
    """One of four may be a liar, and one more may be away: two must remember."""
    now_s = 0.0
    codec = Codec(identity=ModelIdentity(seed=1, own_index=0), cluster_id=bytes(32), node_count=4)
    honesty = Honesty(codec, (0, 1), faulty_max=1, now_s=lambda: now_s)

    def say(round_: int, value: bytes) -> SignedMessage:
        signed = codec.sign(Message(PREPARE, DUTY, 0, round_, value))  # type: ignore[arg-type]
        honesty.note(0, Topic.CONSENSUS, codec.encode([Envelope(signed)]))
        return signed

    say(1, A)
    now_s = 10.0
    lost = say(2, A)
    honesty.forget(0, since_s=5.0, told=[(lost,)] * peers + [()])
    if bound:
        with pytest.raises(SimViolation, match="one thing"):
            say(2, B)
    else:
        say(2, B)
    with pytest.raises(SimViolation, match="one thing"):
        say(1, B)


def test_run_that_breaks_a_rule_tells_how_to_replay_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qbft_world, "LIVENESS_S", -1000.0)

    async def too_soon(self: object) -> None:
        await asyncio.sleep(0)
        raise SimViolation("every duty is decided")

    monkeypatch.setattr(qbft_world.QbftWorld, "run", too_soon)
    with pytest.raises(SimViolation) as caught:
        run_seed(5)
    assert "python -m tetrarch.sim --seed 5 --show" in caught.value.__notes__[0]
