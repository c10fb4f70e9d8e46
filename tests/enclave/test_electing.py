"""An enclave in an election: its keys, its memory on disk, and whom it believes."""

import dataclasses
import itertools
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace
from tests.election.enclaves import HONEST, MEASUREMENT, ask, opened
from tests.election.support import configuration, shared_secrets, sharing, view_of

from tetrarch.attestation.claims import BackEnd
from tetrarch.attestation.policy import Allowed, Demand
from tetrarch.attestation.verifier import Evidence
from tetrarch.crypto.hpke import SealedTextInvalid
from tetrarch.crypto.keystore import KeystoreCost, encrypt_keystore
from tetrarch.election.configuration import Configuration
from tetrarch.election.hello import (
    Appraisal,
    Hello,
    HelloInvalid,
    KeyChanged,
    MemberUnattested,
    session_of,
)
from tetrarch.election.keys import SigningKey
from tetrarch.election.promises import Denied, Reason
from tetrarch.election.requests import (
    CastVote,
    Keep,
    Reserve,
    Standing,
    TakeReceipts,
    TakeRefusal,
)
from tetrarch.election.sealed_calls import place_of, seal_request
from tetrarch.election.statements import Signed
from tetrarch.election.voter import StatementFalse
from tetrarch.election.witnesses import Kept
from tetrarch.enclave import electing as module
from tetrarch.enclave import sealed_state
from tetrarch.enclave.attesting import Attester, SoftwareAttester
from tetrarch.enclave.electing import NONCES_MAX, Electing
from tetrarch.enclave.errors import (
    PasswordWrong,
    SealInvalid,
    SealSecretMissing,
    SealSecretWrong,
    ShareFileMissing,
    ShareSwapped,
)
from tetrarch.enclave.measurement import SECURITY_VERSION
from tetrarch.enclave.messages import ShareFile
from tetrarch.enclave.seal_secret import SealSecret
from tetrarch.enclave.sealing import Kind
from tetrarch.enclave.secret_reading import SecretReader
from tetrarch.entropy import system_entropy
from tetrarch.errors import ConfigInvalid
from tetrarch.storage.errors import StorageFailed, StorageFull, StorageInUse

C = configuration()
SESSION = session_of(b"certificate")


def four(folder: Path) -> list[Electing]:
    return [opened(folder / f"node{index}", C, index) for index in range(4)]


def meet(one: Electing, other: Electing) -> None:
    other.take_hello(one.say_hello(session=SESSION, nonce=other.challenge()), session=SESSION)


def meet_all(enclaves: list[Electing]) -> None:
    for one, other in itertools.permutations(enclaves, 2):
        meet(one, other)


def reserve(one: Electing, others: list[Electing], term: int) -> Standing:
    standing = ask(one, C.hash, Reserve(term))
    assert isinstance(standing, Standing)
    receipts = tuple(ask(other, C.hash, Keep(standing.reservation)) for other in others)
    answer = ask(one, C.hash, TakeReceipts(receipts))  # type: ignore[arg-type]
    assert isinstance(answer, Standing)
    return answer


def test_votes_once_and_keeps_its_word_over_a_restart(tmp_path: Path) -> None:
    enclaves = four(tmp_path)
    meet_all(enclaves)
    assert reserve(enclaves[0], enclaves[1:], 8).reserved_to == 8
    vote = ask(enclaves[0], C.hash, CastVote(view_of(C, (0, 1, 2))))
    assert isinstance(vote, Signed)
    rival = CastVote(view_of(C, (0, 1, 3)))
    assert ask(enclaves[0], C.hash, rival) == Denied(Reason.ANOTHER_VIEW)

    key, boot = enclaves[0].signing_key, enclaves[0].boot
    enclaves[0].close()
    again = enclaves[0] = opened(tmp_path / "node0", C, 0)
    assert again.signing_key == key
    assert again.boot != boot
    assert ask(again, C.hash, rival) == Denied(Reason.NOT_RECOVERED)
    assert reserve(again, enclaves[1:], 0).recovered
    assert ask(again, C.hash, rival) == Denied(Reason.TERM_OF_A_FORMER_LIFE)


