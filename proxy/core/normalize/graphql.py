"""`graphql`: a GraphQL query means its document, its variables and the operation it selects, however they are spelled."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import ClassVar

from proxy.core import json_text
from proxy.core.graphql_text import named, tokens_of, too_deep, written
from proxy.core.json_text import Json
from proxy.core.params import params_of, with_params
from proxy.core.params import parse as parse_params
from proxy.core.reasons import Reason
from proxy.core.types import Query
from proxy.errors import Fallback

MAX_DOCUMENT = 256 * 1024
MAX_TOKENS = 5_000
MAX_REMEMBERED = 16 * 1024

_MEMBERS = frozenset({"query", "operationName", "variables", "extensions"})
_AS_TEXT = frozenset({"query", "operationName"})
_NO_CASE = frozenset(map(str.casefold, _MEMBERS))
_ABSENT: Mapping[str, tuple[Json, ...]] = {"operationName": (None,), "variables": (None, {}), "extensions": (None, {})}


@dataclass(frozen=True, slots=True)
class Graphql:
    """Write a GraphQL request in its one form: as JSON in a POST, as parameters in a GET; only a query has one.

    Of the document, what GraphQL ignores (white space, commas, comments) and the order of definitions mean nothing;
    fields, arguments and aliases keep their order. Variables are JSON. operationName counts only where it selects one
    of several operations; null means absent. The lines that an error names are those of the first who asked.

    With `reduce`, operations that are not selected and fragments that are not used do not count. A service that checks
    the whole document may refuse it for them: `reduce` is the owner's word that such an answer is never stored.

    Fallback: mutations and subscriptions, batches, a document that is not valid or selects none or several, a hash
    without its document in a POST (nobody can tell that it only reads), parameters beside a body that stand for its
    members. Raises ValueError where graphql-core is not installed.
    """

    version: ClassVar[int] = 1

    reduce: bool = False

    def __post_init__(self) -> None:
        try:
            import graphql.language  # noqa: F401
        except ImportError:
            raise ValueError("it needs graphql-core: pip install frontrunner[graphql]") from None

    def normalize(self, query: Query) -> Query:
        """Return `query` with its GraphQL in its one form; raises Fallback if it is not certainly one query."""
        return self._in_params(query) if query.method == "GET" else self._in_body(query)

    def _in_body(self, query: Query) -> Query:
        if query.form is not None or any(map(_is_ours, dict(parse_params(query.query or b"")))):
            raise Fallback(Reason.KEY_OPERATION)  # services differ in which of the two they believe
        if not query.body:
            return query
        asked = json_text.read(query.media_type, query.body)
        if not isinstance(asked, dict) or asked.get("query") is None or any(map(_differs_in_case, asked)):
            raise Fallback(Reason.KEY_OPERATION)
        return replace(query, body=json_text.write(self._normal(asked)))

    def _in_params(self, query: Query) -> Query:
        params = params_of(query)
        ours = [(name.decode(), value) for name, value in params if _is_ours(name)]
        given = {name: value for name, value in ours if value is not None and name in _MEMBERS}
        if len(given) < len(ours):  # one has no value, comes twice, or differs in case
            raise Fallback(Reason.KEY_OPERATION)
        asked = {name: _value(name, value) for name, value in given.items()}
        normal = {name.encode(): _param(name, value) for name, value in self._normal(asked).items()}
        kept = [(name, normal.get(name, value)) for name, value in params if name in normal or not _is_ours(name)]
        return with_params(query, tuple(kept), query.form)

    def _normal(self, asked: dict[str, Json]) -> dict[str, Json]:
        document, name, extensions = asked.get("query"), asked.get("operationName"), asked.get("extensions")
        normal = {member: value for member, value in asked.items() if value not in _ABSENT.get(member, ())}
        if document is None and isinstance(extensions, dict) and "persistedQuery" in extensions:
            return normal
        if type(document) is not str or not (name is None or type(name) is str):  # a number's literal is a Verbatim
            raise Fallback(Reason.KEY_OPERATION)
        selection = _selected(_definitions(document), name, reduce=self.reduce)
        normal["query"] = " ".join([one.text for one in selection])
        if sum(one.kind != _FRAGMENT for one in selection) == 1:
            normal.pop("operationName", None)
        return normal


def _is_ours(name: bytes) -> bool:
    return name.decode("utf-8", "replace").casefold() in _NO_CASE


def _differs_in_case(member: str) -> bool:
    """Tell whether some services would read this as a member of ours, and others would not."""
    return member not in _MEMBERS and member.casefold() in _NO_CASE


def _value(name: str, value: bytes) -> Json:
    if name not in _AS_TEXT:
        return json_text.parse(value)
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise Fallback(Reason.KEY_BODY_ENCODING) from None


def _param(name: str, value: Json) -> bytes:
    return str(value).encode() if name in _AS_TEXT else json_text.write(value)


@dataclass(frozen=True, slots=True)
class Definition:
    """One operation or fragment of a document: its tokens in their one form, and the fragments that it spreads."""

    kind: str
    name: str
    text: str
    spreads: tuple[str, ...]


_FRAGMENT = "fragment"


def _selected(definitions: Sequence[Definition], name: str | None, *, reduce: bool) -> list[Definition]:
    operations = {one.name: one for one in definitions if one.kind != _FRAGMENT}
    fragments = {one.name: one for one in definitions if one.kind == _FRAGMENT}
    candidates = [one for one in operations.values() if name is None or name == one.name != ""]
    valid = len(operations) + len(fragments) == len(definitions) and ("" not in operations or len(operations) == 1)
    if not valid or len(candidates) != 1 or candidates[0].kind != "query":
        raise Fallback(Reason.KEY_OPERATION)
    if reduce:
        operations, fragments = {one.name: one for one in candidates}, _used(candidates[0], fragments)
    return [*map(operations.__getitem__, sorted(operations)), *map(fragments.__getitem__, sorted(fragments))]


def _used(operation: Definition, fragments: dict[str, Definition]) -> dict[str, Definition]:
    used: dict[str, Definition] = {}
    waiting = [*operation.spreads]
    while waiting:
        name = waiting.pop()
        if name not in used and name in fragments:
            used[name] = fragments[name]
            waiting += used[name].spreads
    return used


def _definitions(document: str) -> tuple[Definition, ...]:
    """Read a document. Raises Fallback where it is no valid, executable one of a reasonable size.

    Clients send the same few documents again and again, and the parser is slow: what was read is remembered.
    """
    return _remembered(document) if len(document) <= MAX_REMEMBERED else _read(document)


def _read(document: str) -> tuple[Definition, ...]:
    from graphql.error import GraphQLSyntaxError
    from graphql.language import ExecutableDefinitionNode, OperationDefinitionNode, parse

    if len(document) > MAX_DOCUMENT:
        raise Fallback(Reason.KEY_BODY_SIZE)
    if too_deep(document):
        raise Fallback(Reason.KEY_BODY_DEPTH)
    try:
        nodes = parse(document, max_tokens=MAX_TOKENS).definitions
    except (GraphQLSyntaxError, RecursionError):
        raise Fallback(Reason.KEY_BODY_SYNTAX) from None
    found = []
    for node in nodes:
        if not isinstance(node, ExecutableDefinitionNode) or node.loc is None:
            raise Fallback(Reason.KEY_OPERATION)
        kind = node.operation.value if isinstance(node, OperationDefinitionNode) else _FRAGMENT
        tokens = tokens_of(node.loc.start_token, node.loc.end_token)
        found.append(
            Definition(kind, node.name.value if node.name else "", written(document, tokens), named(tokens, "..."))
        )
    return tuple(found)


_remembered = lru_cache(maxsize=256)(_read)
