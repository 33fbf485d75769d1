"""The log that a config asks for."""

import json

import pytest
from fakes import FakeClock

from proxy.config import from_mapping
from proxy.errors import StartError
from proxy.log_of import FORMATS, log_of


def config(**log):
    return from_mapping({"upstream": "http://127.0.0.1:9", "log": log}, {})


@pytest.mark.parametrize("form", FORMATS)
def test_each_format_that_the_config_knows_is_written_to_a_file(form, tmp_path):
    file = tmp_path / "log"
    log = log_of(config(to=str(file), format=form), FakeClock())
    log.events.info("config", message="hello")
    log.close()
    (line,) = file.read_text().splitlines()
    assert "hello" in line
    assert line.startswith("{") is (form == "json")


def test_a_place_that_cannot_be_written_is_a_reason_not_to_start(tmp_path):
    with pytest.raises(StartError, match="cannot write the log"):
        log_of(config(to=str(tmp_path)), FakeClock())


def test_off_writes_nothing(capfd):
    log = log_of(config(to="off"), FakeClock())
    log.events.info("config", message=json.dumps("hello"))
    log.close()
    assert capfd.readouterr().out == ""
