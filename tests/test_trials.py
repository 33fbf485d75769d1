"""What is counted of a trial is counted once, whatever processes come and go, and only of what is configured now."""

import json
from dataclasses import asdict, replace

import orjson
import pytest
from boards import Board
from fakes import NOON, FakeClock
from hypothesis import given
from hypothesis import strategies as st
from shop import splitting_rule
from trusted import two_rule
from world import rule

from proxy.core.difference import Difference
from proxy.core.log_line import Draw, LogLine
from proxy.core.normalize.lower import Lower
from proxy.core.normalize.sort_params import SortParams
from proxy.core.rollout import FEATURES, NORMALIZE, SPLIT, Stage, Staging, Trust
from proxy.core.trial import CLEAN, MISMATCH, NOISY, NORMALIZATION, OVERLAP, PAIR, REASSEMBLY, Trial
from proxy.core.types import Outcome
from proxy.rollouts import Rollouts
from proxy.trials import MOST_MISMATCHES, Mismatch, Trials

AN_HOUR_S = 3600.0
OFF, SHADOW, CANARY, ON = Stage


class Process:
    """One process of a proxy."""

    def __init__(self, name="a", board=None, clock=None, *rules):
        self.clock, self.board = clock or FakeClock(), board
        self.rules = rules or (two_rule(), rule("plain", "/plain"))
        self.rollouts = Rollouts(self.rules, self.clock)
        self.trials = Trials(self.rules, self.rollouts, self.clock, name)

    def own(self, feature=SPLIT, name="kept"):
        return self.trials.own(name, feature)

    def all(self, feature=SPLIT, name="kept"):
        return self.trials.everybodys(name, feature)

    async def keep_up(self):
        await self.trials.keep_up(self.board)


def several(*names, rules=()):
    """Return processes with one board."""
    clock = FakeClock()
    board = Board(clock)
    return [Process(name, board, clock, *rules) for name in names]


async def told(*processes):
    """Let all tell, and then all know."""
    for _ in range(2):
        for one in processes:
            await one.keep_up()


def line(name="kept", **more):
    one = LogLine("id", "GET", "/", 0.0, rule=name, outcome=Outcome.MISS, **more)
    one.close(1.0)
    return one


# Who is counted.


def test_a_finished_request_is_counted_for_each_feature():
    here = Process()
    here.trials.count(line(draws={SPLIT: Draw("control", 5.0)}))
    assert (here.own().requests, here.own().eligible) == (1, 1)
    assert (here.own(NORMALIZE).requests, here.own(NORMALIZE).eligible) == (1, 0)


@pytest.mark.parametrize("name", ["plain", "another", None])
def test_others_are_not(name):
    here = Process()
    here.trials.count(line(name))
    assert [here.own(feature).requests for feature in FEATURES] == [0, 0]


def normalizing(stage, audit):
    trust = Trust(normalize=Staging(stage, audit=audit))
    return rule("kept", normalizers=(SortParams(),), trust=trust)


def set_off(rollouts):
    rollouts.set("kept", OFF, NORMALIZE)


def set_on(rollouts):
    rollouts.set("kept", ON, NORMALIZE)


# name → configured, audited, what is said; whether it is watched, whether its requests are counted
WATCHED = {
    "as ever": (ON, 0.0, None, False, False),
    "audited": (ON, 1.0, None, True, True),
    "in shadow": (SHADOW, 0.0, None, True, True),
    "set": (ON, 0.0, set_on, True, True),
    "off": (OFF, 0.0, None, True, False),
    "set off": (ON, 0.0, set_off, True, False),
}


@pytest.mark.parametrize(("stage", "audit", "say", "is_watched", "is_counted"), WATCHED.values(), ids=WATCHED)
def test_keys_that_are_as_ever_cost_nothing(stage, audit, say, is_watched, is_counted):
    here = Process("a", None, None, normalizing(stage, audit))
    if say is not None:
        say(here.rollouts)
    here.trials.count(line())
    assert here.trials.is_watched("kept", NORMALIZE) is is_watched
    assert (here.own(NORMALIZE).requests > 0) is is_counted
    assert not here.trials.is_watched("kept", SPLIT), "it has none"
    assert not here.trials.is_watched("another", NORMALIZE)


