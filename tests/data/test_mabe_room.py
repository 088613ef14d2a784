"""Sharing memory among threads that read: never more than there is, and nobody waits for ever."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxbeh.data.mabe.room import Room


@given(st.integers(1, 10), st.lists(st.integers(-3, 25), max_size=20))
def test_never_more_is_taken_than_there_is_and_all_get_their_turn(size, parts):
    room, lock = Room(size), threading.Lock()
    held, most, done = 0, 0, 0

    def take(part):
        nonlocal held, most, done
        share = min(max(part, 0), size)  # what is larger than the room has it alone
        with room.taken(part):
            with lock:
                held += share
                most = max(most, held)
            with lock:
                held -= share
                done += 1

    threads = [threading.Thread(target=take, args=(part,)) for part in parts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert done == len(parts)
    assert most <= size


def test_small_parts_are_held_together_and_a_large_one_waits_for_them():
    room, entered = Room(10), threading.Event()

    def take():
        with room.taken(100):
            entered.set()

    with room.taken(4), room.taken(4):
        thread = threading.Thread(target=take)
        thread.start()
        assert not entered.wait(0.05)
    thread.join(timeout=60)
    assert entered.is_set()


def test_a_failure_gives_the_room_back():
    room = Room(1)
    with pytest.raises(ZeroDivisionError), room.taken(1):
        raise ZeroDivisionError
    with room.taken(1):
        pass
