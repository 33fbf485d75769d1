"""`graphql_roots`: a GraphQL query in a JSON body; each field at its root is a part."""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from json.encoder import encode_basestring_ascii as _quoted
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from proxy.core import json_slices
from proxy.core.composite import LIMITS, Cut, Limits, Part, pack
from proxy.core.graphql_text import named, tokens_of, too_deep, too_wide, written
from proxy.core.json_slices import Span
from proxy.core.params import Matches, matcher
from proxy.core.params import parse as parse_params
from proxy.core.part_request import body_of, with_body
from proxy.core.reasons import Reason
from proxy.core.types import Request
from proxy.errors import Fallback

if TYPE_CHECKING:
    from graphql.language import Token

MAX_DOCUMENT = 64 * 1024
MAX_TOKENS = 5_000
MAX_REMEMBERED = 16 * 1024

_MEMBERS = frozenset({"query", "operationName", "variables", "extensions"})
_CONDITIONS = frozenset({"skip", "include"})


@dataclass(frozen=True, slots=True)
class GraphqlRoots:
    """Split a query into the fields at its root, by their response names, each with its own fragments and variables.

    Not split: mutations and subscriptions, several operations, fragments at the root, directives other than @skip and
    @include (@defer and @stream among them), extensions, and documents that a service refuses whole though their parts
    are right: with a variable or fragment that is not used or not defined. A query with a field that `deny_fields`
    names (`*` stands for anything) at its root is not split. Raises ValueError where graphql-core is not installed.
    """

    version: ClassVar[int] = 1

    deny_fields: tuple[str, ...] = ()
    _denied: Matches = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        try:
            import graphql.language  # noqa: F401
        except ImportError:
            raise ValueError("it needs graphql-core: pip install frontrunner[graphql]") from None
        object.__setattr__(self, "_denied", matcher(self.deny_fields))

    def plan(self, request: Request, limits: Limits = LIMITS) -> Cut | None:
        """Return the fields; None where the body is no object with a document, Fallback in doubt."""
        if not isinstance(request.body, bytes) or not request.body.lstrip(b" \t\n\r").startswith(b"{"):
            return None
        text = body_of(request, limits)
        asked = _asked(text)
        if asked is None:
            return None
        if any(name.decode("utf-8", "replace").casefold() in _MEMBERS for name, _ in parse_params(request.query)):
            raise Fallback(Reason.SPLIT_SYNTAX)  # services differ in which of the two they believe
        if too_wide(asked.document, limits.parts):
            raise Fallback(Reason.SPLIT_LIMIT)
        layout = _layout_of(asked.document)
        if (asked.operation or layout.name) != layout.name or not asked.variables.keys() <= layout.variables.keys():
            raise Fallback(Reason.SPLIT_SYNTAX)
        if any(self._denied(name.encode()) for root in layout.roots for name in root.names):
            raise Fallback(Reason.SPLIT_DENIED)
        frame = with_body(request, asked.written(layout.of(()), ()))
        return Cut(tuple([_part(root, layout, asked) for root in layout.roots]), frame, (asked, layout))

    def build(self, request: Request, cut: Cut, places: Sequence[int]) -> Request:
        """Return the request for some of the fields, with what they need."""
        if len(places) == len(cut.parts) or not isinstance(cut.rest, tuple):
            return request
        asked, layout = cut.rest
        roots = [layout.roots[place] for place in places]
        used = {name for root in roots for name in root.variables}
        return with_body(request, asked.written(layout.of(roots), used))


class Root(NamedTuple):
    """What gives one member of the answer: its field (or several of one response name), and what that needs."""

    label: str
    names: tuple[str, ...]
    text: str
    normal: str
    optional: bool
    variables: tuple[str, ...]
    fragments: tuple[str, ...]


class Said(NamedTuple):
    """A variable's definition or a fragment, as it came and in its one form."""

    text: str
    normal: str


