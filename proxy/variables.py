"""Fill in `${VAR}`, `${VAR:-default}` and `${file:/run/secrets/x}` within a text; `$${` stands for a plain `${`."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

ALLOWED: Final = "${NAME}, ${NAME:-default}, ${file:/path}, or $${ for a plain ${"
MAX_FILE_BYTES: Final = 1 << 16  # /dev/zero is a path, too

_variable = re.compile(
    r"\$\$\{|\$\{(?:file:(?P<file>[^}]+)|(?P<name>[A-Za-z_]\w*)(?::-(?P<default>[^}]*))?)\}|\$\{[^}]*\}?", re.ASCII
)


def fill_in(text: str, env: Mapping[str, str]) -> tuple[str, list[tuple[str, str]]]:
    """Return the text with its variables filled in and, for each that failed, what was found and what is allowed."""
    wrong: list[tuple[str, str]] = []

    def one(match: re.Match[str]) -> str:
        try:
            return _value(match, env)
        except ValueError as error:
            wrong.append((match[0], str(error)))
            return ""

    return _variable.sub(one, text), wrong


def _value(match: re.Match[str], env: Mapping[str, str]) -> str:
    if match[0] == "$${":
        return "${"
    if match["file"]:
        return _secret(match["file"])
    name, default = match["name"], match["default"]
    if name is None or "${" in (default or ""):
        raise ValueError(ALLOWED)
    if default is None and name not in env:
        raise ValueError(f"a variable that is set ({name} is not), or ${{{name}:-default}}")
    return env.get(name) or default or ""  # as in a shell, `:-` stands for an empty variable as well


def _secret(path: str) -> str:
    try:
        with Path(path).open("rb") as file:
            raw = file.read(MAX_FILE_BYTES + 1)
        if len(raw) > MAX_FILE_BYTES:
            raise ValueError(f"a file of at most {MAX_FILE_BYTES} bytes ({path} is longer)")
        return raw.decode().rstrip("\r\n")  # editors and `echo` end a file with a line break that no secret has
    except OSError as error:
        raise ValueError(f"a file that can be read ({path}: {error.strerror})") from None
    except UnicodeDecodeError:
        raise ValueError(f"a file with text in UTF-8 ({path} holds something else)") from None
