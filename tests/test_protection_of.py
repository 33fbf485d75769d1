"""What a config says of the upstream's slots: who shares them, and what is left where they cannot be shared."""

import pathlib

import pytest
from fakes import FakeClock, LineKeeper, until
from wires import Switchboard

from proxy.config import from_mapping
from proxy.core.fair_queue import Priority
from proxy.protection_of import protection_of
from proxy.tasks import Tasks


class Machine:
    """Some processes of one machine; what they tell each other arrives."""

    def __init__(self, folder):
        self.folder, self.log, self.board, self.made = folder, LineKeeper(), Switchboard(), []
        self.tasks = Tasks(lambda error: self.log.failed(error, ""))

    def process(self, scope="up", **upstream):
        config = from_mapping({"upstream": {"url": "http://127.0.0.1:9", **upstream}}, {})
        wire = self.board.wire()
        made = protection_of(
            config, self.folder, scope, f"p{len(self.made)}", wire, self.tasks, FakeClock(), lambda: 0.5, self.log.failed
        )  # fmt: skip
        wire.listen(made.hear)
        self.made.append(made)
        return made


@pytest.fixture
async def machine(tmp_path):
    pathlib.Path(tmp_path).chmod(0o700)
    here = Machine(tmp_path)
    yield here
    for one in here.made:
        one.close()
    await here.tasks.close()


async def taken(protection):
    return await protection._limit.acquire("client", Priority.CLIENT, 0.05)


async def test_processes_in_front_of_one_upstream_share_its_slots(machine):
    one, other = machine.process(max_in_flight=2), machine.process(max_in_flight=2)
    slots = [await taken(one), await taken(other)]
    assert (one.status().in_flight, other.status().in_flight) == (2, 2)
    for slot in slots:
        slot.release()


async def test_who_waits_in_one_process_is_served_by_what_another_frees(machine):
    import asyncio

    one, other = machine.process(max_in_flight=1), machine.process(max_in_flight=1)
    slot = await taken(one)
    waiting = asyncio.get_running_loop().create_task(other._limit.acquire("client", Priority.CLIENT, 5.0))
    await until(lambda: other.status().waiting)
    await asyncio.sleep(0.01)
    slot.release()
    (await waiting).release()


async def test_upstreams_do_not_share(machine):
    slot = await taken(machine.process("a", max_in_flight=1))
    assert machine.process("b", max_in_flight=1).status().in_flight == 0
    slot.release()


async def test_without_a_ceiling_clients_are_not_counted_together(machine):
    one, other = machine.process(), machine.process()
    slot = await taken(one)
    assert (one.status().ceiling, other.status().in_flight) == (None, 0)
    assert list(machine.folder.iterdir()) == []
    slot.release()


async def test_where_the_slots_cannot_be_shared_each_process_counts_for_itself(machine):
    pathlib.Path(machine.folder).chmod(0o777)
    one = machine.process(max_in_flight=1)
    slot = await taken(one)
    assert one.status().in_flight == 1
    assert len(machine.log.failures) == 1
    slot.release()


@pytest.mark.parametrize(("word", "outlives"), [("stops", False), ("ignored", True)])
async def test_the_owner_says_whether_a_cancel_is_heard(machine, word, outlives):
    assert machine.process(cancel=word)._outlives_cancel is outlives