@dataclass(frozen=True, slots=True)
class Layout:
    """A document with one query: its name, its root fields, and the definitions that they share."""

    name: str
    roots: tuple[Root, ...]
    variables: Mapping[str, Said]
    fragments: Mapping[str, Said]

    def of(self, roots: Sequence[Root]) -> str:
        """Write the document for some of the fields."""
        variables = {name for root in roots for name in root.variables}
        fragments = {name for root in roots for name in root.fragments}
        defined = " ".join([said.text for name, said in self.variables.items() if name in variables])
        head = f"query {self.name}" if self.name else "query"
        fields = " ".join([root.text for root in roots]) or "__typename"
        texts = [f"{head}{f'({defined})' if defined else ''} {{ {fields} }}"]
        texts += [said.text for name, said in self.fragments.items() if name in fragments]
        return "\n".join(texts)  # a comment would end with its line


class Asked(NamedTuple):
    """A request's body: the document and what selects from it, the JSON of its variables, and its members."""

    text: str
    document: str
    operation: str | None
    variables: Mapping[str, str]
    members: Sequence[Span]

    def written(self, document: str, variables: Container[str]) -> bytes:
        """Write the body with another document, and some of the variables."""
        kept = [f"{_quoted(name)}:{value}" for name, value in self.variables.items() if name in variables]
        others = {"query": _quoted(document), "variables": f"{{{','.join(kept)}}}"}
        pieces, at = [], 0
        for span in self.members:
            if span.name in others and span.value is not None:
                pieces += [self.text[at : span.at], others[span.name]]
                at = span.end
        return _encoded("".join([*pieces, self.text[at:]]))


def _asked(text: str) -> Asked | None:
    found = json_slices.members(text, json_slices.blank(text, 0))
    if json_slices.blank(text, found.end) != len(text):
        raise Fallback(Reason.KEY_BODY_SYNTAX)
    members = _by_name(found.spans)
    values = {name: span.value for name, span in members.items()}
    document, operation, given = values.get("query"), values.get("operationName"), values.get("variables")
    if document is None:
        return None
    as_text = type(document) is str and (operation is None or type(operation) is str)  # a number is a Verbatim
    if not values.keys() <= _MEMBERS or values.get("extensions") or not as_text:
        raise Fallback(Reason.SPLIT_SYNTAX)
    if given is None:
        return Asked(text, document, operation, {}, found.spans)
    if not isinstance(given, dict):
        raise Fallback(Reason.SPLIT_SYNTAX)
    variables = _by_name(json_slices.members(text, members["variables"].at).spans)
    written_ = {name: text[span.at : span.end] for name, span in variables.items()}
    return Asked(text, document, operation, written_, found.spans)


def _by_name(spans: Sequence[Span]) -> dict[str, Span]:
    by_name = {span.name: span for span in spans}
    if len(by_name) < len(spans):
        raise Fallback(Reason.KEY_DUPLICATE_MEMBER)
    return by_name


def _part(root: Root, layout: Layout, asked: Asked) -> Part:
    given = [(name, asked.variables[name]) for name in root.variables if name in asked.variables]
    needs = (
        [root.normal],
        [layout.variables[name].normal for name in root.variables],
        [layout.fragments[name].normal for name in root.fragments],
        [text for pair in given for text in pair],
    )
    identity = pack([pack(map(_encoded, texts)) for texts in needs])
    return Part(identity, _encoded(root.text), root.label, optional=root.optional)


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _layout_of(document: str) -> Layout:
    """Read a document; clients send the same few again and again, and the parser is slow: what was read is remembered."""
    return _remembered(document) if len(document) <= MAX_REMEMBERED else _read(document)


