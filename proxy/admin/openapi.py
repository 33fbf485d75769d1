"""The admin API in OpenAPI's words: what can be asked, and what is answered."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from proxy import __version__
from proxy.core.shown_fields import MOST_CHARS

Schema = dict[str, Any]

_NUMBER: Final[Schema] = {"type": "number"}
_COUNT: Final[Schema] = {"type": "integer", "minimum": 0}
_TEXT: Final[Schema] = {"type": "string"}


def _object(required: Mapping[str, Schema], optional: Mapping[str, Schema] | None = None) -> Schema:
    properties = {**required, **(optional or {})}
    return {"type": "object", "required": list(required), "properties": properties}


def _map(of: Schema) -> Schema:
    return {"type": "object", "additionalProperties": of}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _answer(description: str, forms: Mapping[str, Schema]) -> Schema:
    return {"description": description, "content": {form: {"schema": schema} for form, schema in forms.items()}}


_TIMINGS = {"p50_s": _NUMBER, "p90_s": _NUMBER, "p99_s": _NUMBER, "max_s": _NUMBER}
_BY_OUTCOME = _map(_ref("Counted"))
_SLOTS = {"in_flight": _COUNT, "waiting": _COUNT}
_CAP = {"max_in_flight": _COUNT, "limit": _NUMBER}
_RATIOS = {"hit_ratio": _NUMBER, "hit_ratio_by_seconds": _NUMBER}
_SECONDS = {"seconds_saved": _NUMBER, "seconds_spent": _NUMBER, "queue_s": _NUMBER}
_ERRORS = _object({"client": _COUNT, "upstream": _COUNT, "proxy": _COUNT})
_CHANGE = _object({"now": _NUMBER, "before": _NUMBER, "change": _NUMBER})
_TREND = _object(
    {"window_s": _NUMBER}
    | dict.fromkeys(
        ("n", "p50_s", "p99_s", "hit_ratio", "hit_ratio_by_seconds", "errors", "upstream_s", "seconds_saved"), _CHANGE
    )
)
_AS_CONFIGURED: Final[Schema] = {}
_OF_A_LINE = ["timestamp", "request_id", "method", "path", "outcome", "duration_s"]
"""The rest of a `request` line's fields are there where they apply: the reference has all."""
_SPAN = {"window": _TEXT, "since_s": _NUMBER}
_OPERATION = {
    "n": _COUNT,
    **_TIMINGS,
    "by_outcome": _BY_OUTCOME,
    "reasons": _map(_COUNT),
    **_RATIOS,
    "upstream_calls": _COUNT,
    "upstream_s": _NUMBER,
    "by_purpose": _map(_object({"upstream_calls": _COUNT, "upstream_s": _NUMBER})),
    "overhead_s": _NUMBER,
    "overhead": _ref("Timings"),
    "queue_s": _NUMBER,
    "queue": _ref("Counted"),
    "errors": _ERRORS,
    "seconds_saved": _NUMBER,
    "bytes_in": _COUNT,
    "bytes_out": _COUNT,
}
_ONLY_SOME = {
    "by_arm": _map(_BY_OUTCOME),
    "split": _object({"parts": _COUNT, "parts_hit": _COUNT}),
    "would": _map(_COUNT),
    "would_save_s": _NUMBER,
    "would_differ": _COUNT,
}
_STEPS = {"type": "array", "items": _object({"up_to_s": {"type": "integer"}, "n": _COUNT})}
_HELD = {"entries": _COUNT, "bytes": _COUNT}
_STAGED = _object({"mode": _TEXT, "state": _TEXT}, {"percent": _NUMBER})

