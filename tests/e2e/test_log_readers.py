"""The day, read by the real readers with the shipped files as they are: each finds what was put in."""

import csv
import io
import json
import os
import re
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from day import REQUESTS, day
from guide_of_logs import blocks
from log_events import EVENTS

from proxy.cli.init import shipped
from proxy.core.format.json import Json

pytestmark = pytest.mark.real

WITHIN_S = 60
FOREIGN = b'10.0.0.1 - - "GET / HTTP/1.1" 200\n'
HIDDEN = frozenset({"timestamp", "level", "version", "pid", "client_ip", "request_id"})
"""What lnav shows when it is asked to."""
SYSLOG_NG = Path(os.environ.get("FRONTRUNNER_SYSLOG_NG", "/"))
"""The folder that syslog-ng's packages are unpacked in; it cannot be installed beside rsyslog."""


def _mixed() -> Iterator[bytes]:
    """Yield lines of both: of one that stands for ten requests, and of slow ones, each of which is there."""
    slow = {"duration_s": 2.0, "sample_rate": 1.0, "saved_s": 1.0}
    quick = {"duration_s": 0.05, "sample_rate": 0.1, "saved_s": 3.0, "reason": "credentials"}
    start = json.loads(day().lines[: day().lines.index(b"\n")])
    for outcome in ("hit", "passthrough"):
        for known in (quick, slow, slow):
            yield json.dumps({**start, "event": "request", "outcome": outcome, **known}).encode() + b"\n"


MIXED = b"".join(_mixed())


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "frontrunner.log"
    path.write_bytes(day().lines + FOREIGN)
    return path


def outcomes() -> dict[str, tuple[int, Any]]:
    """Return how many requests ended how, and the sum of their durations."""
    count = day().count(lambda one: str(one.outcome))
    total = day().total(lambda one: str(one.outcome), lambda one: one.duration_s)
    return {name: (count[name], pytest.approx(total[name], abs=0.05)) for name in count}


def summed(lines: list[dict[str, Any]]) -> dict[str, tuple[int, float]]:
    count: Counter[str] = Counter()
    total: dict[str, float] = {}
    for line in lines:
        count[line["outcome"]] += 1
        total[line["outcome"]] = total.get(line["outcome"], 0.0) + line["duration_s"]
    return {name: (count[name], total[name]) for name in count}


@contextmanager
def running(command: list[str], folder: Path, **more: Any) -> Iterator[Callable[[Path, int], list[bytes]]]:
    """Run a program in the foreground; yield what waits until it has written so many lines to a file."""
    with (folder / "said").open("wb") as said:
        started = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT, cwd=folder, **more)

    def lines(path: Path, count: int) -> list[bytes]:
        until = time.monotonic() + WITHIN_S
        while not path.exists() or path.read_bytes().count(b"\n") < count:
            assert started.poll() is None, (folder / "said").read_text()
            assert time.monotonic() < until, (folder / "said").read_text()
            time.sleep(0.05)
        return path.read_bytes().splitlines(keepends=True)

    try:
        yield lines
    finally:
        started.terminate()
        started.wait(20)


def requests() -> list[dict[str, Any]]:
    return [line for line in day().fields() if line["event"] == "request"]


def errors() -> list[bytes]:
    return [line for line in day().lines.splitlines(keepends=True) if b'"level":"error"' in line]


def check_files(
    folder: Path, lines: Callable[[Path, int], list[bytes]], named: Callable[[dict[str, Any]], Any]
) -> None:
    """Check the files that a syslog daemon made of the day, and that it goes on with what is written later."""
    found = [json.loads(line) for line in lines(folder / "requests.log", REQUESTS)]
    assert summed(found) == outcomes()
    assert [named(line) for line in found] == requests()
    assert lines(folder / "errors.log", len(errors())) == errors()
    later = {
        "timestamp": "2026-03-02T00:00:00.000001Z",
        "level": "error",
        "event": "request",
        "outcome": "hit",
        "duration_s": 1e-06,
    }
    with (folder / "frontrunner.log").open("ab") as file:
        file.write(json.dumps(later).encode() + b"\n")
    assert named(json.loads(lines(folder / "requests.log", REQUESTS + 1)[-1])) == later
    assert json.loads(lines(folder / "errors.log", len(errors()) + 1)[-1]) == later


def without_host(line: dict[str, Any]) -> dict[str, Any]:
    assert line.pop("host")
    return line


def test_rsyslog(log: Path) -> None:
    folder = log.parent
    config = folder / "rsyslog.conf"
    config.write_text(f'global(workDirectory="{folder}")\n' + shipped("rsyslog.conf", str(log)))
    subprocess.run(["rsyslogd", "-N1", "-f", str(config)], check=True, capture_output=True)
    with running(["rsyslogd", "-n", "-f", str(config), "-i", str(folder / "pid")], folder) as lines:
        check_files(folder, lines, without_host)
        assert lines(folder / "unreadable.log", 1) == [FOREIGN]


