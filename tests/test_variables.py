"""`${VAR}`, `${VAR:-default}`, `${file:/path}` and `$${`: what is filled in, and what is told where it cannot be."""

from pathlib import Path

import pytest

from proxy.variables import MAX_FILE_BYTES, fill_in

ENV = {"HOST": "legacy", "PORT": "8000", "EMPTY": "", "TRICKY": "${PORT}", "LOWER_case1": "x"}

FILLED = {
    "nothing to do": "nothing to do",
    "${HOST}": "legacy",
    "http://${HOST}:${PORT}/": "http://legacy:8000/",
    "${LOWER_case1}": "x",
    "${EMPTY}": "",
    "${EMPTY:-full}": "full",
    "${ABSENT:-http://127.0.0.1:8000}": "http://127.0.0.1:8000",
    "${ABSENT:-}": "",
    "${HOST:-other}": "legacy",
    "${TRICKY}": "${PORT}",  # what a variable holds is not looked at again
    "$${HOST}": "${HOST}",
    "$HOST $ $$ {HOST}": "$HOST $ $$ {HOST}",
}

FORMS = "${NAME}, ${NAME:-default}, ${file:/path}, or $${ for a plain ${"

WRONG = {
    "${ABSENT}": ("${ABSENT}", "a variable that is set (ABSENT is not), or ${ABSENT:-default}"),
    "a ${ABSENT} b": ("${ABSENT}", "a variable that is set (ABSENT is not), or ${ABSENT:-default}"),
    "${}": ("${}", FORMS),
    "${two words}": ("${two words}", FORMS),
    "${1ST}": ("${1ST}", FORMS),
    "${HOST-x}": ("${HOST-x}", FORMS),
    "${open": ("${open", FORMS),
    "${HOST:-${PORT}}": ("${HOST:-${PORT}", FORMS),
    "${file:}": ("${file:}", FORMS),
    "${file:/no/such}": ("${file:/no/such}", "a file that can be read (/no/such: No such file or directory)"),
}


@pytest.mark.parametrize(("text", "filled"), FILLED.items())
def test_variables_are_filled_in(text: str, filled: str) -> None:
    """The table holds every form."""
    assert fill_in(text, ENV) == (filled, [])


@pytest.mark.parametrize(("text", "wrong"), WRONG.items())
def test_what_cannot_be_filled_in_is_told(text: str, wrong: tuple[str, str]) -> None:
    """What was found is the variable, what is allowed says why."""
    assert fill_in(text, ENV)[1] == [wrong]


def test_all_failures_of_one_text_are_told() -> None:
    """One look shows all."""
    assert [found for found, _ in fill_in("${A} ${HOST} ${B}", ENV)[1]] == ["${A}", "${B}"]


def test_a_file_is_read_without_its_last_line_break(tmp_path: Path) -> None:
    """`echo secret > file` is how secrets are made."""
    secret = tmp_path / "token"
    secret.write_text("s3cret\r\n")
    assert fill_in(f"Bearer ${{file:{secret}}}", {}) == ("Bearer s3cret", [])


def test_a_file_must_be_short_text(tmp_path: Path) -> None:
    """A device or a binary is not a secret."""
    secret = tmp_path / "token"
    secret.write_bytes(b"\xff\n")
    assert fill_in(f"${{file:{secret}}}", {})[1][0][1] == f"a file with text in UTF-8 ({secret} holds something else)"
    secret.write_bytes(b"x" * (MAX_FILE_BYTES + 1))
    assert fill_in(f"${{file:{secret}}}", {})[1][0][1] == f"a file of at most 65536 bytes ({secret} is longer)"