def test_a_split_is_watched_wherever_there_is_one():
    here = Process("a", None, None, splitting_rule("kept", stage=ON))
    assert here.trials.is_watched("kept", SPLIT)
    here.rollouts.set("kept", OFF)
    here.trials.count(line())
    assert here.own().requests == 0


@pytest.mark.parametrize(
    ("check", "counts"), [(PAIR, True), (NORMALIZATION, True), (REASSEMBLY, False), (OVERLAP, False)]
)
def test_it_takes_sixty_comparisons_that_cost_a_call_to_be_trusted(check, counts):
    here = Process()
    for _ in range(59):
        here.own().judged(check, CLEAN)
    here.own().judged(check, NOISY)
    here.own().judged(check, MISMATCH)
    assert not here.trials.is_trusted("kept", SPLIT)
    here.own().judged(check, CLEAN)
    assert here.trials.is_trusted("kept", SPLIT) is counts
    assert not here.trials.is_trusted("kept", NORMALIZE)


def test_what_was_found_is_told_in_short():
    here = Process()
    for check, verdict in ((REASSEMBLY, CLEAN), (REASSEMBLY, CLEAN), (REASSEMBLY, MISMATCH), (PAIR, CLEAN)):
        here.own().judged(check, verdict)
    here.own().not_cut["frame"], here.own().exposed = 3, 1
    checks = {REASSEMBLY: {CLEAN: 2, MISMATCH: 1}, PAIR: {CLEAN: 1}}
    assert here.trials.told("kept", SPLIT) == {
        "equal": 2, "different": 1, "not_cut": {"frame": 3}, "checks": checks, "exposed": 1,
    }  # fmt: skip
    assert here.trials.told("kept", NORMALIZE) == {"checks": {}, "exposed": 0}


# Evidence of something else is none.


def test_evidence_from_before_a_demotion_is_none_once_an_operator_has_seen_to_it():
    """Until then it is told: why it was demoted."""
    here = Process()
    here.own().judged(PAIR, MISMATCH)
    here.rollouts.demote("kept")
    assert here.all().verdicts(MISMATCH) == 1
    here.rollouts.set("kept", CANARY)
    assert (here.all().verdicts(MISMATCH), here.all().since) == (0, NOON)
    here.own().judged(PAIR, CLEAN)
    here.rollouts.demote("kept", NORMALIZE)
    here.rollouts.set("kept", CANARY, NORMALIZE)
    assert here.all().verdicts(CLEAN) == 1, "that was the other feature"


def changed(one, **more):
    return replace(one, **more)


SAME = two_rule()
CONFIGS = {
    "the same": (two_rule(), True, True),
    "another stage": (two_rule(ON, None), True, True),
    "another normalizer": (changed(SAME, normalizers=(SortParams(), Lower(("q",)))), True, False),
    "another merge": (changed(SAME, splitting=replace(SAME.splitting, merge=replace(SAME.splitting.merge, missing="fail"))), False, True),
}  # fmt: skip


@pytest.mark.parametrize(("other", "split", "normalize"), CONFIGS.values(), ids=CONFIGS)
async def test_evidence_of_another_configuration_is_none(other, split, normalize):
    clock = FakeClock()
    board = Board(clock)
    before, after = Process("a", board, clock, SAME), Process("b", board, clock, other)
    for feature in FEATURES:
        before.own(feature).judged(PAIR, CLEAN)
    await told(before, after)
    assert [after.all(feature).verdicts(CLEAN) for feature in FEATURES] == [split, normalize]


# Of several processes.


