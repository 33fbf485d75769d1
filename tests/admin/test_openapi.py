"""The OpenAPI document says what is there, and each answer is as it says."""

import json
from typing import Any

import jsonschema
import pytest
from admin_desk import BEARER, PREFIX, Desk, Said
from fakes import FakeEngine, Held, answer, until
from openapi_spec_validator import validate
from shop import splitting_rule
from world import asked, rule

from proxy.admin.api import METHODS


@pytest.fixture
def desk() -> Desk:
    """Return a desk that has seen a bit of everything."""
    desk = Desk("query", "shop", rules=(splitting_rule("shop"),), show=("page",))
    desk.clock.advance(3 * 3600)
    desk.count("miss", 40.0, upstream_s=40.0, parts=3, arm="control", reason="no_ttl")
    desk.count("partial", 10.0, upstream_s=10.0, parts=3, parts_hit=1, merge_s=0.1, arm="candidate")
    desk.count("hit", 0.001, cost=40.0, age_s=3, ttl_s=40, key_hash="k", shown={"query_page": "3"})
    desk.count("passthrough", 1.0, would="hit", would_save_s=2.0, would_differ=True)
    desk.count("error", 1.0, rule=None, error_source="client")
    return desk


async def document(desk: Desk) -> Any:
    return await desk.numbers("openapi.json")


async def test_it_is_valid(desk: Desk) -> None:
    validate(await document(desk))


async def test_it_has_every_path_and_method(desk: Desk) -> None:
    paths = (await document(desk))["paths"]
    assert {path: set(told) - {"parameters"} for path, told in paths.items()} == {
        f"{PREFIX}/{path}": {method.lower() for method in methods - {"HEAD"}} for path, methods in METHODS.items()
    }
    assert all(told["summary"] for path in paths.values() for name, told in path.items() if name != "parameters")


async def test_what_is_open_needs_no_token(desk: Desk) -> None:
    found = await document(desk)
    assert found["security"] == [{"token": []}]
    opened = {
        path for path, told in found["paths"].items() if told["get" if "get" in told else "post"].get("security") == []
    }
    assert opened == {f"{PREFIX}/{path}" for path in ("livez", "readyz", "jobs/{id}")}


def strict(schema: Any) -> Any:
    """Return a schema by which an object has no members that it does not name."""
    if isinstance(schema, list):
        return [strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    told = {name: strict(one) for name, one in schema.items()}
    return told | {"additionalProperties": False} if "properties" in told and "required" in told else told


READ = {path: path.format(operation="query", type="query", rule="shop", id="none") for path in METHODS}
ANSWERED = [
    path
    for path, methods in METHODS.items()
    if "GET" in methods and path not in {"livez", "readyz", "metrics", "jobs/{id}", "openapi.json"}
]


@pytest.mark.parametrize("path", ANSWERED)
async def test_each_answer_is_as_it_says_and_no_member_is_left_out(desk: Desk, path: str) -> None:
    found = await document(desk)
    content = found["paths"][f"{PREFIX}/{path}"]["get"]["responses"]["200"]["content"]["application/json"]
    free = {"Rollout", "Rollouts", "Requests"}  # their members are told of elsewhere
    name = content["schema"]["$ref"].rpartition("/")[2]
    schemas = {known: one if known in free else strict(one) for known, one in found["components"]["schemas"].items()}
    schema = {**content["schema"], "components": {"schemas": schemas}}
    answer = await desk.numbers(READ[path])
    if name == "Rules":
        for rule in answer["rules"]:
            rule["rollout"] = {}
    jsonschema.validate(json.loads(json.dumps(answer)), schema)


def is_as_said(found: Any, path: str, said: Said, method: str = "GET") -> None:
    """Check status, media type and body of one answer: they are those that the document tells of."""
    responses = found["paths"][f"{PREFIX}/{path}"][method.lower()]["responses"]
    told = responses.get(str(said.status), responses["default"])
    if "content" not in told:
        assert (said.header("content-type"), said.body) == ("", b"")
        return
    media_type = said.header("content-type").partition(";")[0]
    form = told["content"].get(media_type) or told["content"]["*/*"]
    body = json.loads(said.body) if media_type.endswith("json") else said.body.decode()
    jsonschema.validate(body, {**form["schema"], "components": found["components"]})


@pytest.mark.parametrize("path", [path for path, methods in METHODS.items() if "GET" in methods])
async def test_each_answer_has_the_status_and_the_form_that_it_says(desk: Desk, path: str) -> None:
    said = await desk.ask(f"{PREFIX}/{READ[path]}")
    assert said is not None
    is_as_said(await document(desk), path, said)


async def test_metrics_come_in_the_form_that_is_asked_for(desk: Desk) -> None:
    found = await document(desk)
    forms = found["paths"][f"{PREFIX}/metrics"]["get"]["responses"]["200"]["content"]
    for form in forms:
        said = await desk.ask(f"{PREFIX}/metrics", {**BEARER, "accept": f"{form}; version=1.0.0"})
        assert said is not None
        assert said.header("content-type").partition(";")[0] == form
        is_as_said(found, "metrics", said)
    assert set(forms) == {"text/plain", "application/openmetrics-text"}


ANSWERS = {
    "JSON": answer(b'["any", "JSON"]', (b"content-type", b"application/json")),
    "a picture": answer(b"x", (b"content-type", b"image/png")),
    "of no type": answer(b"x", status=203),
    "the upstream's own problem": answer(b'{"odd": 1}', (b"content-type", b"application/problem+json"), status=409),
}


@pytest.mark.parametrize("its_own", ANSWERS.values(), ids=ANSWERS)
async def test_a_job_tells_json_then_its_own_answer_and_nothing_once_forgotten(its_own: Any) -> None:
    held = Held(its_own)
    desk = Desk(engine=FakeEngine(held), rules=(rule(),))
    made = await desk.world.ask(asked("/kept/a", (b"prefer", b"respond-async")))
    url, found = (made.header(b"location") or b"").decode(), await document(desk)

    async def said(method: str = "GET") -> Said:
        told = await desk.ask(url, {}, method=method)
        assert told is not None
        is_as_said(found, "jobs/{id}", told, method)
        return told

    running = await said()
    assert (running.status, running.header("content-type")) == (200, "application/json")
    jsonschema.validate(running.json(), strict(found["components"]["schemas"]["Job"]))
    held.go.set()
    await until(lambda: desk.world.ended)
    done = await said()
    assert (done.status, done.body) == (its_own.status, its_own.body)
    assert (await said("DELETE")).status == 204
    for method, responses in (("get", {"200", "default"}), ("delete", {"204", "default"})):
        assert set(found["paths"][f"{PREFIX}/jobs/{{id}}"][method]["responses"]) == responses
    assert [(await said(method)).status for method in ("GET", "DELETE")] == [404, 404]


async def test_a_problem_is_as_it_says(desk: Desk) -> None:
    found = await document(desk)
    said = await desk.ask(f"{PREFIX}/performance/nothing")
    assert said is not None
    schema = {"$ref": "#/components/schemas/Problem", "components": found["components"]}
    jsonschema.validate(said.json(), schema)
