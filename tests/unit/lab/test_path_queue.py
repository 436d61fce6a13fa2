"""One direction of the lab's slow cable: order, delay, rate, and what finds no room."""

from tests.lab.path.queue import Queue


def test_a_frame_arrives_after_the_delay_and_in_order() -> None:
    queue = Queue(0.025)
    queue.put(b"one", 1.0)
    queue.put(b"two", 1.001)
    assert queue.due() == 1.025
    assert queue.take(1.0249) == []
    assert queue.take(1.0255) == [b"one"]
    assert queue.take(2.0) == [b"two"]
    assert queue.due() is None


def test_frames_leave_by_rate_one_after_the_other() -> None:
    queue = Queue(0.5, rate=1000)
    for _ in range(3):
        queue.put(bytes(100), 0.0)
    assert [len(queue.take(at)) for at in (0.59, 0.61, 0.71, 0.79, 0.81)] == [0, 1, 1, 0, 1]


def test_what_finds_no_room_is_dropped_and_what_is_on_its_way_takes_none() -> None:
    queue = Queue(10.0, rate=1000, room=200)
    for _ in range(5):
        queue.put(bytes(100), 0.0)
    assert queue.dropped == 2  # the third waits behind exactly 200 bytes
    queue.put(bytes(100), 0.3)
    assert queue.dropped == 2