def test_restored_folder_votes_for_nothing_that_it_voted_on(tmp_path: Path) -> None:
    enclaves = four(tmp_path)
    meet_all(enclaves)
    sealed = next((tmp_path / "node0").glob("*.sealed"))
    backup = sealed.read_bytes()
    reserve(enclaves[0], enclaves[1:], 8)
    ask(enclaves[0], C.hash, CastVote(view_of(C, (0, 1, 2))))
    enclaves[0].close()
    sealed.write_bytes(backup)

    again = opened(tmp_path / "node0", C, 0)
    rival = CastVote(view_of(C, (0, 1, 3)))
    assert ask(again, C.hash, rival) == Denied(Reason.NOT_RECOVERED)
    first = ask(again, C.hash, Reserve())
    assert isinstance(first, Standing)
    kept = ask(enclaves[1], C.hash, Keep(first.reservation))
    assert isinstance(kept, Kept)
    ask(again, C.hash, TakeRefusal(kept))
    standing = reserve(again, enclaves[1:], 0)
    assert (standing.recovered, standing.floor) == (True, 8)
    assert ask(again, C.hash, rival) == Denied(Reason.TERM_OF_A_FORMER_LIFE)


def test_nothing_secret_lies_open_on_disk(tmp_path: Path) -> None:
    enclave = opened(tmp_path, C, 0)
    kept = enclave._kept
    content = b"".join(path.read_bytes() for path in tmp_path.glob("election-*"))
    assert kept.signing_secret not in content
    assert kept.opening_secret not in content
    assert enclave.signing_key not in content


def test_two_enclaves_do_not_share_a_folder(tmp_path: Path) -> None:
    first = opened(tmp_path, C, 0)
    with pytest.raises(StorageInUse):
        opened(tmp_path, C, 0)
    first.close()
    opened(tmp_path, C, 0).close()


def test_each_configuration_has_its_own_keys(tmp_path: Path) -> None:
    one, other = opened(tmp_path, C, 0), opened(tmp_path, configuration(5), 0)
    assert one.signing_key != other.signing_key


def test_state_belongs_to_one_member(tmp_path: Path) -> None:
    opened(tmp_path, C, 0).close()
    with pytest.raises(SealInvalid, match="of another node"):
        opened(tmp_path, C, 1)
    opened(tmp_path, C, 0).close()  # the lock was given back
    with pytest.raises(ConfigInvalid):
        opened(tmp_path, C, 4)


def test_wrong_secret_is_named(tmp_path: Path) -> None:
    opened(tmp_path, C, 0).close()
    (tmp_path / "seal-key").write_bytes(b"x" * 32)
    with pytest.raises(SealSecretWrong):
        opened(tmp_path, C, 0)
    (tmp_path / "seal-key").write_bytes(b"short")
    with pytest.raises(SealSecretMissing):
        opened(tmp_path, C, 0)


def test_another_version_of_the_state_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_STATE_VERSION", 2)
    opened(tmp_path, C, 0).close()
    monkeypatch.undo()
    with pytest.raises(SealInvalid, match="version=2"):
        opened(tmp_path, C, 0)


@pytest.mark.parametrize(
    ("error", "told"), [(OSError(28, "full"), StorageFull), (OSError(5, "broken"), StorageFailed)]
)
def test_disk_that_fails_leaves_nothing_promised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError, told: type[Exception]
) -> None:
    enclaves = four(tmp_path)
    meet_all(enclaves)
    reserve(enclaves[0], enclaves[1:], 8)

    def refuse(_path: Path, _content: bytes) -> None:
        raise error

    monkeypatch.setattr(sealed_state, "write_durably", refuse)
    with pytest.raises(told):
        ask(enclaves[0], C.hash, CastVote(view_of(C, (0, 1, 2))))
    monkeypatch.undo()
    rival = CastVote(view_of(C, (0, 1, 3)))
    assert isinstance(ask(enclaves[0], C.hash, rival), Signed)


def test_request_to_a_former_start_is_refused(tmp_path: Path) -> None:
    enclave = opened(tmp_path, C, 0)
    place = place_of(C.hash, enclave.signing_key, enclave.boot)
    sealed, _ = seal_request(
        Reserve(5), sealing_key=enclave.sealing_key, place=place, entropy=system_entropy
    )
    enclave.ask(sealed)
    enclave.close()
    with pytest.raises(SealedTextInvalid):
        opened(tmp_path, C, 0).ask(sealed)