def _read(document: str) -> Layout:
    """Read a document.

    Raises Fallback: SPLIT_LIMIT over MAX_DOCUMENT, KEY_BODY_DEPTH and KEY_BODY_SYNTAX for what is no GraphQL,
    SPLIT_SYNTAX for all but one query whose definitions are all used.
    """
    nodes = _parsed(document)
    operations = [node for node in nodes if node.kind == "operation_definition"]
    fragments = {node.name.value: node for node in nodes if node.kind == "fragment_definition"}
    if len(operations) != 1 or len(fragments) + 1 != len(nodes):
        raise Fallback(Reason.SPLIT_SYNTAX)
    query = operations[0]
    variables = {node.variable.name.value: node for node in query.variable_definitions or ()}
    directives = [name for node in nodes for name in named(_tokens(node), "@")]
    doubled = len(variables) < len(query.variable_definitions or ())
    if query.operation.value != "query" or query.directives or doubled or not _CONDITIONS.issuperset(directives):
        raise Fallback(Reason.SPLIT_SYNTAX)
    uses = {name: _uses(_tokens(node)) for name, node in fragments.items()}
    roots = tuple([_root(document, label, group, uses) for label, group in _groups(query).items()])
    for defined, used in (
        (variables, {name for root in roots for name in root.variables}),
        (fragments, {name for root in roots for name in root.fragments}),
    ):
        if defined.keys() != used:
            raise Fallback(Reason.SPLIT_SYNTAX)
    return Layout(
        query.name.value if query.name else "",
        roots,
        {name: _said(document, node) for name, node in variables.items()},
        {name: _said(document, node) for name, node in fragments.items()},
    )


_remembered = lru_cache(maxsize=256)(_read)


def _parsed(document: str) -> tuple[Any, ...]:
    from graphql.error import GraphQLSyntaxError
    from graphql.language import parse

    if len(document) > MAX_DOCUMENT:
        raise Fallback(Reason.SPLIT_LIMIT)
    if too_deep(document):
        raise Fallback(Reason.KEY_BODY_DEPTH)
    try:
        return tuple(parse(document, max_tokens=MAX_TOKENS).definitions)
    except (GraphQLSyntaxError, RecursionError):
        raise Fallback(Reason.KEY_BODY_SYNTAX) from None


def _groups(query: Any) -> dict[str, list[Any]]:
    """Return the root fields by their response names, as GraphQL answers them."""
    groups: dict[str, list[Any]] = {}
    for node in query.selection_set.selections:
        if node.kind != "field":
            raise Fallback(Reason.SPLIT_SYNTAX)
        groups.setdefault((node.alias or node.name).value, []).append(node)
    return groups


def _root(document: str, label: str, nodes: Sequence[Any], uses: Mapping[str, "Uses"]) -> Root:
    tokens = [_tokens(node) for node in nodes]
    used = _closed([_uses(one) for one in tokens], uses)
    return Root(
        label,
        tuple([node.name.value for node in nodes]),
        " ".join([document[node.loc.start : node.loc.end] for node in nodes]),
        " ".join([written(document, one) for one in tokens]),
        all(node.directives for node in nodes),
        tuple(sorted(used.variables)),
        tuple(sorted(used.fragments)),
    )


class Uses(NamedTuple):
    """The names of what a piece of a document needs."""

    variables: frozenset[str]
    fragments: frozenset[str]


def _uses(tokens: Sequence["Token"]) -> Uses:
    return Uses(frozenset(named(tokens, "$")), frozenset(named(tokens, "...")) - {"on"})


def _closed(direct: Sequence[Uses], uses: Mapping[str, Uses]) -> Uses:
    """Add what fragments need, and theirs; one that is not defined needs nothing."""
    waiting, variables, fragments = [*direct], set[str](), set[str]()
    while waiting:
        one = waiting.pop()
        variables |= one.variables
        waiting += [uses[name] for name in one.fragments - fragments if name in uses]
        fragments |= one.fragments
    return Uses(frozenset(variables), frozenset(fragments))


def _said(document: str, node: Any) -> Said:
    return Said(document[node.loc.start : node.loc.end], written(document, _tokens(node)))


def _tokens(node: Any) -> list["Token"]:
    return tokens_of(node.loc.start_token, node.loc.end_token)