def syslog_ng(folder: Path, config: str) -> tuple[list[str], dict[str, Any]]:
    """Return the command and the environment of syslog-ng, which keeps all it has in that folder."""
    (modules,) = (SYSLOG_NG / "usr/lib/syslog-ng").glob("[0-9]*.[0-9]*")
    (folder / "syslog-ng.conf").write_text(f"@version: {modules.name}\n{config}")
    parts = ("usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu", "usr/lib/syslog-ng")
    libraries = ":".join([str(SYSLOG_NG / part) for part in parts])
    command = [
        str(SYSLOG_NG / "usr/sbin/syslog-ng"), "--foreground", "--no-caps", "--cfgfile", str(folder / "syslog-ng.conf"),
        "--module-path", str(modules), "--persist-file", str(folder / "persist"),
        "--control", str(folder / "control"), "--pidfile", str(folder / "pid"),
    ]  # fmt: skip
    return command, {"env": os.environ | {"LD_LIBRARY_PATH": libraries}}


def test_syslog_ng(log: Path) -> None:
    command, more = syslog_ng(log.parent, shipped("syslog-ng.conf", str(log)))
    with running(command, log.parent, **more) as lines:
        check_files(log.parent, lines, lambda line: line)


def test_syslog_ng_sends_lines_away_with_the_machines_name(log: Path) -> None:
    """The destination that the snippet offers, into a file instead of a network."""
    network = 'network("logs.example" port(514) transport("tcp")'
    config = shipped("syslog-ng.conf", str(log))
    assert config.count(network) == config.count("# log {") == 1
    config = config.replace(network, f'file("{log.parent / "away.log"}"').replace("# log {", "log {")
    command, more = syslog_ng(log.parent, config)
    with running(command, log.parent, **more) as lines:
        found = lines(log.parent / "away.log", len(day().fields()))
        assert [without_host(json.loads(line)) for line in found] == day().fields()


