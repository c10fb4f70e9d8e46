"""A counter's value is what the TPM's key signed now, and a member has one for all its states."""

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.election.enclaves import HONEST, ask
from tests.election.support import view_of
from tests.enclave.fake_tpm import FakeTpm
from tests.enclave.test_tpm_attesting import attester

from tetrarch.election.configuration import Configuration
from tetrarch.election.counting import CounterMoved
from tetrarch.election.hello import session_of
from tetrarch.election.promises import Denied, Reason
from tetrarch.election.quorums import Mode
from tetrarch.election.requests import CastVote, Keep, Reserve, Standing, TakeReceipts
from tetrarch.election.statements import Signed
from tetrarch.enclave.electing import Electing
from tetrarch.enclave.election_files import ElectionFiles
from tetrarch.enclave.errors import CounterMissing, TpmFailed
from tetrarch.enclave.host import Host
from tetrarch.enclave.seal_secret import SealSecret, make_key_file
from tetrarch.enclave.sealing import Kind
from tetrarch.enclave.secret_reading import SecretReader
from tetrarch.enclave.tpm_commands import Code, Tpm
from tetrarch.enclave.tpm_counter import INDICES, TpmCounter, TpmCounters
from tetrarch.entropy import system_entropy

SECRET = b"m" * 32
TWO = Configuration(members=("a:1", "b:2"), mode=Mode.CRASH)
SESSION = session_of(b"certificate")


def counters(fake: FakeTpm, exchange: Callable[[bytes], bytes] | None = None) -> TpmCounters:
    made = attester(fake).counters(system_entropy)
    return made if exchange is None else TpmCounters(Tpm(exchange), made.key, system_entropy)


def test_counter_is_the_same_after_a_restart_and_another_for_another_member() -> None:
    fake = FakeTpm()
    first = counters(fake).of(SECRET)
    assert first.index in INDICES
    assert first.define() == 1
    assert first.advance() == 2
    fake.restart()
    again = counters(fake)
    assert again.of(SECRET).read() == 2
    with pytest.raises(TpmFailed):
        again.of(b"o" * 32).read()


def test_cleared_counter_is_gone_and_a_new_one_begins_above_it() -> None:
    fake = FakeTpm()
    counter = counters(fake).of(SECRET)
    counter.define()
    fake.clear()
    with pytest.raises(TpmFailed):
        counter.read()
    assert counter.define() == 2


def lying(fake: FakeTpm, change: Callable[[bytearray], None]) -> TpmCounter:
    """A counter behind somebody who changes what the TPM says of it."""

    def exchange(command: bytes) -> bytes:
        response = bytearray(fake.exchange(command))
        if int.from_bytes(command[6:10], "big") == Code.NV_CERTIFY:
            change(response)
        return bytes(response)

    return counters(fake, exchange).of(SECRET)


