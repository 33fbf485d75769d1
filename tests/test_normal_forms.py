"""Keys are normal as far as that is rolled out: else each spelling has one of its own."""

from dataclasses import replace

import pytest
from fakes import NOON, FakeClock
from hypothesis import given
from hypothesis import strategies as st
from trusted import asks, two_rule
from world import rule

from proxy.core.key import Scope
from proxy.core.log_line import Draw
from proxy.core.normalize.json import Json
from proxy.core.normalize.sort_params import SortParams
from proxy.core.rollout import NORMALIZE, SPLIT, Stage, Staging, Trust
from proxy.errors import Fallback
from proxy.normal_forms import RAW, NormalForms
from proxy.rollouts import ALL, Rollouts

ONE, OTHER = "/kept/a?x=1&y=2", "/kept/a?y=2&x=1"
OFF, SHADOW, CANARY, ON = Stage


class Made:
    """One process: its rollouts, and the forms that it makes."""

    def __init__(self, one=None, clock=None):
        self.rule = one or two_rule(ON)
        clock = clock or FakeClock()
        self.rollouts = Rollouts((self.rule,), clock)
        scopes = {self.rule.name: Scope.of("test", "http://up.test", self.rule, b"secret")}
        self._forms = NormalForms(scopes, self.rollouts, clock)

    async def form(self, target=ONE, *fields, is_raw=False, **more):
        """Return the form of a request, and the arm that it was drawn for."""
        asked = replace(asks(self.rule, target, *fields, **more), is_raw=is_raw)
        form = await self._forms(asked)
        return form, (asked.line.draws or {}).get(NORMALIZE)

    async def frame(self, target=ONE, *fields, draw=None, **more):
        """Return the form of a request without its parts, and the draw that its line tells."""
        asked = asks(self.rule, target, *fields, **more)
        if draw is not None:
            asked.line.drew(NORMALIZE, draw)
        form = await self._forms.of_frame(asked)
        return form, (asked.line.draws or {}).get(NORMALIZE)


def rolled(stage=ON, percent=None, *acts):
    made = Made(two_rule(stage, percent))
    for act in acts:
        act(made.rollouts)
    return made


def demoted(rollouts):
    rollouts.demote("kept", NORMALIZE)


def held(rollouts):
    rollouts.hold("kept", NORMALIZE, NOON + 60)


def ended(rollouts):
    rollouts.hold("kept", NORMALIZE, NOON)


def stopped(rollouts):
    rollouts.set(ALL, OFF, NORMALIZE)


def on(rollouts):
    rollouts.set("kept", ON, NORMALIZE)


def split_off(rollouts):
    rollouts.set("kept", OFF, SPLIT)


CONTROL, CANDIDATE = "control", "candidate"
# name → what is configured and said, whether two spellings have one key, and the draw
ROLLED = {
    "on, as ever: nobody draws": (rolled(), True, None),
    "so too where only the split is off": (rolled(ON, None, split_off), True, None),
    "on again": (rolled(ON, None, on), True, Draw(CANDIDATE, 100.0)),
    "held once, that is over": (rolled(ON, None, ended), True, Draw(CANDIDATE, 100.0)),
    "off": (rolled(OFF), False, Draw(CONTROL, None, "off")),
    "stopped for all": (rolled(ON, None, stopped), False, Draw(CONTROL, None, "off")),
    "in shadow": (rolled(SHADOW), False, Draw(CONTROL, None, "shadow")),
    "held": (rolled(ON, None, held), False, Draw(CONTROL, None, "held")),
    "demoted": (rolled(ON, None, demoted), False, Draw(CONTROL, None, "demoted")),
    "a canary for all": (rolled(CANARY, 100.0), True, Draw(CANDIDATE, 100.0)),
    "a canary for nobody": (rolled(CANARY, 0.0), False, Draw(CONTROL, None, "canary")),
}


@pytest.mark.parametrize(("made", "is_one", "draw"), ROLLED.values(), ids=ROLLED)
async def test_two_spellings_have_one_key_as_far_as_that_is_rolled_out(made, is_one, draw):
    (one, drew), (other, _) = await made.form(ONE), await made.form(OTHER)
    assert (one.key == other.key, drew) == (is_one, draw)
    assert one.bare == other.bare, "all spellings are purged by one"


async def test_without_normalizers_nothing_is_drawn():
    made = Made(rule(trust=Trust(normalize=Staging(OFF))))
    (one, draw), (other, _) = await made.form(ONE), await made.form(OTHER)
    assert (one.key == other.key, draw) == (False, None)
    assert one.key == one.bare


async def test_no_key_of_a_spelling_is_that_of_a_normal_form():
    """Else an answer to one spelling would be served to all of them, whatever the stage says."""
    normal, _ = await rolled().form(ONE)
    for stage in (OFF, SHADOW):
        raw, _ = await rolled(stage).form(ONE)
        assert raw.key != normal.key
        assert raw.bare == normal.bare


async def test_so_too_where_the_normal_form_is_what_came():
    normal, raw = [
        (await Made(rule(normalizers=(Json(),), trust=Trust(normalize=Staging(stage)))).form("/kept/a"))[0]
        for stage in (ON, OFF)
    ]
    assert normal.query.params is raw.query.params is None
    assert raw.key != normal.key


async def test_one_that_is_asked_as_it_came_has_a_key_of_its_own():
    made = rolled(CANARY, 100.0)
    (normal, _), (raw, draw), (other, _) = (
        await made.form(ONE),
        await made.form(ONE, is_raw=True),
        await made.form(OTHER, is_raw=True),
    )
    assert len({normal.key, raw.key, other.key}) == 3
    assert draw == Draw(CANDIDATE, 100.0, RAW)


