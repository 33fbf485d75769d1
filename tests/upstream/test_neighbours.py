"""What processes tell each other about their slots."""

import pytest

from proxy.upstream.neighbours import LASTS_S, Heard, Neighbours, News


def pair(roll=lambda: 0.5):
    """Make two, of whom the first's words come to the second."""
    told = []
    return Neighbours("one", told.append, roll), Neighbours("two", print, roll), told


@pytest.mark.parametrize(("news", "number"), [(News.FREE, 0), (News.LIMIT, 7.25), (News.UP, 0), (News.WAITING, 3)])
def test_what_is_told_is_heard(news, number):
    one, two, told = pair()
    one.tell(news, number)
    assert two.hear(told[0], 0.0) == Heard(news, number)


@pytest.mark.parametrize(
    "message", [b"", b"lplace", b"pc all", b"s", b"sx a 1", b"sw a many", b"sw a 1 2", b"sw \xff 1"]
)
def test_what_others_say_on_the_same_wire_is_not_heard(message):
    assert pair()[1].hear(message, 0.0) is None


def test_that_clients_wait_is_told_when_it_begins_and_ends_and_now_and_then():
    one, _, told = pair()
    for number, again in [(0, False), (2, False), (3, False), (3, True), (0, True), (0, True), (0, False)]:
        one.tell_waiting(number, again=again)
    assert [message.split()[2] for message in told] == [b"2.0000", b"3.0000", b"0.0000"]


def test_how_many_wait_elsewhere_is_forgotten_soon():
    one, two, told = pair()
    one.tell_waiting(4)
    two.hear(told[0], 100.0)
    two.hear(b"sw three 2", 101.0)
    assert two.waiting(101.0) == 6
    assert two.waiting(100.0 + LASTS_S) == 2
    two.hear(b"sw three 0", 102.0)
    assert two.waiting(102.0) == 0


@pytest.mark.parametrize(
    ("here", "there", "roll", "due"),
    [(3, 0, 0.99, False), (0, 1, 0.0, True), (1, 1, 0.49, False), (1, 1, 0.5, True), (3, 1, 0.7, False), (3, 1, 0.8, True)],
)  # fmt: skip
def test_a_free_slot_is_theirs_by_lot(here, there, roll, due):
    _, two, _ = pair(lambda: roll)
    two.hear(b"sw one %d" % there, 0.0)
    assert two.are_due(here, 0.0) is due
