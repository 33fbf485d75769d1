"""The tree of errors: drawn as it is, and each with the words that a client and the log are told."""

import re

import pytest

from proxy import errors
from proxy.core.reasons import Reason
from proxy.errors import ConfigError, Fallback, Finding, FrontrunnerError, Refusal, StartError, UpstreamError

CLASSES = {one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, Exception)}


def drawn() -> dict[str, str]:
    """Read the tree in the docstring: name → name of the parent."""
    tree, above = {}, ["", "", "", ""]
    for text in errors.__doc__.splitlines():
        if found := re.match(r"((?:[│ ]   )*)(?:[├└]── )?([A-Z][A-Za-z]+)(?:  |$)", text):
            depth = len(found[1]) // 4 + ("── " in text)
            above[depth] = found[2]
            tree[found[2]] = above[depth - 1] if depth else "Exception"
    return tree


def test_the_tree_in_the_docstring_is_the_tree():
    assert drawn() == {one.__name__: one.__base__.__name__ for one in CLASSES}


@pytest.mark.parametrize("one", sorted(CLASSES, key=lambda one: one.__name__))
def test_all_are_ours(one):
    assert issubclass(one, FrontrunnerError)


UPSTREAM = {
    "UpstreamError": (502, "upstream_error"),
    "UpstreamRefused": (502, "upstream_refused"),
    "UpstreamReset": (502, "upstream_reset"),
    "UpstreamInvalid": (502, "upstream_invalid"),
    "UpstreamTimeout": (504, "upstream_timeout"),
    "UpstreamBusy": (503, "queue_timeout"),
    "UpstreamCut": (502, "upstream_cut"),
}


@pytest.mark.parametrize("name", UPSTREAM)
def test_what_a_client_is_told_of_an_upstream(name):
    error = getattr(errors, name)("why")
    assert (error.status, error.reason, str(error)) == (*UPSTREAM[name], "why")
    assert Reason(error.reason)


def test_every_upstream_error_is_in_that_table():
    assert set(UPSTREAM) == {one.__name__ for one in CLASSES if issubclass(one, UpstreamError)}


def test_a_busy_upstream_says_when_to_come_again():
    busy = errors.UpstreamBusy("too many", Reason.QUEUE_FULL, 12.5)
    assert (busy.status, busy.reason, busy.retry_after_s, str(busy)) == (503, "queue_full", 12.5, "too many")
    assert errors.UpstreamBusy("too many").retry_after_s is None
    assert UpstreamError("why").retry_after_s is None


def test_a_fallback_carries_its_reason():
    assert Fallback(Reason.VARY).reason is Reason.VARY
    assert str(Fallback(Reason.VARY)) == "vary"


def test_a_refusal_carries_its_answer():
    refusal = Refusal(508, Reason.LOOP, "round and round")
    assert (refusal.status, refusal.reason, refusal.detail, str(refusal)) == (
        508, "loop", "round and round", "round and round",
    )  # fmt: skip


def test_a_start_error_says_why():
    assert str(StartError("the port is taken")) == "the port is taken"


FINDINGS = {
    "where, what was found, what is allowed": (
        Finding("c.yaml:3:5", "rules[0].ttl", "'soon'", "a duration"),
        "c.yaml:3:5: rules[0].ttl: found 'soon'; allowed: a duration",
    ),
    "the nearest match": (
        Finding("c.yaml:1:1", "upstraem", "an unknown key", "upstream", nearest="upstream"),
        "c.yaml:1:1: upstraem: found an unknown key; allowed: upstream; did you mean upstream?",
    ),
    "the whole file": (Finding("c.yaml", "", "nothing", "a mapping"), "c.yaml: found nothing; allowed: a mapping"),
}


@pytest.mark.parametrize(("finding", "text"), FINDINGS.values(), ids=FINDINGS)
def test_findings(finding, text):
    assert str(finding) == text


def test_a_config_error_tells_all_findings_a_line_each():
    findings = [finding for finding, _ in FINDINGS.values()]
    error = ConfigError(findings)
    assert error.findings == findings
    assert str(error) == "\n".join(text for _, text in FINDINGS.values())