SCHEMAS: Final[Mapping[str, Schema]] = {
    "Timings": _object(_TIMINGS),
    "Counted": _object({"n": _COUNT, **_TIMINGS}),
    "Operation": _object(_OPERATION, _ONLY_SOME),
    "OneOperation": _object({"operation": _TEXT, **_SPAN, **_OPERATION}, {**_ONLY_SOME, "trend": _TREND}),
    "Performance": _object(
        {
            "version": _TEXT,
            "workers": _COUNT,
            **_SPAN,
            "n": _COUNT,
            "errors": _ERRORS,
            **_SECONDS,
            **_SLOTS,
            **_RATIOS,
            "operations": _map(_ref("Operation")),
        },
        {**_CAP, "trend": _TREND},
    ),
    "CacheStatus": _object(
        {
            **_HELD,
            "limit_bytes": _COUNT,
            "evictions": _COUNT,
            **_RATIOS,
            **_SECONDS,
            **_SLOTS,
            "workers": _COUNT,
            "stores": {
                "type": "array",
                "items": _object(
                    {
                        "name": _TEXT,
                        "state": {"enum": ["ok", "failing"]},
                        **_HELD,
                        "limit_bytes": _COUNT,
                        "evictions": _COUNT,
                    }
                ),
            },
        },
        _CAP,
    ),
    "CacheInfo": _object(
        {
            "type": _TEXT,
            "requests": _map(_COUNT),
            **_RATIOS,
            "seconds_saved": _NUMBER,
            "upstream_s": _NUMBER,
            "age": _STEPS,
            "ttl": _STEPS,
            "top_keys": {
                "type": "array",
                "items": {
                    **_object({"key_hash": _TEXT, "path": _TEXT, "hits": _COUNT, "seconds_saved": _NUMBER}),
                    "patternProperties": {"^query_": {"type": "string", "maxLength": MOST_CHARS}},
                },
            },
        },
        _HELD,
    ),
    "Complexity": _object(
        {
            "version": _TEXT,
            "workers": _COUNT,
            "operations": _map(
                {
                    "type": "array",
                    "items": _object({"parts": _COUNT}, {"whole": _ref("Counted"), "split": _ref("Counted")}),
                }
            ),
        }
    ),
    "Requests": _object(
        {
            "requests": {"type": "array", "items": {"type": "object", "required": _OF_A_LINE}},
            "cursor": _TEXT,
            "missed": {"type": "boolean"},
        }
    ),
    "Rules": _object(
        {
            "rules": {
                "type": "array",
                "items": _object(
                    {
                        "name": _TEXT,
                        "match": {"type": "object"},
                        "safe": {"type": "boolean"},
                        "key": {"type": "array", "items": _TEXT},
                        "rollout": _map(_STAGED),
                        "n": _COUNT,
                        "hit_ratio": _NUMBER,
                        "seconds_saved": _NUMBER,
                        "upstream_s": _NUMBER,
                    },
                    {**_HELD, "ttl": _AS_CONFIGURED, "grace": _AS_CONFIGURED, "split": _AS_CONFIGURED, "pins": _COUNT},
                ),
            }
        }
    ),
    "Bypass": _object({"on": {"type": "boolean"}, "file": {"type": ["string", "null"]}}),
    "Rollouts": _object({"rules": {"type": "array", "items": _ref("Rollout")}}),
    "Rollout": _object({"rule": _TEXT}, {"split": {"type": "object"}, "normalize": {"type": "object"}}),
    "Job": _object(
        {"state": {"const": "running"}, "elapsed_s": _NUMBER, "url": _TEXT}, {"expected_s": _NUMBER, "place": _COUNT}
    ),
    "Problem": _object(
        {"type": _TEXT, "title": _TEXT, "status": _COUNT, "detail": _TEXT, "reason": _TEXT, "request_id": _TEXT}
    ),
    "Anything": {"type": "object"},
}

