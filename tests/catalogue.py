"""A service for requests for many things, whose answers tell which of its versions they are from."""

import json
from urllib.parse import parse_qs, urlsplit

from fakes import answer

from proxy.core.types import Request, Response

GROUPS = (b"cache-groups", b'"g"')


class Catalogue:
    """A service that answers `ids=1,2,3`, each with its `version`; `asked` are the lists that it was asked for."""

    version = "old"

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, request: Request) -> Response:
        if request.method != "GET":
            return answer(b"changed")
        ids = parse_qs(urlsplit(request.target.decode()).query)["ids"][0]
        self.asked.append(ids)
        items = [{"id": one, "is": self.version} for one in ids.split(",")]
        return answer(json.dumps(items).encode(), (b"content-type", b"application/json"), GROUPS)
