"""The bus: several in one process, then in processes of their own that end without a word, or stop reading."""

import asyncio
import signal
import sys
import time
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import uvloop
from fakes import PATIENCE, until

from proxy.store.bus import MOST_BYTES, Bus


@pytest.fixture
async def buses():
    """Return how to open a bus in a folder; all are closed at the end."""
    opened = []

    def opening(folder: Path) -> Bus:
        opened.append(Bus(folder))
        return opened[-1]

    yield opening
    for bus in opened:
        await bus.close()


def sockets(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def test_what_one_sends_all_others_hear_in_order_and_itself_does_not(buses, tmp_path):
    heard: list[list[bytes]] = [[], [], []]
    three = [buses(tmp_path / "bus") for _ in heard]
    for bus, ear in zip(three, heard, strict=True):
        bus.listen(ear.append)
    for number in range(5):
        await three[0].send(b"%d" % number)
    await until(lambda: all(len(ear) == 5 for ear in heard[1:]))
    assert heard == [[], [b"0", b"1", b"2", b"3", b"4"], [b"0", b"1", b"2", b"3", b"4"]]


async def test_who_only_sends_is_not_sent_to(buses, tmp_path):
    heard: list[bytes] = []
    quiet, listening = buses(tmp_path / "bus"), buses(tmp_path / "bus")
    listening.listen(heard.append)
    assert len(sockets(tmp_path / "bus")) == 1
    await quiet.send(b"1")
    await listening.send(b"2")
    await until(lambda: heard)
    assert heard == [b"1"]


async def test_a_message_may_be_empty_or_4_kib_and_no_more(buses, tmp_path):
    heard: list[bytes] = []
    one, other = buses(tmp_path / "bus"), buses(tmp_path / "bus")
    other.listen(heard.append)
    await one.send(b"")
    await one.send(b"x" * MOST_BYTES)
    with pytest.raises(ValueError, match="4097 bytes"):
        await one.send(b"x" * (MOST_BYTES + 1))
    await until(lambda: len(heard) == 2)
    assert heard == [b"", b"x" * MOST_BYTES]


async def test_a_burst_arrives_whole_and_in_order_though_the_kernel_keeps_ten(buses, tmp_path):
    heard: list[bytes] = []
    one, other = buses(tmp_path / "bus"), buses(tmp_path / "bus")
    other.listen(heard.append)
    sent = [b"%d" % number for number in range(400)]
    for message in sent:
        await one.send(message)
    await until(lambda: len(heard) == len(sent))
    assert heard == sent


async def test_what_a_listener_raises_is_told_to_the_loop_and_costs_no_message(buses, tmp_path):
    told, heard = [], []

    def hear(message: bytes) -> None:
        heard.append(message)
        raise RuntimeError("a listener's bug")

    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(str(context["exception"])))
    one, other = buses(tmp_path / "bus"), buses(tmp_path / "bus")
    other.listen(hear)
    await one.send(b"1")
    await one.send(b"2")
    await until(lambda: len(heard) == 2)
    assert (heard, told) == ([b"1", b"2"], ["a listener's bug"] * 2)


async def test_close_takes_its_socket_away_and_is_silence(buses, tmp_path):
    heard: list[bytes] = []
    one, other = buses(tmp_path / "bus"), buses(tmp_path / "bus")
    one.listen(heard.append)
    other.listen(heard.append)
    await other.close()
    await other.close()
    assert len(sockets(tmp_path / "bus")) == 1
    await other.send(b"after its end")
    await one.send(b"to nobody")
    await asyncio.sleep(0)
    assert heard == []


async def test_close_drops_what_still_waits(buses, tmp_path):
    one, deaf = buses(tmp_path / "bus"), buses(tmp_path / "bus")
    deaf.listen(lambda _: None)
    asyncio.get_running_loop().remove_reader(deaf._own)
    for _ in range(50):
        await one.send(b"x")
    await one.close()
    assert (one._late, one._timer) == ({}, None)


async def test_a_folder_that_is_gone_costs_messages_only(buses, tmp_path):
    one = buses(tmp_path / "bus")
    (tmp_path / "bus").rmdir()
    await one.send(b"to nobody")


async def test_the_folder_is_made_for_its_user_alone(buses, tmp_path):
    buses(tmp_path / "state" / "bus")
    assert (tmp_path / "state" / "bus").stat().st_mode & 0o777 == 0o700


async def test_a_folder_that_others_may_enter_is_refused(tmp_path):
    open_to_all = tmp_path / "bus"
    open_to_all.mkdir()
    open_to_all.chmod(0o755)
    with pytest.raises(PermissionError, match="0700"):
        Bus(open_to_all)


