"""The guide to splitting: its rules are made of what there is, and split what they say."""

import re
from dataclasses import fields
from pathlib import Path

import pytest
import yaml

from proxy import plugins
from proxy.core.split_laws import check_cut
from proxy.core.types import Request, Response

GUIDE = (Path(plugins.__file__).parent / "docs" / "splitting.md").read_text("utf-8")
SHOWN = [yaml.safe_load(block)[0] for block in re.findall(r"```yaml\n(.*?)```", GUIDE, re.DOTALL)]
RULES = [rule for rule in SHOWN if "split" in rule]


def post(body):
    return Request("POST", b"/", ((b"content-length", b"%d" % len(body)),), body)


TRIED = {
    "products": (Request("GET", b"/api/products?ids=7,9"), b'{"took_ms":1,"items":[{"id":9},{"id":7}],"total":2}'),
    "rows": (Request("GET", b"/rows?tenant[]=b&tenant[]=a"), b'{"rows":[{"tenant":"b"},{"tenant":"b"}],"count":2}'),
    "questions": (post(b'{"questions":["x","y"]}'), b'{"answers":["X","Y"],"seconds":1.5}'),
    "rpc": (
        post(b'[{"jsonrpc":"2.0","id":1,"method":"getA"},{"jsonrpc":"2.0","id":2,"method":"listB"}]'),
        b'[{"id":2,"result":1},{"id":1,"result":2}]',
    ),
    "graphql": (post(b'{"query":"{a b}"}'), b'{"data":{"b":1,"a":2},"extensions":{}}'),
}  # fmt: skip


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["name"])
def test_a_rule_of_the_guide_splits_what_it_says(rule):
    splitter = plugins.load("split", rule["split"]["by"]).made
    merge = plugins.load("merge", rule["split"]["merge"]).made
    request, backwards = TRIED[rule["name"]]
    found = check_cut(splitter, request, [0], [1])
    answered = merge.slice(Response(200, (), backwards), found.parts[::-1])
    assert len(answered.shares) == 2


def rows(title):
    section = next(part for part in GUIDE.split("\n## ") if part.startswith(title))
    return re.findall(r"^\| `(\w+)` \|.*\|(.*) \|$", section, re.MULTILINE)


@pytest.mark.parametrize(("title", "kind"), [("Splitters", "split"), ("Merges", "merge")])
def test_the_guide_lists_every_word_with_its_options(title, kind):
    assert {word for word, _ in rows(title)} == set(plugins.catalogue(kind))
    for word, options in rows(title):
        found = plugins.find(kind, word)
        given = {one.name for one in fields(found) if one.init}
        assert given == {name for name in given if f"`{name}`" in options}, word
