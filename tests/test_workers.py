"""Which worker a process is, what it inherited, and how the first process starts, watches and ends all of them."""

import os
import pathlib
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress

import pytest

from proxy.workers import this_worker

PARENT = """
import socket, sys
from proxy.errors import StartError
from proxy.workers import Workers

with socket.create_server(("127.0.0.1", 0)) as bound:
    try:
        code = Workers(2, bound, [sys.executable, "-c", sys.argv[1]]).serve(lambda: print("ready", flush=True))
    except StartError as error:
        sys.exit(str(error))
    sys.exit(code)
"""
CHILD = """
import os, pathlib, signal, sys, time
from proxy.signals import hear
from proxy.workers import this_worker

worker = this_worker()
here = pathlib.Path(os.environ["HERE"])
"""
BORN = "(here / str(os.getpid())).touch()\n"
HEARS = """
signal.signal(signal.SIGHUP, lambda *_: (here / f'hup-{os.getpid()}').touch())
signal.signal(signal.SIGUSR1, lambda *_: (here / f'usr1-{os.getpid()}').touch())
hear()
"""
WAITS = "while True: time.sleep(9)\n"
SERVES = CHILD + HEARS + "worker.tell_ready()\n" + BORN + WAITS


def test_a_process_that_nobody_started_as_one_is_no_worker(monkeypatch):
    monkeypatch.delenv("FRONTRUNNER_WORKER", raising=False)
    assert this_worker() is None


def test_a_worker_knows_its_number_its_run_and_what_it_inherited(monkeypatch):
    reading, writing = os.pipe()
    with socket.create_server(("127.0.0.1", 0)) as bound:
        monkeypatch.setenv("FRONTRUNNER_WORKER", f"3 a1b2 {os.dup(bound.fileno())} {writing} 8 9")
        worker = this_worker()
        assert (worker.number, worker.run, worker.parent, worker.lock) == (3, "a1b2", 8, 9)
        with worker.socket() as inherited:
            assert inherited.getsockname() == bound.getsockname()
    worker.tell_ready()
    with os.fdopen(reading, "rb") as pipe:
        assert pipe.read() == b"."


@contextmanager
def first_process(folder: pathlib.Path, child: str):
    """Run a first process whose workers are `child`; in `folder` they leave what they have to tell."""
    process = subprocess.Popen(
        [sys.executable, "-c", PARENT, child], env=os.environ | {"HERE": str(folder)}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def eventually(condition, within_s: float = 20.0):
    """Return what is true of other processes, as soon as it is."""
    until = time.monotonic() + within_s
    while not (known := condition()):
        assert time.monotonic() < until, "it did not come about"
        time.sleep(0.02)
    return known


def told(folder: pathlib.Path, begins: str = "", least: int = 2):
    """Return what the workers have left, once it is enough."""
    names = [one.name for one in folder.iterdir() if one.name.startswith(begins)]
    return names if len(names) >= least else None


def test_a_first_process_that_was_ended_while_its_workers_started_hung(tmp_path):
    with first_process(tmp_path, CHILD + BORN + WAITS) as process:
        eventually(lambda: told(tmp_path))
        process.terminate()
        assert process.wait(10) == 0
        assert process.stdout.read() == ""


def test_a_worker_that_had_opened_the_log_but_did_not_serve_yet_wrote_to_the_moved_one(tmp_path):
    waits = "while not (here / 'go').exists(): time.sleep(0.01)\n"
    with first_process(tmp_path, CHILD + BORN + waits + HEARS + "worker.tell_ready()\n" + WAITS) as process:
        eventually(lambda: told(tmp_path))
        process.send_signal(signal.SIGUSR1)
        time.sleep(0.2)  # until the first process has passed it on
        (tmp_path / "go").touch()
        eventually(lambda: told(tmp_path, "usr1"))
        process.terminate()
        assert process.wait(10) == 0


def test_a_worker_that_ended_while_another_was_told_something_was_never_started_again(tmp_path):
    with first_process(tmp_path, SERVES) as process:
        assert process.stdout.readline() == "ready\n"
        first, second = (int(name) for name in eventually(lambda: told(tmp_path)))
        os.kill(first, signal.SIGKILL)
        process.send_signal(signal.SIGHUP)
        eventually(lambda: told(tmp_path, f"hup-{second}", 1))
        os.kill(second, signal.SIGKILL)
        process.send_signal(signal.SIGHUP)
        eventually(lambda: len([name for name in told(tmp_path) if name.isdigit()]) == 4)
        process.terminate()
        assert process.wait(10) == 0


def test_all_workers_hear_that_the_log_was_moved(tmp_path):
    with first_process(tmp_path, SERVES) as process:
        assert process.stdout.readline() == "ready\n"
        pids = eventually(lambda: told(tmp_path))
        process.send_signal(signal.SIGUSR1)
        eventually(lambda: told(tmp_path, "usr1"))
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 130
        assert sorted(pids) == sorted(one.name for one in tmp_path.iterdir() if one.name.isdigit())


def test_a_worker_that_was_told_something_while_it_started_died(tmp_path):
    slow = CHILD + BORN + "eventually = here / 'go'\nwhile not eventually.exists(): time.sleep(0.02)\n" + HEARS
    with first_process(tmp_path, slow + "worker.tell_ready()\n" + WAITS) as process:
        for pid in eventually(lambda: told(tmp_path)):
            os.kill(int(pid), signal.SIGHUP)
        process.send_signal(signal.SIGHUP)
        (tmp_path / "go").touch()
        assert process.stdout.readline() == "ready\n"
        process.terminate()
        assert process.wait(10) == 0


@pytest.mark.parametrize("word", ["sys.exit(2)", "os.kill(os.getpid(), signal.SIGKILL)"])
def test_where_one_does_not_come_up_all_are_ended_and_the_command_fails(tmp_path, word):
    with first_process(tmp_path, CHILD + f"if worker.number: {word}\n" + BORN + WAITS) as process:
        assert process.wait(20) == 1
        assert "did not come up" in process.stderr.read()
