"""How one command serves: where it listens, which signals it heeds, how long it finishes what is under way."""

import signal
import socket

import pytest

from proxy import run as module
from proxy.config import from_mapping
from proxy.errors import StartError


@pytest.fixture
def served(monkeypatch, tmp_path):
    """Keep what the server is told, instead of serving."""
    told = []

    def keep(app, bound, ready, signals, *, parent, finish_within_s):
        told.append((app, bound.getsockname(), signals, parent, finish_within_s))
        return 0

    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr("proxy.server.run", keep)
    return told


def config(**more):
    return from_mapping({"upstream": "http://127.0.0.1:9", "listen": "127.0.0.1:0", "log": {"to": "off"}, **more}, {})


def test_what_is_under_way_may_take_as_long_as_the_upstream_may(served):
    assert module.run(config(upstream={"url": "http://127.0.0.1:9", "timeout": {"first_byte": "60s"}}), config) == 0
    ((_, _, _, parent, finish_within_s),) = served
    assert (parent, finish_within_s) == (None, 65.0)


def test_a_signal_turns_the_bypass_and_none_but_the_usual_ends_it(served):
    module.run(config(), config)
    ((app, _, signals, _, _),) = served
    assert set(signals) == {signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2}
    for on in (True, False):
        signals[signal.SIGUSR2]()
        assert app._bypass.on is on
    assert app.mode.observing is False
    app.reload(lambda: config(mode="observe"))
    assert app.mode.observing is True
    signals[signal.SIGHUP]()
    assert app.mode.observing is False


def test_a_signal_opens_the_log_again(served, tmp_path):
    file = tmp_path / "log"
    module.run(config(log={"to": str(file)}), config)
    ((app, _, signals, _, _),) = served
    app.log.events.info("before")
    app.log.close()
    file.rename(tmp_path / "log.1")
    signals[signal.SIGUSR1]()
    app.log.events.info("after")
    app.log.let_go()
    assert ("before" in (tmp_path / "log.1").read_text(), "after" in file.read_text()) == (True, True)


def test_a_port_that_somebody_has_is_a_reason_not_to_start(served):
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(StartError, match="cannot listen"):
        module.run(config(listen=f"127.0.0.1:{taken.getsockname()[1]}"), config)
    assert served == []


def test_a_worker_serves_on_the_socket_that_it_inherited(served, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as bound:
        inherited = bound.dup()
        monkeypatch.setenv("FRONTRUNNER_WORKER", f"1 run {inherited.detach()} 8 9 1")
        module.run(config(), config)
        assert [one[1] for one in served] == [bound.getsockname()]
        assert served[0][3] == 9
