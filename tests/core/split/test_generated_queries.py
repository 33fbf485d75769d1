"""Thousands of GraphQL queries, answered by graphql-core: what is put together is what it would have said, to the byte."""

import json
from random import Random

from composites import COMPOSITES, STYLES, Members, Raw, Road, json_response, quoted, travel
from graphql import build_schema, graphql_sync

from proxy.core.merge.graphql import Graphql
from proxy.core.split.graphql_roots import GraphqlRoots
from proxy.core.types import Request

SCHEMA = build_schema(
    """
    scalar Odd
    type Thing { id: ID! name: String size(unit: Unit = BYTES, times: Int): Odd parts(first: Int): [Thing!] next: Thing }
    enum Unit { BYTES MIB }
    input Where { id: ID, sizes: [Int!] }
    type Query { thing(id: ID, where: Where): Thing things(ids: [ID!]!): [Thing] me: Thing! version: Odd }
    """
)
ODD = ["18446744073709551616", "1.10", "1e5", '"\\u00e9, b"', "-0.0", "null"]


class Thing:
    """What the service knows by one id; every third is unknown."""

    def __init__(self, name):
        self.id = name
        self.name = f"{name}, né"

    def size(self, _info, unit, times=1):
        return Raw(ODD[(len(self.id) + unit.count("B") + (times or 0)) % len(ODD)])

    def parts(self, _info, first=2):
        return [Thing(f"{self.id}{number}") for number in range(first or 0)]

    def next(self, _info):
        return thing(f"{self.id}+")


def thing(name):
    return None if name is None or len(name) % 3 == 0 else Thing(name)


ROOT = {
    "thing": lambda _info, where=None, **by: thing(by.get("id") or (where or {}).get("id")),
    "things": lambda _info, ids: [thing(one) for one in ids],
    "me": lambda _info: Thing("me"),
    "version": lambda _info: Raw("1.10"),
}


def tree(value):
    """Return an answer as what a Style writes."""
    match value:
        case dict():
            return Members([(name, tree(inner)) for name, inner in value.items()])
        case list():
            return [tree(inner) for inner in value]
        case Raw():
            return value
        case str():
            return quoted(value)
    return Raw(json.dumps(value))


def service(request):
    asked = json.loads(request.body)
    assert request.header(b"content-length") == b"%d" % len(request.body)
    found = graphql_sync(
        SCHEMA, asked["query"], ROOT, variable_values=asked.get("variables"), operation_name=asked.get("operationName")
    )
    assert not found.errors, (asked, found.errors)
    return json_response(STYLES[request.path[1:].decode()].write(tree(found.formatted)))


INNER = [
    "{ id }",
    "{ name id m: size(unit: MIB) }",
    "{ ...F }",
    "{ id parts(first: $n) { ...F } }",
    "{ next { ...G } t: size(times: $n) }",
    "{ ... on Thing @skip(if: $no) { name } id }",
]
FIELDS = [
    "me", 'thing(id: "NAME")', 'thing(where: {id: "NAME", sizes: [1, 2]})', "thing(id: $id)", 'things(ids: ["NAME", "b"])',
    "thing(where: $where) @include(if: $yes)", "me @skip(if: $yes)",
]  # fmt: skip
DEFINED = {"n": "Int = 1", "no": "Boolean!", "id": "ID", "where": "Where", "yes": "Boolean!"}
FRAGMENTS = {"F": "fragment F on Thing { name s: size ...G }", "G": "fragment G on Thing { id u: size(times: $n) }"}


def query(dice):
    fields = []
    for _ in range(dice.randrange(1, 9)):
        kind, name, inner = dice.randrange(len(FIELDS)), "abcd"[: dice.randrange(1, 5)], dice.randrange(len(INNER))
        alias = f"f{kind}{name}{dice.choice(['', inner])}"  # one name for several selections: GraphQL merges them
        fields.append(f"{alias}: {FIELDS[kind].replace('NAME', name)} {INNER[inner]}")
    if dice.random() < 0.4:
        fields.insert(
            dice.randrange(len(fields) + 1), dice.choice(["version", "__typename", "v: version @skip(if: $no)"])
        )
    dice.shuffle(fields)
    text = dice.choice([" ", "\n  ", ", # {\n"]).join(fields)
    fragments = [said for name, said in FRAGMENTS.items() if "...F" in text or (name == "G" and "...G" in text)]
    whole = text + "".join(fragments)
    used = [name for name in DEFINED if any(f"${name}{end}" in whole for end in ") ")]
    head = f"query Q({', '.join([f'${name}: {DEFINED[name]}' for name in used])})" if used else "query Q"
    values = {
        "n": dice.choice([1, 2]),
        "no": dice.random() < 0.5,
        "id": dice.choice(["ab", "x"]),
        "where": {"id": "abcd"},
        "yes": dice.random() < 0.5,
    }
    given = {name: values[name] for name in used if name not in {"n", "id"} or dice.random() < 0.8}
    return "\n".join([f"{head} {{ {text} }}", *fragments]), given


def requests(dice, count=COMPOSITES):
    for _ in range(count):
        document, variables = query(dice)
        body = json.dumps(
            {"operationName": "Q", "variables": variables, "query": document}, indent=dice.choice([None, 1])
        ).encode()
        yield Request("POST", f"/{dice.choice([*STYLES])}".encode(), ((b"content-length", b"%d" % len(body)),), body)


def test_what_is_put_together_is_what_the_service_would_have_said():
    road = Road(GraphqlRoots(), Graphql(), service)
    counted = travel(road, requests(Random(11)), Random(12))
    assert counted.equal >= 0.99 * COMPOSITES, counted
    assert counted.hits > 0
