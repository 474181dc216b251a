import numpy as np

from infra.peak_memory import highest_bytes, watching_growth

MB = 1_000_000


def take(megabytes: int) -> None:
    np.ones(megabytes * MB, dtype=np.uint8).sum()


def test_what_was_taken_for_a_moment_is_told_even_below_an_earlier_peak() -> None:
    take(400)
    with watching_growth() as grown:
        take(100)
    assert 90 * MB < grown[0] < 200 * MB


def test_the_highest_memory_of_a_process_is_not_forgotten() -> None:
    take(300)
    before = highest_bytes()
    with watching_growth():
        take(1)
    assert highest_bytes() >= before > 300 * MB
