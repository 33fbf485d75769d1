"""The admin token that nobody configured: made once, kept for its owner only."""

import os
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from proxy.admin.token import load_or_make
from proxy.state_folder import state_folder


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return {"XDG_STATE_HOME": str(tmp_path / "state"), "HOME": str(tmp_path)}


def test_it_is_made_once(env: dict[str, str]) -> None:
    """Long enough not to be guessed; the same for every start."""
    token = load_or_make(env)
    assert re.fullmatch(r"[\w-]{32,}", token)
    assert load_or_make(env) == token


def test_only_its_owner_can_read_it(env: dict[str, str]) -> None:
    """Also where somebody had opened it up."""
    load_or_make(env)
    file = state_folder(env) / "token"
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o077) == (0o600, 0)
    file.chmod(0o644)
    load_or_make(env)
    assert file.stat().st_mode & 0o777 == 0o600


def test_nothing_else_is_left_in_the_folder(env: dict[str, str]) -> None:
    load_or_make(env)
    assert [file.name for file in state_folder(env).iterdir()] == ["token"]


@pytest.mark.parametrize("left", ["", "\n"], ids=["empty", "blank"])
def test_a_file_without_a_token_is_healed(left: str, env: dict[str, str]) -> None:
    """A crash in between must not cost the token of every later start."""
    file = state_folder(env) / "token"
    file.parent.mkdir(parents=True)
    file.write_text(left)
    token = load_or_make(env)
    assert token
    assert load_or_make(env) == token


def test_an_owner_may_write_his_own(env: dict[str, str]) -> None:
    file = state_folder(env) / "token"
    file.parent.mkdir(parents=True)
    file.write_text("my own words\n")
    assert load_or_make(env) == "my own words"


def test_processes_that_start_at_once_agree(env: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is first decides, and nobody reads half a token."""
    numbers = iter(range(10_000))
    monkeypatch.setattr(os, "getpid", lambda: next(numbers))  # threads stand for processes here
    with ThreadPoolExecutor(8) as pool:
        tokens = set(pool.map(lambda _: load_or_make(env), range(64)))
    assert len(tokens) == 1


def test_where_nothing_can_be_kept_it_says_so(tmp_path: Path) -> None:
    """The caller then uses a token that lives as long as the process."""
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"Not a directory|File exists"):
        load_or_make({"XDG_STATE_HOME": str(tmp_path / "file")})