def test_value_that_the_key_did_not_sign_is_refused() -> None:
    fake = FakeTpm()
    counters(fake).of(SECRET).define()
    genuine: list[bytes] = []
    assert lying(fake, lambda response: genuine.append(bytes(response))).read() == 1
    for place in range(14 * 8, len(genuine[0]) * 8 - 80):

        def flip(response: bytearray, place: int = place) -> None:
            response[place // 8] ^= 1 << place % 8

        with pytest.raises(TpmFailed):
            lying(fake, flip).read()


def test_value_of_before_is_refused() -> None:
    fake = FakeTpm()
    counters(fake).of(SECRET).define()
    old: list[bytes] = []
    lying(fake, lambda response: old.append(bytes(response))).read()

    def replay(response: bytearray) -> None:
        response[:] = old[0]

    with pytest.raises(TpmFailed, match="not signed"):
        lying(fake, replay).read()


def test_another_kind_of_index_is_refused() -> None:
    """One whose value may be written, at the same place, under the same auth value."""
    fake = FakeTpm()
    counter = counters(fake).of(SECRET)
    counter.define()
    real = fake.counters[counter.index]
    real.area = real.area[:9] + bytes((real.area[9] & 0x0F,)) + real.area[10:]
    with pytest.raises(TpmFailed, match="something else"):
        counter.read()


def host_with(fake: FakeTpm | None, folder: Path) -> Host:
    made = None
    if fake is not None:
        fake.keys.clear()  # as an enclave does at its end
        made = attester(fake, secret=hashlib.sha256(folder.name.encode()).digest())
    return Host(
        attester=made or HONEST,
        counters=None if made is None else made.counters(system_entropy),
        entropy=system_entropy,
        read=SecretReader(system_entropy),
        now_ms=lambda: 0,
        wall_s=lambda: 0.0,
    )


def opened(folder: Path, fake: FakeTpm | None, source: int = 0) -> Electing:
    folder.mkdir(exist_ok=True)
    make_key_file(folder / "seal-key", system_entropy)
    return Electing.open(
        files=ElectionFiles(folder, SealSecret(Kind.KEY_FILE, folder / "seal-key")),
        configuration=TWO,
        source=source,
        host=host_with(fake, folder),
    )


def pin(one: Electing, other: Electing) -> None:
    other.take_hello(one.say_hello(session=SESSION, nonce=other.challenge()), session=SESSION)


def reserve(one: Electing, other: Electing, term: int) -> Standing:
    standing = ask(one, TWO.hash, Reserve(term))
    assert isinstance(standing, Standing)
    receipt = ask(other, TWO.hash, Keep(standing.reservation))
    assert isinstance(receipt, Signed)
    answer = ask(one, TWO.hash, TakeReceipts((receipt,)))  # type: ignore[arg-type]
    assert isinstance(answer, Standing)
    return answer


def pair(folder: Path) -> tuple[FakeTpm, Electing, Electing]:
    fake = FakeTpm()
    one, other = opened(folder / "one", fake), opened(folder / "other", None, 1)
    pin(one, other)
    pin(other, one)
    return fake, one, other


def test_restarted_member_goes_on_without_the_others(tmp_path: Path) -> None:
    fake, one, other = pair(tmp_path)
    assert reserve(one, other, 8).reserved_to == 8
    view = view_of(TWO, (0, 1))
    assert isinstance(ask(one, TWO.hash, CastVote(view)), Signed)
    one.close()
    fake.restart()
    again = opened(tmp_path / "one", fake)
    assert not again.is_older
    standing = ask(again, TWO.hash, Reserve())
    assert isinstance(standing, Standing)
    assert (standing.recovered, standing.floor) == (True, 8), "it asked nobody"
    assert ask(again, TWO.hash, CastVote(view_of(TWO, (0, 1), term=8))) == Denied(
        Reason.TERM_OF_A_FORMER_LIFE
    )
    reserve(again, other, 12)
    assert votes(again, 9)


def votes(one: Electing, term: int) -> bool:
    return isinstance(ask(one, TWO.hash, CastVote(view_of(TWO, (0, 1), term=term))), Signed)


def test_restored_folder_is_noticed_without_any_other_member(tmp_path: Path) -> None:
    fake, one, other = pair(tmp_path)
    (sealed,) = (tmp_path / "one").glob("election-*.sealed")
    backup = sealed.read_bytes()
    reserve(one, other, 8)
    one.close()
    for _ in range(2):
        sealed.write_bytes(backup)
        again = opened(tmp_path / "one", fake)
        assert again.is_older
        assert not votes(again, 9)
        again.close()
    again = opened(tmp_path / "one", fake)
    assert not again.is_older, "the newest state is now one that knows that it lacks something"
    assert not votes(again, 9)


def test_two_copies_that_run_at_once_end_each_other(tmp_path: Path) -> None:
    fake, one, other = pair(tmp_path)
    copied = tmp_path / "elsewhere" / "one"
    shutil.copytree(tmp_path / "one", copied)
    copy = opened(copied, fake)
    assert not copy.is_older, "nobody has changed anything since"
    for each in (one, copy):
        with pytest.raises(CounterMoved):
            reserve(each, other, 8)


def test_counted_state_is_opened_with_its_own_tpm_only(tmp_path: Path) -> None:
    _, one, _ = pair(tmp_path)
    one.close()
    for fake in (None, FakeTpm(seed=b"another")):
        with pytest.raises(CounterMissing):
            opened(tmp_path / "one", fake)


def test_member_that_was_made_without_a_counter_gets_none(tmp_path: Path) -> None:
    """Its older states have none, and one of them would pass for the newest."""
    opened(tmp_path / "one", None).close()
    fake = FakeTpm()
    with pytest.raises(CounterMissing):
        opened(tmp_path / "one", fake)
    assert not fake.counters
    assert not opened(tmp_path / "one", None).is_older
