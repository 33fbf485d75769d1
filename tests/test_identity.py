"""What sets a process apart, and what it keeps secret."""

import stat

from proxy.identity import kept_key, kept_token, names, new_ids


def test_ids_are_unique_and_as_long_as_the_contract_says():
    make = new_ids()
    made = {make() for _ in range(1000)}
    assert (len(made), {len(one) for one in made}) == (1000, {32})


def test_processes_that_were_started_together_share_the_first_name(monkeypatch):
    monkeypatch.delenv("FRONTRUNNER_WORKER", raising=False)
    run, name = names()
    assert name.startswith(f"{run}-0-")
    monkeypatch.setenv("FRONTRUNNER_WORKER", "2 abcd 3 4 5 6")
    (one, first), (other, second) = names(), names()
    assert one == other == "abcd"
    assert first.startswith("abcd-2-")
    assert first != second


def test_secrets_are_kept_and_only_for_oneself(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert (kept_key(), kept_token()) == (kept_key(), kept_token())
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


def test_where_nothing_can_be_kept_they_last_as_long_as_the_process(monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", "/dev/null/nowhere")
    assert kept_key() != kept_key()
    assert kept_token() != kept_token()
