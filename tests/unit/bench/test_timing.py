"""What is timed, and when an engine is warm."""

from __future__ import annotations

import time

import pytest

from sparsebench.bench.timing import Timed, time_inferences, warm_up


def test_it_lasts_and_the_time_is_the_sum_of_latencies() -> None:
    timed = time_inferences(lambda: time.sleep(0.004), batch=3, seconds=0.05)

    assert timed.seconds >= 0.05
    assert timed.seconds == pytest.approx(sum(timed.latencies_ms) / 1000)
    assert timed.images == 3 * len(timed.latencies_ms)
    assert timed.throughput_img_s == pytest.approx(timed.images / timed.seconds)


def test_one_long_inference_is_enough_and_there_is_always_one() -> None:
    assert len(time_inferences(lambda: time.sleep(0.06), 1, seconds=0.05).latencies_ms) == 1
    assert len(time_inferences(lambda: None, 1, seconds=0).latencies_ms) == 1


class Engine:
    """Answers with these throughputs, window after window, and then with the last one."""

    def __init__(self, *rates: float):
        self.rates = list(rates)

    def time(self, seconds: float) -> Timed:
        rate = self.rates.pop(0) if len(self.rates) > 1 else self.rates[0]
        return Timed(round(rate * seconds), round(rate * seconds) / rate, (1.0,))


def test_a_steady_engine_warms_up_for_the_least_time() -> None:
    seconds, steady = warm_up(Engine(100).time, 0.4, 9)

    assert steady
    assert seconds == pytest.approx(0.4)


def test_an_engine_that_gets_faster_warms_up_until_it_does_no_more() -> None:
    seconds, steady = warm_up(Engine(10, 20, 40, 80, 100).time, 0.4, 9)

    assert steady
    assert seconds == pytest.approx(0.7)  # two windows more than it took to get to 100


def test_an_engine_that_never_stops_getting_faster_is_not_steady() -> None:
    rates = [100 * 1.1**number for number in range(50)]

    seconds, steady = warm_up(Engine(*rates).time, 0.4, 2)

    assert not steady
    assert 2 <= seconds < 2.2
