"""Who is next for a slot: by priority, then by turns between clients, then in the order in which they came.

A turn costs its charge: who was served with charge 8 waits eight rounds, in each of which others have one turn.
"""

from collections import OrderedDict
from enum import IntEnum
from itertools import takewhile
from typing import Generic, TypeVar

MOST_CHARGE = 64
"""More is charged as this much, so that finding the next round stays cheap."""

Item = TypeVar("Item")
Client = bytes | str


class Priority(IntEnum):
    """Who goes first: a lower one as long as any waits."""

    CLIENT = 0
    REFRESH = 1
    WARM = 2
    SHADOW = 3


class Ticket(Generic[Item]):
    """One who waits; two tickets are never equal."""

    __slots__ = ("charge", "client", "item", "priority")

    def __init__(self, item: Item, priority: Priority, client: Client, charge: int = 1) -> None:
        self.item = item
        self.priority = priority
        self.client = client
        self.charge = min(max(charge, 1), MOST_CHARGE)


class _Line(Generic[Item]):
    """The tickets of one client, and the round in which it has its next turn."""

    __slots__ = ("due", "owes", "tickets")

    def __init__(self, due: int) -> None:
        self.due = due
        self.owes = False
        """It was served already: who leaves and comes back does not lose its debt."""
        self.tickets: OrderedDict[Ticket[Item], None] = OrderedDict()

    def rounds(self, until: int) -> list[int]:
        """Return the rounds of its turns up to one, latest first."""
        rounds, due = [], self.due
        for ticket in self.tickets:
            if due > until:
                break
            rounds.append(due)
            due += ticket.charge
        return rounds[::-1]


class _Turns(Generic[Item]):
    """Those of one priority. A round holds the clients who have a turn in it; a newcomer's first is in the next one."""

    __slots__ = ("_lines", "_round", "_rounds", "clients", "tickets")

    def __init__(self) -> None:
        self.clients = 0
        self.tickets: OrderedDict[Ticket[Item], None] = OrderedDict()
        self._lines: dict[Client, _Line[Item]] = {}
        self._rounds: dict[int, OrderedDict[Client, None]] = {}
        self._round = 0

    def add(self, ticket: Ticket[Item]) -> None:
        line = self._lines.get(ticket.client)
        if line is None:
            line = self._lines[ticket.client] = _Line(self._round)
            self._stand(ticket.client, line, 1)
        self.clients += not line.tickets
        line.tickets[ticket] = None
        self.tickets[ticket] = None

    def _stand(self, client: Client, line: _Line[Item], rounds: int) -> None:
        line.due = self._round + rounds
        self._rounds.setdefault(line.due, OrderedDict())[client] = None

    def next(self) -> Ticket[Item]:
        client, line = self._turn()
        while not line.tickets:  # its debt is paid, and it wants nothing more
            del self._lines[client]
            client, line = self._turn()
        ticket, _ = line.tickets.popitem(last=False)
        line.owes = True
        self._stand(client, line, ticket.charge)
        self._gone(ticket, line)
        return ticket

    def _turn(self) -> tuple[Client, _Line[Item]]:
        while not self._rounds.get(self._round):
            self._rounds.pop(self._round, None)
            self._round += 1
        client, _ = self._rounds[self._round].popitem(last=False)
        return client, self._lines[client]

    def leave(self, ticket: Ticket[Item]) -> None:
        line = self._lines[ticket.client]
        del line.tickets[ticket]
        if not line.tickets and not line.owes:
            del self._lines[ticket.client]
            del self._rounds[line.due][ticket.client]
        self._gone(ticket, line)

    def _gone(self, ticket: Ticket[Item], line: _Line[Item]) -> None:
        del self.tickets[ticket]
        self.clients -= not line.tickets
        if not self.tickets:  # nobody was kept waiting by anybody
            self._lines.clear()
            self._rounds.clear()

    def before(self, ticket: Ticket[Item]) -> int:
        mine = self._lines[ticket.client]
        own = list(takewhile(lambda one: one is not ticket, mine.tickets))
        turn = mine.due + sum([one.charge for one in own])
        places = {client: place for line in self._rounds.values() for place, client in enumerate(line)}
        way = [*mine.rounds(turn)[1:], -1, places[ticket.client]]
        count = len(own)
        for client, line in self._lines.items():
            if line is mine or not line.tickets or line.due > turn:
                continue
            rounds = line.rounds(turn) if line.due < turn else [turn]
            count += len(rounds)
            # in the same round, who had an earlier turn before stands before; at last, who stands there now
            if rounds[0] == turn and [*rounds[1:], -1, places[client]] > way:
                count -= 1
        return count

    def last_of_most(self, than: int) -> Ticket[Item] | None:
        """Return the last ticket of the client who has the most, if that is more than so many."""
        most = max(self._lines.values(), key=lambda line: len(line.tickets))
        return next(reversed(most.tickets)) if len(most.tickets) > than else None

    def has(self, client: Client) -> int:
        line = self._lines.get(client)
        return len(line.tickets) if line is not None else 0


class FairQueue(Generic[Item]):
    """Those who wait, at most `most` of them."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._classes = [_Turns[Item]() for _ in Priority]

    def __len__(self) -> int:
        return sum([len(turns.tickets) for turns in self._classes])

    def __contains__(self, ticket: Ticket[Item]) -> bool:
        return ticket in self._classes[ticket.priority].tickets

    def waiting(self, priority: Priority) -> int:
        """Return how many of one priority wait."""
        return len(self._classes[priority].tickets)

    def clients(self, priority: Priority) -> int:
        """Return how many clients of one priority wait, each with one or more."""
        return self._classes[priority].clients

    @property
    def first(self) -> Priority | None:
        """Return the priority of who is next; None where nobody waits."""
        return next((priority for priority in Priority if self._classes[priority].tickets), None)

    def offer(self, ticket: Ticket[Item]) -> Ticket[Item] | None:
        """Let somebody wait; return who has no place any more.

        That is the last-come of the lowest; among equals the last of the client who has the most, or the newcomer itself.
        """
        displaced = None
        if len(self) >= self._most:
            displaced = self._displaced_by(ticket)
            if displaced is None:
                return ticket
            self.leave(displaced)
        self._classes[ticket.priority].add(ticket)
        return displaced

    def _displaced_by(self, ticket: Ticket[Item]) -> Ticket[Item] | None:
        lowest = max([priority for priority in Priority if self._classes[priority].tickets], default=None)
        if lowest is None or lowest < ticket.priority:
            return None
        turns = self._classes[lowest]
        if lowest > ticket.priority:
            return next(reversed(turns.tickets))
        return turns.last_of_most(than=turns.has(ticket.client) + 1)

    def next(self) -> Ticket[Item]:
        """Take out who is next. Raises LookupError where nobody waits."""
        first = self.first
        if first is None:
            raise LookupError("nobody waits")
        return self._classes[first].next()

    def leave(self, ticket: Ticket[Item]) -> bool:
        """Take out one who gave up; tell whether it still waited."""
        if ticket not in self:
            return False
        self._classes[ticket.priority].leave(ticket)
        return True

    def ahead(self, ticket: Ticket[Item]) -> int:
        """Return how many have their turn before one who waits, if nobody else comes; walks over those."""
        higher = sum([len(turns.tickets) for turns in self._classes[: ticket.priority]])
        return higher + self._classes[ticket.priority].before(ticket)