async def test_all_know_what_each_has_counted():
    one, two, three = several("a", "b", "c")
    for number, process in enumerate((one, two, three), 1):
        process.own().requests = number
        process.own().judged(PAIR, CLEAN)
    await told(one, two, three)
    assert [process.all().requests for process in (one, two, three)] == [6, 6, 6]
    assert [process.own().requests for process in (one, two, three)] == [1, 2, 3]
    one.own().requests += 1
    await told(one, two, three)
    assert [process.all().requests for process in (one, two, three)] == [7, 7, 7]
    assert [process.trials.clean_pairs("kept", SPLIT) for process in (one, two, three)] == [3, 3, 3]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["count", "tell"])), max_size=30))
async def test_nothing_is_counted_twice_however_often_it_is_told(steps):
    processes = dict(zip("abc", several("a", "b", "c"), strict=True))
    counted = 0
    for name, act in steps:
        if act == "tell":
            await processes[name].keep_up()
        else:
            processes[name].own().requests += 1
            counted += 1
        assert all(one.all().requests <= counted for one in processes.values())
    await told(*processes.values())
    assert {one.all().requests for one in processes.values()} == {counted}


async def test_what_has_not_changed_is_not_written_again():
    (one,) = several("a")
    one.own().requests = 1
    await told(one)
    written = one.board.written
    await told(one)
    assert one.board.written == written
    one.own().requests = 2
    await one.keep_up()
    assert one.board.written == written + 1


async def test_now_and_then_it_says_that_it_is_there():
    (one,) = several("a")
    one.own()
    await one.keep_up()
    for minutes, times in ((9, 0), (1, 1), (9, 0), (1, 1)):
        written = one.board.written
        one.clock.advance(minutes * 60.0)
        await one.keep_up()
        assert one.board.written == written + times
        assert json.loads(one.board.pinned["trial a"])["at"] >= one.clock.wall() - 600


async def test_who_has_nothing_to_tell_says_nothing():
    (one,) = several("a")
    await told(one)
    (other,) = several("b", rules=(rule("plain"),))
    await told(other)
    assert (one.board.written, other.board.written) == (0, 0)


async def test_a_board_that_fails_is_told_on_again_later():
    (one,) = several("a")
    one.own().requests = 1
    one.board.fails = True
    with pytest.raises(ConnectionError):
        await one.keep_up()
    one.board.fails = False
    await one.keep_up()
    assert "trial a" in one.board.pinned


# Processes come and go.


async def test_what_a_process_counted_that_is_gone_is_not_lost():
    gone, *_ = several("a")
    gone.own().requests = 5
    gone.own().judged(PAIR, CLEAN)
    await gone.keep_up()
    gone.clock.advance(AN_HOUR_S + 1)
    late = Process("b", gone.board, gone.clock)
    late.own().requests = 1
    await late.keep_up()
    assert (late.own().requests, late.all().requests, late.all().since) == (6, 6, NOON)
    assert list(gone.board.pinned) == ["trial b"], "notes do not pile up"
    another = Process("c", gone.board, gone.clock)
    await told(another, late)
    assert {one.all().requests for one in (late, another)} == {6}


async def test_one_that_is_still_there_is_left_its_own():
    one, two = several("a", "b")
    one.own().requests = 5
    await one.keep_up()
    one.clock.advance(AN_HOUR_S - 1)
    await two.keep_up()
    assert (two.own().requests, two.all().requests) == (0, 5)
    assert "trial a" in one.board.pinned


async def test_of_several_that_start_at_once_one_takes_it_on():
    gone, *_ = several("a")
    gone.own().requests = 5
    await gone.keep_up()
    gone.clock.advance(AN_HOUR_S + 1)
    one, two = (Process(name, gone.board, gone.clock) for name in "bc")
    await told(one, two)
    assert sorted(process.own().requests for process in (one, two)) == [0, 5]
    assert [process.all().requests for process in (one, two)] == [5, 5]
    assert [process.all().since for process in (one, two)] == [NOON, NOON]


async def test_what_another_takes_on_just_now_is_left_to_it():
    gone, *_ = several("a")
    gone.own().requests = 5
    await gone.keep_up()
    gone.clock.advance(AN_HOUR_S + 1)
    await gone.board.lease(b"adopts trials".ljust(20, b"."), "b", 60.0)
    late = Process("c", gone.board, gone.clock)
    await told(late)
    assert (late.own().requests, late.all().requests, list(gone.board.pinned)) == (0, 5, ["trial a"])