class TestHello:
    """Who is believed to be a member."""

    def test_stranger_is_not_believed_before_its_hello(self, tmp_path: Path) -> None:
        enclaves = four(tmp_path)
        standing = ask(enclaves[0], C.hash, Reserve(4))
        assert isinstance(standing, Standing)
        with pytest.raises(StatementFalse):
            ask(enclaves[1], C.hash, Keep(standing.reservation))
        meet(enclaves[0], enclaves[1])
        assert isinstance(ask(enclaves[1], C.hash, Keep(standing.reservation)), Signed)

    def test_nonce_is_answered_once(self, tmp_path: Path) -> None:
        one, other = four(tmp_path)[:2]
        hello = one.say_hello(session=SESSION, nonce=other.challenge())
        other.take_hello(hello, session=SESSION)
        with pytest.raises(HelloInvalid, match="no nonce that is open"):
            other.take_hello(hello, session=SESSION)
        stale = one.say_hello(session=SESSION, nonce=b"n" * 32)
        with pytest.raises(HelloInvalid, match="no nonce that is open"):
            other.take_hello(stale, session=SESSION)

    def test_old_nonces_are_forgotten(self, tmp_path: Path) -> None:
        one, other = four(tmp_path)[:2]
        first = one.say_hello(session=SESSION, nonce=other.challenge())
        for _ in range(NONCES_MAX):
            other.challenge()
        with pytest.raises(HelloInvalid, match="no nonce that is open"):
            other.take_hello(first, session=SESSION)

    def test_who_stands_in_the_middle_is_refused(self, tmp_path: Path) -> None:
        one, other = four(tmp_path)[:2]
        elsewhere = session_of(b"certificate of the middle")
        hello = one.say_hello(session=elsewhere, nonce=other.challenge())
        with pytest.raises(HelloInvalid, match="another session"):
            other.take_hello(hello, session=SESSION)

    def test_key_of_first_contact_stays_over_a_restart(self, tmp_path: Path) -> None:
        enclaves = four(tmp_path)
        meet(enclaves[0], enclaves[1])
        enclaves[0].close()
        for path in (tmp_path / "node0").glob("*.sealed"):
            path.unlink()
        enclaves[1].close()
        other = opened(tmp_path / "node1", C, 1)
        lost = opened(tmp_path / "node0", C, 0)
        with pytest.raises(KeyChanged, match="member=node0"):
            meet(lost, other)

    def test_own_name_is_nobody_elses(self, tmp_path: Path) -> None:
        one = opened(tmp_path / "one", C, 0)
        copy = opened(tmp_path / "copy", C, 0)
        with pytest.raises(HelloInvalid, match="own name"):
            meet(copy, one)

    def test_forged_hello_pins_nothing(self, tmp_path: Path) -> None:
        enclaves = four(tmp_path)
        key = SigningKey(b"f" * 32)
        said: Hello = enclaves[0].say_hello(session=SESSION, nonce=enclaves[1].challenge()).what
        with pytest.raises(HelloInvalid, match="false signature"):
            enclaves[1].take_hello(Signed(said, key.sign(said.signing_bytes)), session=SESSION)
        meet(enclaves[0], enclaves[1])
        forged = replace(said, signing_key=key.public, nonce=enclaves[1].challenge())
        with pytest.raises(KeyChanged):
            enclaves[1].take_hello(Signed(forged, key.sign(forged.signing_bytes)), session=SESSION)


def test_secret_files_of_others_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "passphrase"
    secret = SealSecret(Kind.PASSPHRASE, path)
    with pytest.raises(SealSecretMissing, match="No such file"):
        READ(secret)
    path.write_bytes(b"correct horse\n")
    path.chmod(0o644)
    with pytest.raises(SealSecretMissing, match="0644"):
        READ(secret)
    path.chmod(0o600)
    assert READ(secret) == b"correct horse"
    for content in (b"", b"\n", b"x" * 2000):
        path.write_bytes(content)
        with pytest.raises(SealSecretMissing):
            READ(secret)


READ = SecretReader(system_entropy)
ENTRY = Allowed(BackEnd.SOFTWARE, MEASUREMENT, SECURITY_VERSION)


def asking(demand: Demand, *allowed: Allowed) -> Configuration:
    return dataclasses.replace(C, attestation=demand, allowed=allowed)


def met(folder: Path, c: Configuration, attester: Attester = HONEST) -> Appraisal:
    """What member 1 makes of member 0."""
    folder.mkdir(exist_ok=True)
    one = opened(folder / "one", c, 0, attester=attester)
    with closing(one), closing(opened(folder / "other", c, 1)) as judge:
        hello = one.say_hello(session=SESSION, nonce=judge.challenge())
        try:
            return judge.take_hello(hello, session=SESSION)
        finally:
            is_pinned = judge._keys.raw[0] is not None
            assert is_pinned or c.attestation is Demand.REQUIRE


def test_nobody_shows_evidence_where_nobody_asks(tmp_path: Path) -> None:
    with closing(opened(tmp_path / "one", C, 0)) as one:
        assert one.say_hello(session=SESSION, nonce=b"n" * 32).what.evidence == b""
    assert met(tmp_path, C) == Appraisal()


