"""Problems of the admin endpoints have the form of all our errors."""

import json

import pytest
from starlette.requests import Request

from proxy.admin.problems import answer
from proxy.core.reasons import Reason

ID = b"0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize(
    ("sent", "kept"), [([(b"x-request-id", ID)], True), ([(b"x-request-id", b"x")], False), ([], False)]
)
def test_it_carries_the_clients_request_id_or_a_new_one(sent, kept):
    told = answer(Request({"type": "http", "headers": sent}), 404, Reason.UNKNOWN_NAME, "nobody is called so")
    said = json.loads(told.body)
    assert (said["request_id"] == ID.decode()) is kept
    assert len(said["request_id"]) == 32
    assert (told.status_code, said["reason"], said["detail"]) == (404, "unknown_name", "nobody is called so")
    assert told.headers["content-type"] == "application/problem+json"
    assert told.headers["x-request-id"] == said["request_id"]
