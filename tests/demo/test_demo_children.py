"""Child processes are started with what they said when they did not start, and never left behind."""

import os
import signal

import pytest

from proxy.demo import children
from proxy.demo.children import Child, stop
from proxy.errors import StartError

READY = 'import time\nprint("noise")\nprint("[1]")\nprint(\'{"event": "ready", "url": "http://x"}\', flush=True)\n'
WAIT = "time.sleep(60)\n"
DEAF = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"


def child(folder, source):
    (folder / "told.py").write_text(source)
    return Child("told", folder)


def begin(told):
    return told.start(["told"], os.environ)


def test_the_url_is_the_one_of_the_ready_line(tmp_path):
    told = child(tmp_path, READY + WAIT)
    try:
        assert begin(told) == "http://x"
        assert told.running
    finally:
        stop([told])
    assert not told.running
    assert told.popen.returncode == -signal.SIGTERM


def test_a_child_that_ends_tells_why(tmp_path):
    told = child(tmp_path, "import sys\nsys.exit('no port is free')\n")
    with pytest.raises(StartError, match=r"the told ended with 1\nno port is free"):
        begin(told)
    stop([told])


def test_a_child_that_is_never_ready_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(children, "START_S", 0.3)
    told = child(tmp_path, "import time\n" + WAIT)
    try:
        with pytest.raises(StartError, match="the told was not ready after 0 s"):
            begin(told)
    finally:
        stop([told])
    assert not told.running


def test_a_child_that_does_not_listen_is_killed(tmp_path, monkeypatch):
    monkeypatch.setattr(children, "STOP_S", 0.3)
    told = child(tmp_path, DEAF + READY + WAIT)
    begin(told)
    stop([told])
    assert told.popen.returncode == -signal.SIGKILL


def test_stopping_what_was_never_started_is_nothing(tmp_path):
    stop([Child("told", tmp_path)])
