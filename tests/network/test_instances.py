"""Goal: two processes with one certificate are noticed, and a restart is no second process."""

from tetrarch.network.instances import REMEMBERED_MAX, SUSPECTED_FOR_S, TWIN_FOR_S, Instances

A, B = b"a" * 8, b"b" * 8


def test_restarts_and_reconnections_are_no_twins() -> None:
    seen = Instances()
    for at_s, instance in enumerate((A, A, B, B, bytes(8), bytes(8))):
        assert not seen.note(instance, now_s=at_s)
    assert not seen.twins(now_s=6)
    assert seen.older_twin_of(B, now_s=6) is None


def test_an_instance_that_comes_back_proves_two_processes_and_which_is_newer() -> None:
    seen = Instances()
    seen.note(A, now_s=0)
    seen.note(B, now_s=5)
    assert seen.note(A, now_s=6)
    assert seen.twins(now_s=7)
    assert seen.older_twin_of(A, now_s=7) is False
    assert seen.older_twin_of(B, now_s=7) is True
    assert seen.older_twin_of(bytes(8), now_s=7) is None


def test_who_pushes_a_running_process_out_is_suspected_until_that_one_had_time_to_return() -> None:
    seen = Instances()
    seen.note(A, now_s=0)
    assert not seen.note(B, now_s=5, pushes_out=True)
    assert seen.older_twin_of(B, now_s=6) is True
    assert seen.older_twin_of(A, now_s=6) is None
    assert not seen.twins(now_s=6), "it is not proven"
    assert seen.older_twin_of(B, now_s=5 + SUSPECTED_FOR_S) is None


def test_the_older_one_that_pushes_back_is_not_suspected() -> None:
    seen = Instances()
    seen.note(A, now_s=0)
    seen.note(B, now_s=5, pushes_out=True)
    assert seen.note(A, now_s=6, pushes_out=True)
    assert seen.older_twin_of(A, now_s=6) is False
    assert seen.older_twin_of(B, now_s=60) is True


def test_a_twin_that_is_not_seen_any_more_is_forgotten() -> None:
    seen = Instances()
    for at_s, instance in enumerate((A, B, A)):
        seen.note(instance, now_s=at_s)
    assert not seen.twins(now_s=2 + TWIN_FOR_S)
    assert seen.older_twin_of(B, now_s=2 + TWIN_FOR_S) is None


def test_memory_is_bounded() -> None:
    seen = Instances()
    for number in range(100):
        seen.note(number.to_bytes(8), now_s=number)
    assert len(seen._seen) == REMEMBERED_MAX
