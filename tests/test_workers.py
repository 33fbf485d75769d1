"""Which worker a process is, and what it inherited."""

import os
import socket

from proxy.workers import this_worker


def test_a_process_that_nobody_started_as_one_is_no_worker(monkeypatch):
    monkeypatch.delenv("FRONTRUNNER_WORKER", raising=False)
    assert this_worker() is None


def test_a_worker_knows_its_number_its_socket_and_its_run(monkeypatch):
    reading, writing = os.pipe()
    with socket.create_server(("127.0.0.1", 0)) as bound:
        monkeypatch.setenv("FRONTRUNNER_WORKER", f"3 {os.dup(bound.fileno())} {writing} a1b2 /tmp/a lock")
        worker = this_worker()
        assert (worker.number, worker.run, worker.lock) == (3, "a1b2", "/tmp/a lock")
        with worker.socket() as inherited:
            assert inherited.getsockname() == bound.getsockname()
    worker.tell_ready()
    with os.fdopen(reading, "rb") as pipe:
        assert pipe.read() == b"."
