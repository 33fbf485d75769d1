"""Why the proxy did not do more: one list of words for the log, Cache-Status and the guide."""

from enum import StrEnum


class Reason(StrEnum):
    """One word per way off the accelerated road; its text in the guide is `proxy/docs/reference.md`."""

    # the request is not ours to accelerate
    NO_RULE = "no_rule"
    METHOD = "method"
    BODY = "body"
    RANGE = "range"
    PRECONDITION = "precondition"
    COOKIE = "cookie"
    CREDENTIALS = "credentials"
    REQUEST_NO_STORE = "request_no_store"
    REQUEST_NO_CACHE = "request_no_cache"
    REQUEST_MAX_STALE = "request_max_stale"
    EVENT_STREAM = "event_stream"
    # the key cannot be made with certainty
    KEY_BODY_SIZE = "key_body_size"
    KEY_BODY_ENCODING = "key_body_encoding"
    KEY_BODY_SYNTAX = "key_body_syntax"
    KEY_BODY_DEPTH = "key_body_depth"
    KEY_DUPLICATE_MEMBER = "key_duplicate_member"
    # the response is not ours to store
    STATUS = "status"
    NO_TTL = "no_ttl"
    NO_STORE = "no_store"
    NO_CACHE = "no_cache"
    PRIVATE = "private"
    SET_COOKIE = "set_cookie"
    AUTHORIZATION = "authorization"
    VARY = "vary"
    VARIANTS = "variants"
    TOO_LARGE = "too_large"
    INCOMPLETE = "incomplete"
    # we answered in the upstream's place, or could not
    BAD_REQUEST = "bad_request"
    TARGET_SIZE = "target_size"
    HEAD_SIZE = "head_size"
    HEAD_TIMEOUT = "head_timeout"
    UNKNOWN_METHOD = "unknown_method"
    UPGRADE = "upgrade"
    LOOP = "loop"
    ONLY_IF_CACHED = "only_if_cached"
    TOKEN = "token"  # noqa: S105  a word, not a secret
    UNKNOWN_NAME = "unknown_name"
    CLIENT_GONE = "client_gone"
    UPSTREAM_ERROR = "upstream_error"
    UPSTREAM_REFUSED = "upstream_refused"
    UPSTREAM_RESET = "upstream_reset"
    UPSTREAM_INVALID = "upstream_invalid"
    UPSTREAM_TIMEOUT = "upstream_timeout"
    UPSTREAM_CUT = "upstream_cut"
    SHUTDOWN = "shutdown"
    INTERNAL = "internal"