async def test_who_runs_already_takes_nothing_on():
    """Another may sleep for an hour, and wake up."""
    one, two = several("a", "b")
    two.own()
    await told(one, two)
    one.own().requests = 5
    await one.keep_up()
    one.clock.advance(AN_HOUR_S + 1)
    await two.keep_up()
    assert (two.own().requests, two.all().requests) == (0, 5)


async def test_what_is_of_a_rule_that_is_gone_is_kept_for_its_return():
    """A config may be rolled back."""
    (one,) = several("a")
    one.own().requests = 5
    await one.keep_up()
    one.clock.advance(AN_HOUR_S + 1)
    without = Process("b", one.board, one.clock, two_rule(name="spare"))
    await without.keep_up()
    one.clock.advance(AN_HOUR_S + 1)
    again = Process("c", one.board, one.clock)
    await again.keep_up()
    assert again.all().requests == 5


A_MONTH_S = 30 * 86_400.0
# name → whether its rule is configured, how long ago it was counted, the requests of each trial that is kept
OLD = {
    "of what is configured, however old": (True, 3 * A_MONTH_S, [5]),
    "of what is not, for a month": (False, A_MONTH_S, [0, 5]),
    "and no longer": (False, A_MONTH_S + 1, [0]),
}


@pytest.mark.parametrize(("is_configured", "ago_s", "requests"), OLD.values(), ids=OLD)
async def test_evidence_that_nobody_has_use_for_is_forgotten(is_configured, ago_s, requests):
    (gone,) = several("a")
    gone.own().requests = 5
    await gone.keep_up()
    gone.clock.advance(ago_s)
    late = Process("b", gone.board, gone.clock, *(() if is_configured else (two_rule(name="spare"),)))
    late.own(name=late.rules[0].name)
    await late.keep_up()
    assert list(gone.board.pinned) == ["trial b"]
    kept = json.loads(gone.board.pinned["trial b"])["trials"]
    assert sorted(one["requests"] for one in kept.values()) == requests


def note(**trials):
    return orjson.dumps({"at": NOON, "trials": trials})


def at(**members):
    """Return a trial as another release may write it, at the name that this one has."""
    here = Process()
    return {here.trials._id("kept", SPLIT): {**Trial(requests=7).written(), **members}}


STRANGE = {
    "no JSON": b"\xff",
    "nothing": b"",
    "no mapping": b"[1]",
    "no trials": b'{"at": 1.0}',
    "trials in a row": b'{"trials": [1]}',
    "no trial": note(**dict.fromkeys(at(), 3)),
    "another member": note(**at(another=1)),
    "a text for a number": note(**at(requests="many")),
    "arms in a row": note(**at(arms=[])),
}


@pytest.mark.parametrize("strange", STRANGE.values(), ids=STRANGE)
async def test_what_another_release_wrote_otherwise_is_left_out(strange):
    (one,) = several("a")
    one.own().requests = 1
    one.board.pinned |= {"trial z": strange, "mismatches z": strange, "trial y": note(**at())}
    await told(one)
    assert one.all().requests == 8
    assert one.trials.last_mismatches("kept", SPLIT) == []


# The last mismatches.


def mismatch(number, feature=SPLIT, name="kept"):
    difference = Difference(f"$.items[{number}].price", "number", "number, 1 digit", "number, 2 digits")
    return Mismatch.of(difference, name, feature, PAIR, MISMATCH, f"id{number}", NOON + number)


def paths(process, feature=SPLIT):
    return [one["path"] for one in process.trials.last_mismatches("kept", feature)]


def test_a_mismatch_is_told_without_a_value():
    here = Process()
    here.trials.note(mismatch(3))
    assert here.trials.last_mismatches("kept", SPLIT) == [
        {
            "at": NOON + 3, "rule": "kept", "feature": "split", "check": "pair", "verdict": "mismatch",
            "request_id": "id3", "path": "$.items[3].price", "kind": "number", "control": "number, 1 digit",
            "candidate": "number, 2 digits",
        }
    ]  # fmt: skip
    assert here.trials.last_mismatches("kept", NORMALIZE) == here.trials.last_mismatches("another", SPLIT) == []