async def test_what_was_kept_before_a_demotion_is_not_found_after_it():
    made, keys = rolled(), []
    for act in (None, demoted, on, demoted, on):
        if act is not None:
            act(made.rollouts)
        if act is not demoted:
            keys.append((await made.form(ONE))[0].key)
    assert len(set(keys)) == 3
    late = Made(made.rule)
    for message in made.rollouts.told().values():
        late.rollouts.follow(message)
    assert (await late.form(OTHER))[0].key == keys[-1], "each process finds what the others kept"


@given(st.integers(), st.sampled_from([1.0, 25.0, 50.0, 99.0]))
async def test_all_spellings_of_one_question_are_in_one_arm(number, percent):
    made = rolled(CANARY, percent)
    (one, draw), (other, same) = await made.form(f"/kept/a?x={number}&y=2"), await made.form(f"/kept/a?y=2&x={number}")
    assert draw == same
    assert (one.key == other.key) is (draw.arm == CANDIDATE)


async def test_in_so_many_questions_as_is_configured():
    made = rolled(CANARY, 25.0)
    arms = [(await made.form(f"/kept/a?x={number}"))[1].arm for number in range(4_000)]
    assert 890 <= arms.count(CANDIDATE) <= 1_110


async def test_all_that_one_user_asks_is_in_one_arm():
    made = Made(two_rule(CANARY, 50.0, sticky=b"x-user"))
    arms = {
        user: {(await made.form(f"/kept/a?x={number}", (b"x-user", b"%d" % user)))[1].arm for number in range(10)}
        for user in range(20)
    }
    assert all(len(one) == 1 for one in arms.values())
    assert set.union(*arms.values()) == {CONTROL, CANDIDATE}


@pytest.mark.parametrize("stage", [OFF, ON])
async def test_whose_it_is_stays_in_the_key_and_out_of_what_it_is_purged_by(stage):
    made = Made(replace(two_rule(stage, None), private_by=(b"authorization",)))
    forms = [(await made.form(ONE, (b"authorization", user)))[0] for user in (b"Basic anna", b"Basic ben")]
    assert forms[0].key != forms[1].key
    assert forms[0].bare == forms[1].bare != forms[0].key


async def test_where_there_is_no_certain_normal_form_there_is_no_key():
    """Not even as it came: nobody could purge it."""
    trust = Trust(normalize=Staging(SHADOW))
    made = Made(rule(normalizers=(Json(),), safe=True, methods=frozenset({"POST"}), trust=trust))
    with pytest.raises(Fallback):
        await made.form("/kept/a", (b"content-type", b"application/json"), body=b"{")


async def test_a_normalizer_is_applied_once_where_it_is_rolled_out():
    form, _ = await Made(rule(normalizers=(SortParams(),))).form(OTHER)
    assert form.query.params == ((b"x", b"1"), (b"y", b"2"))
    raw, _ = await rolled(OFF).form(OTHER)
    assert (raw.query.params, raw.query.query) == (None, b"y=2&x=1")


# Of a request without its parts.


def proven(rollouts):
    rollouts.has_evidence = lambda *_: True


SPELLED, NORMAL = False, True
# name → what is configured and said, the draw of the whole request; whether two spellings of a frame have one key
FRAMES = {
    "on, as ever": (rolled(), None, NORMAL),
    "on again": (rolled(ON, None, on), None, NORMAL),
    "a canary whose answers are yet to be compared": (rolled(CANARY, 100.0), None, SPELLED),
    "one that is proven": (rolled(CANARY, 100.0, proven), None, NORMAL),
    "in shadow": (rolled(SHADOW), None, SPELLED),
    "in shadow, though it is proven": (rolled(SHADOW, None, proven), None, SPELLED),
    "demoted": (rolled(ON, None, demoted), None, SPELLED),
    "of a request that was drawn so": (rolled(CANARY, 0.01, proven), Draw(CANDIDATE, 100.0), NORMAL),
    "drawn so, not proven": (rolled(CANARY, 0.01), Draw(CANDIDATE, 100.0), SPELLED),
    "drawn otherwise": (rolled(CANARY, 100.0, proven), Draw(CONTROL, 5.0), SPELLED),
    "of one that got another arm's answer": (rolled(CANARY, 100.0, proven), Draw(CANDIDATE, 100.0, RAW), SPELLED),
}


@pytest.mark.parametrize(("made", "draw", "is_one"), FRAMES.values(), ids=FRAMES)
async def test_a_frame_is_in_the_arm_of_its_request_if_that_may_be_trusted(made, draw, is_one):
    """Of parts nobody knows which spelling they came by: none is served before it is compared."""
    (one, told), (other, _) = await made.frame(ONE, draw=draw), await made.frame(OTHER, draw=draw)
    assert (one.key == other.key, told) == (is_one, draw)
    assert one.bare == other.bare


@pytest.mark.parametrize("stage", [OFF, ON])
async def test_it_has_the_keys_of_that_arm(stage):
    made = rolled(stage)
    (whole, _), (frame, _) = await made.form(ONE), await made.frame(ONE)
    assert frame == whole


async def test_what_is_kept_of_frames_before_a_demotion_is_not_found_after_it():
    made = rolled(ON, None, proven)
    before, _ = await made.frame()
    demoted(made.rollouts)
    on(made.rollouts)
    after, _ = await made.frame()
    assert after.key != before.key
    assert after.key == (await made.form())[0].key


async def test_a_frame_is_whose_it_is():
    made = Made(replace(two_rule(ON, None), private_by=(b"authorization",)))
    forms = [(await made.frame(ONE, (b"authorization", user)))[0] for user in (b"Basic anna", b"Basic ben")]
    assert forms[0].key != forms[1].key
    assert forms[0].bare == forms[1].bare != forms[0].key