def lnav(folder: Path, *arguments: str) -> str:
    """Run lnav without a screen, with the shipped format and nothing else of anybody's."""
    formats = folder / "formats" / "frontrunner"
    formats.mkdir(parents=True, exist_ok=True)
    (formats / "lnav.json").write_text(shipped("lnav.json"))
    ran = subprocess.run(
        ["lnav", "-n", "-I", str(folder), *arguments], env=os.environ | {"HOME": str(folder)}, text=True, capture_output=True,
        timeout=WITHIN_S, check=True, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert ran.stderr == ""
    return ran.stdout


def test_lnav_reads_the_log_as_a_table(tmp_path: Path) -> None:
    (tmp_path / "frontrunner.log").write_bytes(day().lines)
    ((_, query),) = blocks("lnav", "sql")
    said = lnav(
        tmp_path, "-c", f";{' '.join(query.split())}", "-c", ":write-csv-to -", str(tmp_path / "frontrunner.log")
    )
    rows = list(csv.DictReader(io.StringIO(said)))
    assert {row["outcome"]: (float(row["n"]), float(row["s"])) for row in rows} == outcomes()
    assert [float(row["n"]) for row in rows] == sorted([float(row["n"]) for row in rows], reverse=True)


def test_lnav_counted_sampled_lines_as_one_request_each(tmp_path: Path) -> None:
    (tmp_path / "frontrunner.log").write_bytes(MIXED)
    ((_, query),) = blocks("lnav", "sql")
    said = lnav(
        tmp_path, "-c", f";{' '.join(query.split())}", "-c", ":write-csv-to -", str(tmp_path / "frontrunner.log")
    )
    found = {row["outcome"]: (float(row["n"]), float(row["s"])) for row in csv.DictReader(io.StringIO(said))}
    assert found == {"hit": (12, pytest.approx(4.5)), "passthrough": (12, pytest.approx(4.5))}


def test_lnav_shows_lines_in_columns(tmp_path: Path) -> None:
    first = b"".join(day().lines.splitlines(keepends=True)[:2])
    (tmp_path / "frontrunner.log").write_bytes(first)
    said = lnav(tmp_path, str(tmp_path / "frontrunner.log")).splitlines()
    assert [line.split() for line in said] == [
        ["2026-03-01T00:00:07.102", "upstream_call", "-", "200", "3.649076", "POST", "/orchestrator/query", "query"],
        ["2026-03-01T00:00:07.102", "request", "miss", "200", "3.649967", "POST", "/orchestrator/query", "query"],
    ]


def test_lnav_showed_other_events_as_blank_lines(tmp_path: Path) -> None:
    """What is said of a fault, a drop, a config or a decision is there to be read, and all that lnav can name is a column."""
    (tmp_path / "frontrunner.log").write_bytes(b"".join(map(Json().render, EVENTS.values())))
    said = lnav(tmp_path, str(tmp_path / "frontrunner.log"))
    for name, fields in EVENTS.items():
        for field, value in fields.items():
            if name not in {"request", "hit", "job", "upstream_call", "failed call"} and field not in HIDDEN:
                shown = json.dumps(value) if isinstance(value, bool | list) else str(value)
                assert shown in said, f"{field} of {name}"
    query = (
        ";SELECT sum(count), count(message), count(would_differ), count(rolled_out), count(soft) FROM frontrunner_log"
    )
    said = lnav(tmp_path, "-c", query, "-c", ":write-csv-to -", str(tmp_path / "frontrunner.log"))
    assert said.splitlines()[1] == "7,2,3,1,1"


def test_lnav_finds_nothing_wrong_with_the_format(tmp_path: Path) -> None:
    assert lnav(tmp_path, "-C") == ""


def test_goaccess(log: Path) -> None:
    folder = log.parent
    (folder / "goaccess.conf").write_text(shipped("goaccess.conf", str(log)))
    (command,) = re.findall(r"grep .* -$", shipped("goaccess.conf", str(log)), flags=re.MULTILINE)[:1]
    command = f"{command.removesuffix('-')} -o report.json -"
    subprocess.run(command, shell=True, cwd=folder, capture_output=True, timeout=WITHIN_S, check=True)
    told = json.loads((folder / "report.json").read_text())
    general = told["general"]
    assert (general["valid_requests"], general["failed_requests"]) == (REQUESTS, 0)
    assert general["bandwidth"] == REQUESTS * 1000
    by_path = {one["data"]: one for one in told["requests"]["data"]}
    path = lambda one: {"query": "/orchestrator/query", "search": "/search"}.get(one.rule, "/other")  # noqa: E731
    assert {name: one["hits"]["count"] for name, one in by_path.items()} == day().count(path)
    total = day().total(path, lambda one: one.duration_s)
    assert {name: one["cumts"] / 1e6 for name, one in by_path.items()} == pytest.approx(total, abs=0.1)
    longest = {name: max(one.duration_s for one in day().put if path(one) == name) for name in total}
    assert {name: one["maxts"] / 1e6 for name, one in by_path.items()} == pytest.approx(longest, abs=0.001)
    assert {int(one["data"][:3]) for codes in told["status_codes"]["data"] for one in codes["items"]} == set(
        day().count(lambda one: one.status)
    )


def jq(folder: Path, beginning: str) -> list[bytes]:
    """Run the guide's own jq line that begins so."""
    ((_, recipes),) = blocks("jq", "sh")
    (command,) = (one for one in re.split(r"^(?=jq )", recipes, flags=re.MULTILINE) if one.startswith(beginning))
    ran = subprocess.run(command, shell=True, cwd=folder, capture_output=True, timeout=WITHIN_S, check=True)
    return ran.stdout.splitlines()


def test_jq(tmp_path: Path) -> None:
    (tmp_path / "frontrunner.log").write_bytes(day().lines)
    slow = [line["request_id"] for line in requests() if line["duration_s"] > 1]
    assert [json.loads(line)["request_id"] for line in jq(tmp_path, "jq -c 'select((.event")] == slow
    (saved,) = jq(tmp_path, "jq -s")
    assert float(saved) == pytest.approx(sum(one.saved_s for one in day().put if one.outcome == "hit"))
    passed = day().count(lambda one: str(one.reason) if one.outcome == "passthrough" else None)
    assert [(reason.decode(), int(n)) for n, reason in map(bytes.split, jq(tmp_path, "jq -r"))] == passed.most_common()
    assert jq(tmp_path, "jq -c 'select(.request_id") == []


def test_jq_counted_sampled_lines_as_one_request_each(tmp_path: Path) -> None:
    (tmp_path / "frontrunner.log").write_bytes(MIXED)
    (saved,) = jq(tmp_path, "jq -s")
    assert float(saved) == pytest.approx(10 * 3.0 + 2 * 1.0)
    assert jq(tmp_path, "jq -r") == [b"10 credentials", b"2 none"]


def test_logrotate(log: Path) -> None:
    """The file is put aside, and then the proxy is told, once."""
    folder = log.parent
    tools = folder / "tools"
    tools.mkdir()
    (tools / "systemctl").write_text(f'#!/bin/sh\n[ ! -e {log} ] && echo "$@" >> {folder}/told\n')
    (tools / "systemctl").chmod(0o755)
    folder.chmod(0o700)
    (folder / "conf").write_text(shipped("logrotate", str(log)))
    (folder / "conf").chmod(0o600)
    ran = subprocess.run(
        ["logrotate", "--force", "--state", str(folder / "state"), str(folder / "conf")],
        env=os.environ | {"PATH": f"{tools}:{os.environ['PATH']}"}, capture_output=True, text=True, timeout=WITHIN_S, check=False,
    )  # fmt: skip
    assert (ran.returncode, ran.stderr) == (0, "")
    assert log.with_name("frontrunner.log.1").read_bytes() == day().lines + FOREIGN
    assert (folder / "told").read_text() == "kill --kill-who=main --signal=SIGUSR1 frontrunner.service\n"