@pytest.mark.parametrize("length", [*range(85, 115), 400])
async def test_any_length_of_path_will_do(buses, tmp_path, length):
    folder = tmp_path
    while len(str(folder)) < length:
        folder /= "d" * min(100, max(1, length - len(str(folder)) - 1))
    heard: list[bytes] = []
    one, other = buses(folder), buses(folder)
    one.listen(heard.append)
    other.listen(lambda _: None)
    await other.send(b"found")
    await until(lambda: heard)
    assert len(sockets(folder)) == 2
    await one.close()
    await other.close()
    assert sockets(folder) == []


async def test_a_long_path_holds_no_file_open_after_close(tmp_path):
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        bus = Bus(tmp_path / ("d" * 120))
        bus.listen(lambda _: None)
        await bus.close()
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_on_uvloop_too(tmp_path):
    async def story() -> None:
        heard: list[bytes] = []
        one, other = Bus(tmp_path / "bus"), Bus(tmp_path / "bus")
        other.listen(heard.append)
        for number in range(30):
            await one.send(b"%d" % number)
        await until(lambda: len(heard) == 30)
        await one.close()
        await other.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(story())


PROCESS = """
import asyncio, sys
from pathlib import Path
from proxy.store.bus import Bus

async def main():
    bus = Bus(Path(sys.argv[1]))
    said = asyncio.Queue()
    bus.listen(said.put_nowait)
    print("listening", flush=True)
    while True:
        message = await said.get()
        print(message.decode(), flush=True)
        if message == b"count off":
            await bus.send(b"here is " + sys.argv[2].encode())

asyncio.run(main())
"""


class Process:
    """Another process on the bus; what it hears it prints."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def says(self) -> str:
        return (await asyncio.wait_for(self.process.stdout.readline(), PATIENCE)).decode().strip()

    async def end(self, how: int = signal.SIGKILL) -> None:
        if self.process.returncode is None:
            self.process.send_signal(how)
        await self.process.wait()


@asynccontextmanager
async def processes(folder: Path, *names: str):
    started = []
    try:
        for name in names:
            made = await asyncio.create_subprocess_exec(
                sys.executable, "-c", PROCESS, str(folder), name, stdout=asyncio.subprocess.PIPE
            )
            started.append(Process(made))
        for one in started:
            assert await one.says() == "listening"
        yield started
    finally:
        for one in started:
            await one.end()


async def test_three_processes_of_which_one_is_killed(buses, tmp_path):
    folder, heard = tmp_path / "bus", []
    bus = buses(folder)
    bus.listen(heard.append)
    async with processes(folder, "one", "two") as (one, two):
        await bus.send(b"count off")
        await until(lambda: len(heard) == 2)
        assert sorted(heard) == [b"here is one", b"here is two"]
        # one may answer before two is told
        assert {await one.says(), await one.says()} == {"count off", "here is two"}
        assert {await two.says(), await two.says()} == {"count off", "here is one"}

        await one.end()
        assert len(sockets(folder)) == 3  # it could not clean up
        heard.clear()
        await bus.send(b"count off")
        assert len(sockets(folder)) == 2
        await until(lambda: heard)
        assert (heard, await two.says()) == ([b"here is two"], "count off")


async def test_one_who_does_not_read_blocks_nobody_and_costs_the_others_nothing(buses, tmp_path):
    folder, heard = tmp_path / "bus", []
    one, other = buses(folder), buses(folder)
    other.listen(heard.append)
    async with processes(folder, "stopped") as (stopped,):
        stopped.process.send_signal(signal.SIGSTOP)
        took, sent = [], [b"%d" % number for number in range(3000)]
        for message in sent:
            began = time.perf_counter()
            await one.send(message)
            took.append(time.perf_counter() - began)
            await asyncio.sleep(0)
        await until(lambda: len(heard) == len(sent))
        assert heard == sent
        assert sorted(took)[-30] < 0.02  # blocked, each would have taken for ever
        assert [len(late.messages) for late in one._late.values()] == [512]  # and the rest was dropped

        stopped.process.send_signal(signal.SIGCONT)
        assert [await stopped.says() for _ in range(10)] == [b.decode() for b in sent[:10]]
        await until(lambda: not one._late)


async def test_who_takes_nothing_for_a_second_is_given_up(buses, tmp_path):
    one, deaf = buses(tmp_path / "bus"), buses(tmp_path / "bus")
    deaf.listen(lambda _: None)
    asyncio.get_running_loop().remove_reader(deaf._own)
    for _ in range(50):
        await one.send(b"x")
    (late,) = one._late.values()
    late.tries = 500
    one._again()
    assert one._late == {}
