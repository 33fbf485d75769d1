"""The last requests of this process, as their log lines tell."""

from fakes import FakeClock

from proxy.core.log_line import LogLine
from proxy.core.types import Outcome, Response
from proxy.recent import MOST, Recent


def line(number: int = 0, **known) -> LogLine:
    return LogLine(f"{number:032x}", "GET", "/a", 0.0, outcome=Outcome.HIT, **known)


def test_the_fields_are_those_of_the_log():
    clock = FakeClock()
    recent = Recent(clock)
    recent.add(line(1, rule="r"))
    clock.advance(0.25)
    recent.add(line(2))
    first, second = recent.told()
    assert first["timestamp"] == "2001-09-09T01:46:40.000000Z"
    assert second["timestamp"] == "2001-09-09T01:46:40.250000Z"
    assert (first["request_id"], first["rule"], first["outcome"]) == (f"{1:032x}", "r", "hit")


def test_only_the_last_are_kept():
    recent = Recent(FakeClock())
    for number in range(MOST + 5):
        recent.add(line(number))
    assert [int(one["request_id"], 16) for one in recent.told()] == list(range(5, MOST + 5))


def test_no_answer_is_kept_alive_for_its_line():
    recent = Recent(FakeClock())
    whole = line(candidate=Response(200, (), b"x" * 1000))
    recent.add(whole)
    assert [kept.candidate for _, kept in recent._lines] == [None]
    assert whole.candidate is not None
