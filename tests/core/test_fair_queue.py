"""Who is next: priorities, turns, charges, places; the queue is held to a slow model of itself."""

import sys
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.fair_queue import MOST_CHARGE, FairQueue, Priority, Ticket

CLIENT, REFRESH, WARM, SHADOW = Priority


def queue_of(*wanted, most=1000):
    """Make a queue of (client, charge, priority), of which the latter two may be left out."""
    queue = FairQueue(most)
    for number, (client, *rest) in enumerate(wanted):
        charge, priority = [*rest, *(1, CLIENT)[len(rest) :]]
        assert queue.offer(Ticket(f"{client}{number}", priority, client, charge)) is None
    return queue


def served(queue, most=1000):
    return [queue.next().item for _ in range(min(most, len(queue)))]


ORDERS = {
    "one client: as they came": ([("a",), ("a",), ("a",)], "a0 a1 a2"),
    "two: by turns": ([("a",), ("a",), ("a",), ("b",), ("b",)], "a0 b3 a1 b4 a2"),
    "clients before refresh, warm, shadow": (
        [("a", 1, SHADOW), ("a", 1, WARM), ("a", 1, REFRESH), ("a",)],
        "a3 a2 a1 a0",
    ),
    "a charge of three costs three rounds": (
        [("a", 3), ("a", 3), ("b",), ("b",), ("b",), ("b",)],
        "a0 b2 b3 b4 a1 b5",
    ),
    "debts alone cost no time": ([("a", 8), ("a", 8)], "a0 a1"),
}


@pytest.mark.parametrize(("wanted", "order"), ORDERS.values(), ids=ORDERS)
def test_the_order(wanted, order):
    assert served(queue_of(*wanted)) == order.split()


@pytest.mark.parametrize("client", ["a", b"a"])
def test_a_client_is_text_or_bytes(client):
    assert served(queue_of((client,), (client,))) == [f"{client}0", f"{client}1"]


def test_one_with_charge_eight_has_one_turn_while_another_has_eight():
    queue = queue_of(*[("split", 8)] * 100, *[("single",)] * 400)
    turns = Counter(item.rstrip("0123456789") for item in served(queue, 360))
    assert turns == {"split": 40, "single": 320}


def test_who_floods_slows_nobody_else():
    queue = queue_of(*[("flood",)] * 200, *[(f"c{n}-",) for n in range(19) for _ in range(10)])
    turns = Counter(item.rpartition("-")[0] or "flood" for item in served(queue, 200))
    assert set(turns.values()) == {10}
    assert len(turns) == 20


def test_newcomers_that_never_end_do_not_starve_who_waits_for_a_second_turn():
    queue = queue_of(("old",), ("old",))
    for number in range(10):
        queue.offer(Ticket(f"new{number}", CLIENT, f"new{number}"))
        if queue.next().item == "old1":
            break
    assert number <= 3


def test_a_debt_is_not_lost_by_leaving():
    queue = queue_of(("split", 8), ("single",), ("single",), ("single",))
    assert served(queue, 1) == ["split0"]
    again = Ticket("split again", CLIENT, "split", 8)
    queue.offer(again)
    assert queue.leave(again)
    queue.offer(again)
    assert served(queue) == ["single1", "single2", "single3", "split again"]


def test_a_debt_is_forgotten_once_paid():
    queue = queue_of(("split", 2), *[("single",)] * 5)
    assert served(queue, 4) == ["split0", "single1", "single2", "single3"]
    queue.offer(Ticket("late", CLIENT, "split"))
    assert queue.ahead(queue_ticket(queue, "late")) <= 1


def queue_ticket(queue, item):
    return next(ticket for ticket in queue._classes[CLIENT].tickets if ticket.item == item)


@pytest.mark.parametrize(("asked", "charged"), [(-3, 1), (0, 1), (5, 5), (10**9, MOST_CHARGE)])
def test_a_charge_has_bounds(asked, charged):
    assert Ticket(None, CLIENT, "a", asked).charge == charged


def test_an_empty_queue():
    queue = FairQueue(1)
    assert (len(queue), queue.first) == (0, None)
    with pytest.raises(LookupError):
        queue.next()
    assert not queue.leave(Ticket(None, CLIENT, "a"))


