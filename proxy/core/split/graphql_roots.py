"""`graphql_roots`: a GraphQL query in a JSON body; each field at its root is a part."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from proxy.core import json_slices
from proxy.core.composite import Cut, Limits, Part
from proxy.core.graphql_roots import Layout, layout_of
from proxy.core.json_slices import Held, Span
from proxy.core.part_request import body_of, with_body
from proxy.core.reasons import Reason
from proxy.core.types import Request
from proxy.errors import Fallback

_LIMITS = Limits()
