"""The demo: a slow service, the proxy in front of it, a short story, and the table of what was measured."""

import os
import secrets
import shlex
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from proxy.demo.children import Child, stop
from proxy.errors import StartError

if TYPE_CHECKING:
    from proxy.demo.screen import Screen
    from proxy.demo.story import Stage

CONFIG = """\
upstream: {url}
rules:
  - name: query
    match: {{method: POST, path: /orchestrator/query}}
    safe: true                  # this POST only reads
    key:
      - json: {{ignore: [$.request_id, $.timestamp], text: [$.question]}}
    ttl: 1h
    split:                      # a list of questions is asked for one by one, and only those that are not known
      by: {{json_array: {{path: $.questions}}}}
      merge: {{keyed: {{items: $.answers, id: $.q}}}}
      residual: each
      max_parallel: 4
    rollout: {{split: {{mode: on, audit: 100}}}}     # each split answer is compared with the whole one, unseen
admin: {{token: "${{FRONTRUNNER_TOKEN}}"}}
"""
GLANCE_S = 0.5
_SPLIT_ASKS = 2
"""The asks of the story that are answered from parts."""
_FETCHES, _MOMENT_S = 2.0, 5.0


def run(*, scale: float, keep: bool, seed: int) -> int:
    """Play the demo and return its exit code: 0 fine, 1 the story went wrong, 3 cannot start, 130 interrupted."""
    with _folder() as folder:
        children = Child("service", folder), Child("proxy", folder)
        try:
            return _play(children, scale=scale, keep=keep, seed=seed)
        except StartError as error:
            print(f"frontrunner demo: {error}", file=sys.stderr)
            return 3
        except KeyboardInterrupt:
            return 130
        finally:
            with _undisturbed():
                stop(children)


def _play(children: tuple[Child, Child], *, scale: float, keep: bool, seed: int) -> int:
    service, proxy = children
    token = secrets.token_urlsafe(24)
    env = _env(service.folder, token)
    options = [f"--scale={scale!r}", f"--seed={seed}"]
    service_url = service.start(["proxy.demo.service", "--port=0", *options], env)
    config = service.folder / "config.yaml"
    config.write_text(CONFIG.format(url=service_url), "utf-8")

    def start(port: str) -> str:
        return proxy.start(["proxy", "run", f"--config={config}", "--host=127.0.0.1", f"--port={port}", "--log=-"], env)

    proxy_url = start("0")
    from proxy.demo.story import Stage

    screen = _screen(scale)
    screen.say(f"slow service  {service_url}  (a full query takes {screen.expected})")
    screen.say(f"proxy         {proxy_url}")

    def restart() -> str:
        stop((proxy,))
        return start(proxy_url.rpartition(":")[2])  # the same place: the Host is part of every key

    def compared() -> str:
        from proxy.demo.ab import report

        return report(proxy_url, token, _SPLIT_ASKS, _FETCHES * screen.longest_s + _MOMENT_S)

    code = _tell(screen, Stage(service_url, proxy_url, screen.watch), proxy, restart, compared)
    if keep and code == 0:
        _keep(screen, children, proxy_url, token)
    return code


def _tell(
    screen: "Screen", stage: "Stage", proxy: Child, restart: Callable[[], str], compared: Callable[[], str]
) -> int:
    import httpx2

    try:
        steps = stage.play()
        report = compared()
        steps.append(stage.play_on(restart(), steps[0]))
    except httpx2.HTTPError as error:
        print(f"frontrunner demo: {error}\n{proxy.complaint()}".rstrip(), file=sys.stderr)
        return 1
    screen.table(steps)
    screen.say("What comparing split and whole answers has shown (frontrunner report --ab query):")
    screen.say(report)
    screen.say()
    if all(step.equal for step in steps):
        screen.say("Every answer through the proxy equals the direct one, byte for byte.")
        return 0
    print("frontrunner demo: an answer through the proxy differs from the direct one", file=sys.stderr)
    return 1


def _keep(screen: "Screen", children: tuple[Child, Child], proxy_url: str, token: str) -> None:
    from proxy.demo.story import ANOTHER_QUESTION, PATH, spellings

    first, again = (shlex.quote(body.decode()) for body in spellings(ANOTHER_QUESTION))
    post = f"curl -s -w '\\n%{{time_total}} s\\n' -H 'Content-Type: application/json' {proxy_url}{PATH} -d"
    admin = f"curl -s -H 'Authorization: Bearer {token}' {proxy_url}/_frontrunner"
    for line in (
        "",
        "Both keep running until Ctrl-C. Ask something new:",
        f"  {post} {first}",
        "Ask the same, spelled differently:",
        f"  {post} {again}",
        "What is stored, and what everything took:",
        f"  {admin}/cache/status",
        f"  {admin}/performance",
        f"The log: {children[1].out}",
    ):
        screen.say(line)
    while all(child.running for child in children):
        time.sleep(GLANCE_S)
    gone = next(child for child in children if not child.running)
    raise StartError(f"the {gone.name} is gone\n{gone.complaint()}".rstrip())


def _screen(scale: float) -> "Screen":
    from proxy.demo.screen import Screen
    from proxy.demo.service import CHEAPEST_S, DEAREST_S

    return Screen(CHEAPEST_S * scale, DEAREST_S * scale)


def _env(folder: Path, token: str) -> dict[str, str]:
    """Return the children's environment: everything they write goes below `folder`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FRONTRUNNER_")}
    homes = ("XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "TMPDIR")
    paths = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]  # the children run this very code
    ours = {
        "FRONTRUNNER_TOKEN": token,
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
    }
    return kept | dict.fromkeys(homes, str(folder)) | ours


@contextmanager
def _folder() -> Iterator[Path]:
    """Give a new temporary folder and remove it in every case; a polite end (SIGTERM, SIGHUP) counts as Ctrl-C."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    for number, how in before.items():
        if how is not signal.SIG_IGN:  # as nohup sets it
            signal.signal(number, _interrupt)
    folder = Path(tempfile.mkdtemp(prefix="frontrunner-demo-"))
    try:
        yield folder
    finally:
        with _undisturbed():
            shutil.rmtree(folder, ignore_errors=True)
        for number, how in before.items():
            signal.signal(number, how)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Let no second Ctrl-C leave a process or a folder behind."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
    try:
        yield
    finally:
        for number, how in before.items():
            signal.signal(number, how)


def _interrupt(_: int, __: Any) -> None:
    raise KeyboardInterrupt