FULL = {  # who wait, who comes → who has no place
    "the same priority: the newcomer": ([("a",), ("b",)], CLIENT, "new"),
    "one client took all places: its last": ([("a",), ("a",), ("a",)], CLIENT, "a2"),
    "one has more than all others: its last": ([("b",), ("a",), ("a",), ("b",), ("a",), ("c",)], CLIENT, "a4"),
    "the newcomer has most itself": ([("n",), ("n",), ("a",)], CLIENT, "new"),
    "the newcomer would have as many then": ([("a",), ("a",), ("n",)], CLIENT, "new"),
    "as many refreshes as clients: a refresh for a client": ([("a",), ("b", 1, REFRESH)], CLIENT, "b1"),
    "a lower one: the newcomer": ([("a",), ("b", 1, REFRESH)], SHADOW, "new"),
    "a higher one: the last-come of the lowest": (
        [("a", 1, SHADOW), ("b", 1, SHADOW), ("c", 1, REFRESH)],
        WARM,
        "b1",
    ),
}


@pytest.mark.parametrize(("wanted", "priority", "left_out"), FULL.values(), ids=FULL)
def test_a_full_queue(wanted, priority, left_out):
    queue = queue_of(*wanted, most=len(wanted))
    gone = queue.offer(Ticket("new", priority, "n"))
    assert gone.item == left_out
    assert gone not in queue
    assert len(queue) == len(wanted)
    assert left_out not in served(queue)


def test_a_queue_without_room_takes_nobody():
    ticket = Ticket("new", CLIENT, "n")
    assert FairQueue(0).offer(ticket) is ticket


TICKETS = st.tuples(st.sampled_from("abcd"), st.integers(1, 9), st.sampled_from(Priority))
STEPS = st.lists(st.one_of(TICKETS, st.just("next"), st.integers(0, 30)), max_size=80)


@given(STEPS)
def test_everybody_is_served_once_and_places_are_true(steps):
    """Each client's tickets keep their order; `ahead` is the number of turns until one's own, if nobody comes."""
    queue, waiting = FairQueue(20), []
    for step in steps:
        if step == "next":
            if waiting:
                got = queue.next()
                assert got.priority == min(ticket.priority for ticket in waiting)
                assert got is next(one for one in waiting if (one.client, one.priority) == (got.client, got.priority))
                waiting.remove(got)
        elif isinstance(step, int):
            if step < len(waiting):
                assert queue.leave(waiting[step])
                assert not queue.leave(waiting.pop(step))
        else:
            client, charge, priority = step
            ticket = Ticket(None, priority, client, charge)
            left_out = queue.offer(ticket)
            waiting.append(ticket)
            if left_out is not None:
                waiting.remove(left_out)
        assert len(queue) == len(waiting) <= 20
        assert [queue.waiting(one) for one in Priority] == [
            sum(ticket.priority is one for ticket in waiting) for one in Priority
        ]
        assert [queue.clients(one) for one in Priority] == [
            len({ticket.client for ticket in waiting if ticket.priority is one}) for one in Priority
        ]
    places = {ticket: queue.ahead(ticket) for ticket in waiting}
    for place in range(len(waiting)):
        assert places[queue.next()] == place
    assert queue.first is None


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 8)), min_size=1, max_size=12))
def test_turns_are_fair_to_the_charge(charges):
    """While all wait, what two clients were served differs by no more than the two largest charges."""
    queue = FairQueue(10_000)
    for client, charge in charges:
        for _ in range(60):
            queue.offer(Ticket(charge, CLIENT, client, charge))
    clients = {client for client, _ in charges}
    most = max(charge for _, charge in charges)
    spent = Counter(dict.fromkeys(clients, 0))
    for _ in range(60):
        ticket = queue.next()
        spent[ticket.client] += ticket.charge
        assert max(spent.values()) - min(spent.values()) <= 2 * most


def test_to_know_ones_place_copies_no_queue():
    """A thousand who wait ask for their place: that must not hold up everybody else."""
    queue, steps = FairQueue(10_000), 0
    tickets = [Ticket(None, CLIENT, f"c{number % 10}") for number in range(2_000)]
    for ticket in tickets:
        queue.offer(ticket)

    def count(*_):
        nonlocal steps
        steps += 1

    sys.setprofile(count)
    try:
        assert queue.ahead(tickets[15]) == 15
    finally:
        sys.setprofile(None)
    assert steps < 500
