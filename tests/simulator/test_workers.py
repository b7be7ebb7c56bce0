"""Blocks of samples on threads: every block once, in bounded calls, and nothing after an interruption."""

import threading

import pytest

from qlazy.simulator.kernels import workers
from qlazy.simulator.kernels.workers import for_blocks


def collecting(done, limits):
    """What the compiled entries do with a counter, in Python."""
    lock = threading.Lock()

    def work(taken, share, room):
        assert room == "room"
        with lock:
            limits.append(share)
            first = int(taken[0])
            taken[0] += share
            done.extend(range(first, min(first + share, 10)))

    return work


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("visits", [1, workers.WORTH, workers.PATIENCE // 3, workers.PATIENCE * 2])
def test_every_block_is_done_once_in_calls_of_bounded_length(threads, visits):
    done, limits = [], []
    for_blocks(collecting(done, limits), 10, visits, threads, lambda: "room")
    assert sorted(done) == list(range(10))
    assert all(share == 1 or share * visits <= workers.PATIENCE for share in limits)


def test_without_blocks_nothing_runs():
    for_blocks(lambda *_: pytest.fail("no work"), 0, 1, 2, lambda: "room")


def test_others_stop_when_one_is_interrupted():
    here, started, interrupted = threading.current_thread(), threading.Event(), threading.Event()
    calls, over = [], threading.Event()

    def work(taken, share, room):
        if threading.current_thread() is here:
            assert started.wait(10)
            raise KeyboardInterrupt
        calls.append(int(taken[0]))
        taken[0] += 1
        started.set()
        assert interrupted.wait(10)
        over.set()

    with pytest.raises(KeyboardInterrupt):
        for_blocks(work, 1000, workers.PATIENCE, 2, lambda: "room")
    interrupted.set()
    assert over.wait(10)
    workers._pool(1).submit(int).result()  # the other thread is done with its loop
    assert len(calls) == 1


def test_what_another_thread_raises_is_raised_here():
    here, tried = threading.current_thread(), threading.Event()

    def work(taken, share, room):
        if threading.current_thread() is here:
            assert tried.wait(10)
            taken[0] += 1
        else:
            tried.set()
            raise MemoryError("elsewhere")

    with pytest.raises(MemoryError, match="elsewhere"):
        for_blocks(work, 4, workers.PATIENCE, 2, lambda: "room")
