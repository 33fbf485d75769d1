"""`frontrunner explain`: why a running proxy answers a request as it does."""

import json
from typing import Annotated, Any

import typer

from proxy.cli.running import DEFAULT_URL, Token, Url, fields, sent


def explain(
    method: Annotated[str, typer.Argument(metavar="METHOD", show_default=False)],
    target: Annotated[str, typer.Argument(metavar="URL", help="What is asked for.", show_default=False)],
    *,
    header: Annotated[list[str] | None, typer.Option("-H", metavar="FIELD", help="A field of the request.")] = None,
    body: Annotated[str, typer.Option("-d", metavar="BODY", help="The request's body.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print what the proxy says as it says it.")] = False,
    url: Url = DEFAULT_URL,
    token: Token = "",
) -> None:
    """Explain a request: its rule, its key step by step, what is stored for it, what would happen now and why."""
    asked = {"method": method, "url": target, "headers": fields(header or []), "body": body}
    told = sent(url, token, "explain", asked)
    print(json.dumps(told, indent=2, ensure_ascii=False) if as_json else "\n".join(lines(told)))


def lines(told: dict[str, Any]) -> list[str]:
    """Return an explanation as lines to read."""
    out = [f"rule     {told['rule'] or 'none'}"]
    if told.get("passthrough"):
        return [*out, f"passes through: {told['passthrough']}"]
    for step in told["steps"]:
        out.append(f"step     {step['word']}{'' if step['changed'] else ': nothing to change'}")
        out += [
            f"           {part}: {_said(one['before'])} → {_said(one['after'])}"
            for part, one in step["changed"].items()
        ]
    out.append(f"key      {told['key']['hash']}")
    out += [f"           {part}: {value}" for part, value in told["key"]["form"].items()]
    if "would" not in told:
        return out
    entry = told["entry"]
    out.append(
        "entry    " + ("none" if entry is None else ", ".join(f"{name} {value}" for name, value in entry.items()))
    )
    why = f" ({told['would']['reason']})" if "reason" in told["would"] else ""
    out.append(f"now      {told['would']['outcome']}: {told['would']['do']}{why}")
    if nearest := told.get("nearest"):
        out.append(f"nearest  {nearest['key']}")
        out += [f"           {one['part']}: {_said(one['here'])} ≠ {_said(one['there'])}" for one in nearest["differs"]]
    return out


def _said(value: str | None) -> str:
    return "(absent)" if value is None else value
