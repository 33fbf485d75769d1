"""`frontrunner init` prints the files that other tools want; each is what its tool can read, and its paths are where one says."""

import configparser
import json
import re

import pytest
import yaml
from typer.testing import CliRunner

from proxy.cli import app
from proxy.cli.init import LOG, SHIPPED, shipped
from proxy.core.log_fields import ORDER


def run(*arguments):
    return CliRunner().invoke(app, ["init", *map(str, arguments)])


def test_what_is_listed_is_what_is_there():
    from importlib.resources import files

    there = {one.name for one in (files("proxy") / "ship").iterdir()}
    assert there == set(SHIPPED)
    result = run()
    assert (result.exit_code, [line.split()[0] for line in result.stdout.splitlines()]) == (0, sorted(SHIPPED))


@pytest.mark.parametrize("name", SHIPPED)
def test_a_file_is_printed_by_its_name_with_or_without_its_ending(name):
    result = run(name)
    assert (result.exit_code, result.stdout, result.stderr) == (0, shipped(name), "")
    assert run(name.partition(".")[0]).stdout == shipped(name)


@pytest.mark.parametrize("name", SHIPPED)
def test_its_paths_are_where_the_log_is(name):
    text = run(name, "--log", "/srv/logs/x.json").stdout
    assert "/var/log" not in text
    assert text.count("/srv/logs/") == shipped(name).count("/var/log/frontrunner/")
    assert text.count("/srv/logs/x.json") == shipped(name).count(LOG)


@pytest.mark.parametrize("log", ["", "x.log", "/a b", '/a"b', "/a\nb", "/a'b", "/a#b", "/", "/a/", "/ä"])
def test_a_path_that_a_config_could_take_for_something_else_is_refused(log):
    result = run("rsyslog", "--log", log)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "--log: found" in result.stderr


def test_all_are_written_to_a_folder(tmp_path):
    result = run("--to", tmp_path / "new")
    assert (result.exit_code, result.stdout.splitlines()) == (0, [str(tmp_path / "new" / name) for name in SHIPPED])
    assert {one.name: one.read_text() for one in (tmp_path / "new").iterdir()} == {
        name: shipped(name) for name in SHIPPED
    }


def test_one_is_written_and_nothing_is_overwritten(tmp_path):
    assert run("lnav", "--to", tmp_path).exit_code == 0
    assert [one.name for one in tmp_path.iterdir()] == ["lnav.json"]
    (tmp_path / "lnav.json").write_text("mine")
    result = run("lnav", "--to", tmp_path)
    assert (result.exit_code, result.stderr) == (2, f"frontrunner init: {tmp_path / 'lnav.json'} is there already\n")
    assert (tmp_path / "lnav.json").read_text() == "mine"


def test_a_folder_that_cannot_be_written_ends_with_2(tmp_path):
    (tmp_path / "file").touch()
    assert run("--to", tmp_path / "file" / "folder").exit_code == 2


def test_a_name_that_is_none_is_told_with_the_nearest():
    result = run("grafanna")
    assert result.exit_code == 2
    assert result.stderr.endswith("vector.yaml; did you mean grafana.json?\n")


def test_the_lnav_format_knows_every_field_of_the_log():
    (form,) = (one for name, one in json.loads(shipped("lnav.json")).items() if name == "frontrunner_log")
    assert set(ORDER) - set(form["value"]) - {"timestamp"} == set()
    assert form["hide-extra"] is False, (
        "what has no column (its name is a word of SQL: on, where, check) is shown as well"
    )
    for name, value in form["value"].items():
        kind = "float" if name.endswith("_s") or name == "sample_rate" else "integer" if "bytes" in name else None
        assert kind is None or value["kind"] == kind, name
    for sample in form["sample"]:
        assert set(json.loads(sample["line"])) <= set(form["value"]) | {"timestamp"}


@pytest.mark.parametrize("name", ["rsyslog.conf", "syslog-ng.conf", "vector.yaml", "logrotate"])
@pytest.mark.parametrize("log", ["/var/log/frontrunner/blue/access.log", "/srv/log", "/var/log/frontrunner/other.log"])
def test_a_log_below_the_usual_folder_was_looked_for_one_folder_too_deep(name, log):
    text, usual = shipped(name, log), shipped(name)
    assert text.count(log) >= usual.count(LOG) > 0
    assert "blue/blue" not in text
    assert LOG not in text.replace(log, "")


def test_vectors_inputs_are_there():
    told = yaml.safe_load(shipped("vector.yaml"))
    known = {*told["sources"], *told["transforms"]}
    for one in [*told["transforms"].values(), *told["sinks"].values()]:
        assert set(one["inputs"]) <= known
    assert told["sources"]["frontrunner"]["include"] == [LOG]


def test_prometheus_asks_where_the_metrics_are():
    from proxy.cli.running import DEFAULT_URL, PREFIX

    (job,) = yaml.safe_load(shipped("prometheus.yml"))["scrape_configs"]
    assert job["metrics_path"] == f"{PREFIX}/metrics"
    assert job["static_configs"][0]["targets"] == [DEFAULT_URL.removeprefix("http://")]


def test_logrotate_has_the_file_opened_anew():
    text = shipped("logrotate")
    assert re.search(rf"^{LOG} {{$", text, flags=re.MULTILINE)
    assert "--signal=SIGUSR1" in text
    assert text.count("{") == text.count("}") == 1


def test_goaccess_takes_the_fields_that_the_log_has():
    parser = configparser.ConfigParser(delimiters=(" ",), interpolation=None)
    parser.read_string("[all]\n" + shipped("goaccess.conf"))
    assert set(json.loads(parser["all"]["log-format"])) <= set(ORDER)


def test_each_panel_of_the_dashboard_has_a_place_and_asks_something():
    told = json.loads(shipped("grafana.json"))
    assert len({panel["id"] for panel in told["panels"]}) == len(told["panels"])
    places = {(at, down) for panel in told["panels"] for at in across(panel) for down in below(panel)}
    assert len(places) == sum(panel["gridPos"]["w"] * panel["gridPos"]["h"] for panel in told["panels"])
    assert max(at for at, _ in places) < 24
    for panel in told["panels"]:
        assert panel["targets"], panel["title"]
        assert panel["datasource"]["uid"] == "${datasource}"


def across(panel):
    return range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])


def below(panel):
    return range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
