"""The rules of a config, as the core has them."""

from proxy.config import from_mapping
from proxy.rules_of import rules_of

WHOLE = {
    "name": "search", "match": {"method": "POST", "path": "/search/*", "host": "A.test"}, "safe": True, "query": "offer",
    "key": ["json"], "ttl": {200: "1h"}, "grace": {"refresh": "1m", "error": "2m"}, "override": ["private"],
    "ignore_client": ["no-cache"], "cookies": "ignore", "private_by": ["Authorization"], "max_object": "1MiB",
    "max_key_body": "1KiB",
}  # fmt: skip


def test_each_option_reaches_its_rule():
    rules, scopes = rules_of(from_mapping({"upstream": "http://a", "rules": [WHOLE]}, {}), b"s")
    rule, last = rules
    assert (rule.name, rule.methods, rule.safe, rule.offers_query) == ("search", {"POST"}, True, True)
    assert (rule.ttl, rule.refresh, rule.error) == ({200: 3600.0}, 60.0, 120.0)
    assert (rule.override, rule.ignore_client, rule.cookies) == ({"private"}, {"no-cache"}, "ignore")
    assert (rule.private_by, rule.max_object, rule.max_key_body) == ((b"authorization",), 2**20, 2**10)
    assert rule.path.fullmatch(b"/search/a")
    assert rule.host.fullmatch(b"a.test")
    assert [type(one).__name__ for one in rule.normalizers] == ["Json"]
    assert last.ours
    assert set(scopes) == {"search", "default"}


def test_aliases_stand_for_the_rules_own_path():
    aliased = {"name": "a", "match": {"path": "/a"}, "aliases": {"/b": "candidate", "/c": "control"}}
    (rule, _), _ = rules_of(from_mapping({"upstream": "http://a", "rules": [aliased]}, {}), b"s")
    assert (rule.own_path, rule.aliases) == (b"/a", {b"/b": "candidate", b"/c": "control"})


def test_without_a_default_there_is_no_last_rule():
    rules, scopes = rules_of(from_mapping({"upstream": "http://a", "default": "passthrough"}, {}), b"s")
    assert (rules, scopes) == ((), {})


def test_nothing_is_kept_that_is_larger_than_the_store():
    (rule, _), _ = rules_of(
        from_mapping({"upstream": "http://a", "store": {"memory": "1KiB"}, "rules": [WHOLE]}, {}), b"s"
    )
    assert rule.max_object == 1024
