"""`frontrunner token` prints the one token of this user, made at the first time."""

import stat

from typer.testing import CliRunner

from proxy.cli import app


def test_it_is_made_once_and_kept_for_its_owner_only(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    first, again = (CliRunner().invoke(app, ["token"]) for _ in range(2))
    assert first.exit_code == 0
    assert first.stdout == again.stdout
    assert len(first.stdout.strip()) >= 32
    file = next(file for file in tmp_path.rglob("*") if file.is_file())
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_state_folder_that_cannot_be_used_ends_with_3(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    result = CliRunner().invoke(app, ["token"])
    assert (result.exit_code, result.stdout) == (3, "")
    assert result.stderr.startswith("frontrunner token: ")