_WINDOW: Final = ("window", "How far back: all (default), or a duration from 10s to 90d.")
_ANSWERS: Final[Mapping[str, tuple[str, str, Sequence[tuple[str, str]]]]] = {
    "performance": ("All operations: timings, outcomes, seconds saved and spent, trend.", "Performance", [_WINDOW]),
    "performance/{operation}": ("One operation.", "OneOperation", [_WINDOW]),
    "cache/status": ("What is stored, and how each store is.", "CacheStatus", []),
    "cache/{type}/info": ("What is stored for one rule.", "CacheInfo", []),
    "complexity": ("Parts per query against time.", "Complexity", []),
    "requests": (
        "The last requests, the newest last.",
        "Requests",
        [("n", "How many, from 1; 100."), ("after", "The cursor of an earlier answer."), ("rule", ""), ("outcome", "")],
    ),
    "rules": ("The rules, and how each does.", "Rules", []),
    "cache/purge": ("Purge by url, key, rule, group, or all.", "Anything", []),
    "bypass": ("Whether all requests pass through; turn it.", "Bypass", []),
    "explain": ("What would happen to a request, and why.", "Anything", []),
    "rollout": ("How far all rules are rolled out; set it.", "Rollouts", []),
    "rollout/{rule}": ("How far one rule is rolled out, with its report; set it.", "Rollout", []),
    "openapi.json": ("This document.", "Anything", []),
}
_PLAIN: Final = {
    "livez": "Whether the process lives.",
    "readyz": "Whether it takes requests.",
    "metrics": "Prometheus exposition of this machine's processes.",
    "jobs/{id}": "How far a job is, or its answer; DELETE forgets it. With the credentials of the request that made it.",
}
_OPEN: Final = frozenset({"livez", "readyz", "jobs/{id}"})


_ITS_OWN: Final[Schema] = {}
"""What a job answers is the upstream's, of any form."""
_OTHERWISE: Final[Mapping[tuple[str, str], Mapping[str, Schema]]] = {
    ("GET", "metrics"): {
        "200": _answer("as Accept asks", {"text/plain": _TEXT, "application/openmetrics-text": _TEXT})
    },
    ("GET", "jobs/{id}"): {
        "200": _answer(
            "how far it is; once it is done, its answer",
            {"application/json": {"anyOf": [_ref("Job"), _ITS_OWN]}, "*/*": _ITS_OWN},
        ),
        "default": _answer(
            "a job's answer of another status; or a problem (RFC 9457)",
            {"application/problem+json": {"anyOf": [_ref("Problem"), _ITS_OWN]}, "*/*": _ITS_OWN},
        ),
    },
    ("DELETE", "jobs/{id}"): {"204": {"description": "forgotten"}},
}
"""What is answered where it is not 200 and of one form."""


def document(prefix: str, methods: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Return the OpenAPI document of all paths below a prefix, with their methods."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "Frontrunner's admin API", "version": __version__},
        "paths": {f"{prefix}/{path}": _path(path, allowed) for path, allowed in methods.items()},
        "components": {
            "schemas": SCHEMAS,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"token": []}],
    }


def _path(path: str, methods: Sequence[str]) -> dict[str, Any]:
    names = re.findall(r"\{(\w+)\}", path)
    told: dict[str, Any] = {
        "parameters": [{"name": name, "in": "path", "required": True, "schema": _TEXT} for name in names]
    }
    return told | {method.lower(): _operation(path, method) for method in methods}


def _operation(path: str, method: str) -> dict[str, Any]:
    summary, schema, query = _ANSWERS.get(path, (_PLAIN.get(path, ""), "", []))
    usual = {"200": _answer("as asked", {"application/json": _ref(schema)} if schema else {"text/plain": _TEXT})}
    problem = _answer("a problem (RFC 9457)", {"application/problem+json": _ref("Problem")})
    told: dict[str, Any] = {
        "operationId": f"{method.lower()}_{re.sub(r'[^a-z]+', '_', path).strip('_')}",
        "summary": summary,
        "parameters": [
            {"name": name, "in": "query", "description": text, "schema": _TEXT}
            for name, text in query
            if method == "GET"
        ],
        "responses": {"default": problem, **_OTHERWISE.get((method, path), usual)},
    }
    if method == "POST":
        told["requestBody"] = {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}
    if path in _OPEN:
        told["security"] = []
    return told
