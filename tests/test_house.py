"""The house rules: arrows, sizes, pairs of file and test, names, and a guide that says what the code does."""

import ast
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from pydantic import BaseModel

from proxy import config, plugins
from proxy.core.log_fields import ORDER
from proxy.core.reasons import Reason
from proxy.core.types import Outcome

ROOT = Path(__file__).parent.parent
SOURCES = sorted((ROOT / "proxy").rglob("*.py"))
GUIDE = (ROOT / "proxy" / "docs" / "reference.md").read_text()

MOST_LINES = 320
MOST_FUNCTION_LINES = 42
AVOIDED = {
    "backend", "manager", "handler", "helper", "helpers", "util", "utils", "common", "misc", "service", "processor",
    "ctx", "data", "payload", "process", "perform", "smart", "canonicalize", "chunked_up", "coalesce",
}  # fmt: skip
ALLOWED_NAMES = {
    "data_received",  # asyncio's name
    "service",  # the demo's slow service is one
}


SUITES = {  # plug-ins of one kind keep one contract, in one suite
    "core/format": "test_formats.py",
    "upstream": "test_engine_contract.py",
}
PLUG_INS = {"core/format": {"json", "console"}, "upstream": {"aiohttp", "httpx", "asgi"}}
ONLY_SHAPES = {"proxy/asgi.py"}


def relative(path):
    return str(path.relative_to(ROOT))


def rows(title):
    """Return the first cell of each row of the table below a heading of the guide, without backticks."""
    section = re.split(r"^#+ ", GUIDE, flags=re.MULTILINE)
    body = next(part for part in section if part.startswith(title + "\n"))
    cells = re.findall(r"^\| (.+?) \|", body, flags=re.MULTILINE)
    return [re.sub(r"[`○ ]", "", cell) for cell in cells[1:] if not cell.startswith("---")]


@pytest.mark.parametrize(
    "command",
    [
        ["ruff", "check", "."],
        ["ruff", "format", "--check", "."],
        ["mypy", "--no-incremental", "--cache-dir=/dev/null"],
    ],
    ids=["ruff check", "ruff format", "mypy"],
)
def test_the_tools_find_nothing(command):
    found = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout + found.stderr


def test_the_arrows_point_downwards_and_the_core_is_pure():
    lint = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as main; main()", "--no-cache"]
    found = subprocess.run(lint, cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout + found.stderr
    assert "0 broken" in found.stdout


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_a_file_fits_on_few_screens_and_says_first_what_it_is(path):
    text = path.read_text()
    assert text.count("\n") <= MOST_LINES
    assert ast.get_docstring(ast.parse(text)), "a module begins with one sentence"


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_functions_are_short_and_names_come_from_the_word_list(path):
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            words = set(re.split(r"_|(?<=[a-z])(?=[A-Z])", node.name))
            assert node.name in ALLOWED_NAMES or not {word.lower() for word in words} & AVOIDED, node.name
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or 0) - node.lineno + 1
            assert lines <= MOST_FUNCTION_LINES, f"{node.name} has {lines} lines"


def test_every_file_has_a_test_of_its_own():
    without = []
    for path in SOURCES:
        room = path.parent.relative_to(ROOT / "proxy").as_posix()
        name = SUITES[room] if path.stem in PLUG_INS.get(room, ()) else f"test_*{path.stem}*.py"
        if path.stem in {"__init__", "__main__"} or relative(path) in ONLY_SHAPES:
            continue
        if not list((ROOT / "tests" / room).glob(name)):
            without.append(relative(path))
    assert without == []


def test_no_two_test_files_share_a_name():
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert sorted(names) == sorted(set(names))


def imported(room):
    """Return for each module from elsewhere that a room of the repository imports the distributions that hold it."""
    held, names = packages_distributions(), set()
    for path in (ROOT / room).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names.add(node.module.split(".")[0])
    return {name: {one.lower().replace("_", "-") for one in held[name]} for name in names - {"proxy"} if name in held}


def test_what_is_imported_is_named_in_pyproject_not_only_installed_here():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = {
        room: {re.split(r"[^\w.-]", line, maxsplit=1)[0] for line in lines}
        for room, lines in {"proxy": project["dependencies"], **project["optional-dependencies"]}.items()
    }
    product = named["proxy"] | named["redis"] | named["otel"] | named["graphql"]
    for room, allowed in (("proxy", product), ("tests", named["proxy"] | named["test"])):
        assert {module for module, by in imported(room).items() if not by & allowed} == set(), room


def test_nothing_but_what_the_user_asked_for_stands_at_the_top():
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    top = {line.split("/")[0] for line in listed.splitlines()}
    assert top <= {
        "pyproject.toml", "README.md", "proxy", "tests", "config.yaml", "LICENSE", "CHANGELOG.md", ".gitignore", ".ci",
    }  # fmt: skip


def test_the_guide_lists_the_log_fields_in_their_order():
    assert tuple(rows("Log fields")) == ORDER


def test_the_guide_lists_every_outcome():
    assert set(rows("Outcomes")) == set(Outcome)


def test_the_guide_lists_every_reason():
    assert rows("Reasons") == [str(reason) for reason in Reason]


def test_every_reason_is_given_somewhere():
    code = "".join(path.read_text() for path in SOURCES)
    for reason in Reason:
        used = f"Reason.{reason.name}" in code.replace("class Reason", "") or f'"{reason}"' in code.replace(
            f'{reason.name} = "{reason}"', ""
        )
        assert used, reason


def keys(model, prefix=""):
    """Yield the paths of all keys of the config's shape."""
    for name, field in model.model_fields.items():
        path = prefix + (field.alias or name)
        kinds = [field.annotation, *getattr(field.annotation, "__args__", ())]
        kinds += [inner for kind in kinds for inner in getattr(kind, "__args__", ())]
        inner = next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)
        described = inner is not None and path not in {
            "upstream.engine",
            "rules[].split",
            "rules[].grace",
        }
        described = described and not path.startswith("rules[].rollout.gates.")  # each is a limit, or that and dry_run
        if inner is None or not described or path == "upstream":
            yield path
        if described:
            yield from keys(inner, f"{path}[]." if path == "rules" else f"{path}.")


def test_the_guide_lists_every_config_key():
    assert set(rows("Configuration")) == set(keys(config.Config))


def test_the_guide_marks_what_is_not_built():
    marked = {
        re.sub(r"[`○ ]", "", cell) for cell in re.findall(r"^\| (.+?) \|", GUIDE, flags=re.MULTILINE) if "○" in cell
    }
    assert marked == set(config.NOT_BUILT)


def test_the_guide_lists_every_normalizer():
    assert set(rows("Normalizers")) == set(plugins.catalogue("normalize"))


def test_the_guide_lists_every_command():
    from proxy.cli import app

    commands = {command.name or command.callback.__name__ for command in app.registered_commands}
    assert set(rows("Commands")) == {f"frontrunner{name}" for name in commands}


def test_the_guide_lists_every_admin_path():
    from proxy.admin.api import PATHS

    assert set(rows("Admin endpoints")) == set(PATHS)


def test_no_placeholder_is_left_in_the_guide():
    for page in (ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "proxy" / "docs").glob("*.md")):
        assert "@@" not in page.read_text(), page


def test_the_readme_stays_short():
    assert (ROOT / "README.md").read_text().count("\n") <= 400