@pytest.mark.parametrize("demand", [Demand.RECORD, Demand.REQUIRE])
def test_listed_program_is_accepted_and_named(tmp_path: Path, demand: Demand) -> None:
    appraisal = met(tmp_path, asking(demand, ENTRY))
    assert appraisal == Appraisal("software", MEASUREMENT.hex(), "protections: landlock:7")


OTHER = SoftwareAttester(b"x" * 32, tuple)


def test_another_program_is_recorded_or_refused(tmp_path: Path) -> None:
    appraisal = met(tmp_path, asking(Demand.RECORD, ENTRY), attester=OTHER)
    assert appraisal.measurement == "78" * 32
    assert "not a listed measurement" in appraisal.refusal
    with pytest.raises(MemberUnattested, match="evidence_refused") as caught:
        met(tmp_path / "again", asking(Demand.REQUIRE, ENTRY), attester=OTHER)
    assert caught.value.fields["member"] == C.members[0]


class Replayer:
    """Shows evidence that was made for something else."""

    def evidence(self, bound: bytes, sign: Callable[[bytes], bytes]) -> Evidence:
        return HONEST.evidence(bytes(64), sign)


class Thief:
    """Shows what another enclave's key signed."""

    def evidence(self, bound: bytes, sign: Callable[[bytes], bytes]) -> Evidence:
        return HONEST.evidence(bound, SigningKey(b"t" * 32).sign)


@pytest.mark.parametrize(
    ("attester", "why"), [(Replayer(), "evidence_foreign"), (Thief(), "evidence_invalid")]
)
def test_evidence_of_others_is_refused(tmp_path: Path, attester: Attester, why: str) -> None:
    with pytest.raises(MemberUnattested, match=why):
        met(tmp_path, asking(Demand.REQUIRE, ENTRY), attester=attester)
    recorded = met(tmp_path / "again", asking(Demand.RECORD, ENTRY), attester=attester)
    assert why in recorded.refusal


def test_member_without_evidence_is_refused_and_its_key_not_pinned(tmp_path: Path) -> None:
    c = asking(Demand.REQUIRE, ENTRY)
    one, judge = opened(tmp_path / "one", c, 0), opened(tmp_path / "other", c, 1)
    with closing(one), closing(judge):
        honest = one.say_hello(session=SESSION, nonce=judge.challenge()).what
        bare = msgspec.structs.replace(honest, evidence=b"")
        signed = Signed(bare, one._signing.sign(bare.signing_bytes))
        with pytest.raises(MemberUnattested, match="evidence_invalid"):
            judge.take_hello(signed, session=SESSION)
        assert judge._keys.raw[0] is None


def share_file(folder: Path, index: int) -> ShareFile:
    """A keystore with the share of member ``index``, and its password beside it."""
    root, secrets = shared_secrets(4)
    path, password = folder / f"keystore-{index}.json", "a password"
    keystore = encrypt_keystore(
        secrets[index], password, entropy=system_entropy, cost=KeystoreCost.INSECURE
    )
    path.write_bytes(msgspec.json.encode(keystore))
    path.with_suffix(".txt").write_text(password)
    return ShareFile(
        root.public_key(), secrets[index].public_key(), str(path), str(path.with_suffix(".txt"))
    )


def test_share_of_the_members_key_is_opened_and_belongs_to_this_member(tmp_path: Path) -> None:
    c, _ = sharing()
    file = share_file(tmp_path, 1)
    opened(tmp_path / "right", c, 1, share=file).close()
    with pytest.raises(ConfigInvalid, match="of another member"):
        opened(tmp_path / "other", c, 2, share=file)
    swapped = share_file(tmp_path, 2)
    with pytest.raises(ShareSwapped):
        opened(tmp_path / "swapped", c, 1, share=replace(swapped, public_share=file.public_share))
    Path(file.password).write_text("another")
    with pytest.raises(PasswordWrong):
        opened(tmp_path / "locked", c, 1, share=file)
    Path(file.keystore).unlink()
    with pytest.raises(ShareFileMissing):
        opened(tmp_path / "lost", c, 1, share=file)


def test_share_is_given_where_members_share_a_key_and_nowhere_else(tmp_path: Path) -> None:
    c, _ = sharing()
    with pytest.raises(ConfigInvalid, match="share"):
        opened(tmp_path / "without", c, 0)
    with pytest.raises(ConfigInvalid, match="share"):
        opened(tmp_path / "with", C, 0, share=share_file(tmp_path, 0))
