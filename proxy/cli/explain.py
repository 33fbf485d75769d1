"""`frontrunner explain`: why a running proxy answers a request as it does."""

import json
from typing import Annotated, Any

import typer

from proxy.cli.running import DEFAULT_URL, Token, Url, fields, plain, sent

_HIDDEN = "…"


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
    told = sent(url, token, "explain", "rule", asked)
    print(json.dumps(told, indent=2) if as_json else "\n".join(lines(told)))


def lines(told: dict[str, Any]) -> list[str]:
    """Return an explanation as lines to read."""
    out = [f"rule     {told['rule'] or 'none'}"]
    for step in told.get("steps", ()):
        gave_up = step is told["steps"][-1] and "key" not in told
        nothing = "" if step["changed"] else ": it cannot be certain" if gave_up else ": nothing to change"
        out.append(f"step     {step['word']}{nothing}")
        out += [_part(part, one["before"], "→", one["after"]) for part, one in step["changed"].items()]
    if "key" in told:
        out.append(f"key      {told['key']['hash']}")
        out += [f"           {part}: {_said(value)}" for part, value in told["key"]["form"].items()]
    if "split" in told:
        out += _split(told["split"])
    if "entry" in told:
        out.append(f"entry    {_entry(told['entry'])}")
    if "would" in told:
        out += _would(told["would"])
    elif "passthrough" in told:
        out.append(f"now      passthrough: send it straight upstream ({told['passthrough']})")
    elif "refused" in told:
        out.append(f"now      error: refuse it ({told['refused']})")
    if nearest := told.get("nearest"):
        out.append(f"nearest  {nearest['key']}")
        out += [_part(one["part"], one["here"], "≠", one["there"]) for one in nearest["differs"]]
    return [plain(line) for line in out]


def _split(split: dict[str, Any]) -> list[str]:
    named = [f"{split['parts']} part{'' if split['parts'] == 1 else 's'}"] if "parts" in split else ["no parts"]
    counts = [*named, *[f"{split[name]} {name}" for name in ("fresh", "stale", "missing") if name in split]]
    state = " (demoted)" if split.get("state") == "demoted" else ""
    out = [f"split    {split['mode']}{state}: {', '.join(counts)}"]
    if any(part["label"] != _HIDDEN for part in split.get("each", ())):
        out += [
            f"           {part['label']}{': ' + part['state'] if 'state' in part else ''}" for part in split["each"]
        ]
        out += ["           [more]"] if split["parts"] > len(split["each"]) else []
    if "frame" in split:
        known = (", known" if split["frame_known"] else ", not known") if "frame_known" in split else ""
        out.append(f"           frame {split['frame']}{known}")
    if "fetch" in split:
        fetch = split["fetch"]
        calls = f"{fetch['calls']} call{'' if fetch['calls'] == 1 else 's'}, {fetch['at_once']} at once"
        out.append(f"           asks for {fetch['parts']} in {calls} (residual: {split['residual']})")
    return [*out, f"           goes whole: {split['whole']}"] if "whole" in split else out


def _would(would: dict[str, Any]) -> list[str]:
    why = f" ({would['reason']})" if "reason" in would else ""
    out = [f"now      {would['outcome']}: {would['do']}{why}"]
    return [*out, f"           if that fails: {would['if_it_fails']}"] if "if_it_fails" in would else out


def _entry(entry: dict[str, Any] | None) -> str:
    if entry is None:
        return "none"
    told = dict(entry)
    state = told.pop("state", "none of these fields")
    return ", ".join([state, *[f"{name} {_plainly(value)}" for name, value in told.items()]])


def _plainly(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value).lower()


def _part(part: str, before: str | None, sign: str, after: str | None) -> str:
    alike = "" if before != after else " (in what is not shown)"
    return f"           {part}: {_said(before)} {sign} {_said(after)}{alike}"


def _said(value: str | None) -> str:
    return "(absent)" if value is None else value or "(empty)"