def test_the_last_ones_are_kept_the_newest_first():
    here = Process()
    for number in range(MOST_MISMATCHES + 5):
        here.trials.note(mismatch(number))
    told = paths(here)
    assert (len(told), told[0], told[-1]) == (MOST_MISMATCHES, "$.items[204].price", "$.items[5].price")


async def test_mismatches_of_all_processes_are_told_by_each():
    one, two = several("a", "b")
    for number, process in ((1, one), (2, two), (3, one)):
        process.trials.note(mismatch(number))
    two.trials.note(mismatch(9, NORMALIZE))
    await told(one, two)
    for process in (one, two):
        assert paths(process) == ["$.items[3].price", "$.items[2].price", "$.items[1].price"]
        assert paths(process, NORMALIZE) == ["$.items[9].price"]


async def test_all_together_are_no_more():
    one, two = several("a", "b")
    for number in range(MOST_MISMATCHES):
        one.trials.note(mismatch(2 * number))
        two.trials.note(mismatch(2 * number + 1))
    await told(one, two)
    assert (len(paths(one)), paths(one)[:2]) == (MOST_MISMATCHES, ["$.items[399].price", "$.items[398].price"])


async def test_a_mismatch_that_another_release_wrote_otherwise_is_left_out():
    (one,) = several("a")
    one.board.pinned["mismatches z"] = orjson.dumps([asdict(mismatch(1)), {**asdict(mismatch(2)), "more": 1}, 3])
    await told(one)
    assert paths(one) == ["$.items[1].price"]


# The report.


async def test_a_report_is_of_all_processes_and_of_what_was_last_found():
    one, two = several("a", "b")
    two.own().judged(PAIR, MISMATCH)
    two.trials.note(mismatch(1))
    await told(one, two)
    found = await one.trials.report("kept", SPLIT)
    assert (found["rule"], found["feature"], found["status"]["mode"]) == ("kept", SPLIT, "canary")
    assert found["mismatches"] == two.trials.last_mismatches("kept", SPLIT)
    orjson.dumps(found)


def climbed(rollouts):
    rollouts.climb("kept", SPLIT, 5.0)


# name → configured, what is said; the gates' time, where a canary has gates to pass
GATES = {
    "a canary that climbs": (CANARY, None, climbed, 10.0),
    "since it was first counted, where it has not climbed": (CANARY, None, None, 30.0),
    "one whose share somebody says": (CANARY, 5.0, None, None),
    "what is in shadow": (SHADOW, None, None, None),
    "what is on": (ON, None, None, None),
}


@pytest.mark.parametrize(("stage", "percent", "say", "seconds"), GATES.values(), ids=GATES)
async def test_a_report_tells_of_gates_where_there_are_any(stage, percent, say, seconds):
    here = Process("a", None, None, two_rule(stage, percent))
    here.own().judged(PAIR, CLEAN)
    here.clock.advance(20)
    if say is not None:
        say(here.rollouts)
    here.clock.advance(10)
    found = await here.trials.report("kept", SPLIT)
    assert (found["status"]["mode"], found["mismatches"]) == (stage, [])
    times = [one["value"] for one in found.get("gates", {}).get("measured", ()) if one["gate"] == "time"]
    assert times == ([] if seconds is None else [seconds])


async def test_a_report_asks_the_others_first():
    one, two = several("a", "b")
    await told(one, two)
    two.trials.note(mismatch(1))
    await two.keep_up()
    assert paths(one) == []
    await one.trials.report("kept", SPLIT)
    assert paths(one) == ["$.items[1].price"]


async def test_a_board_that_was_slow_or_gone_cost_the_whole_report():
    (one,) = several("a")
    await told(one)
    one.board.fails = True
    assert (await one.trials.report("kept", SPLIT))["rule"] == "kept"
