"""What clients walk through at servers that ask, tell and change, and what they must find there."""

from dataclasses import dataclass
from typing import Any

LEGACY, MODERN = "legacy", "modern"


@dataclass
class Step:
    """One thing a client does; `found` is what it must come to, `modern` where that differs for 2026-07-28."""

    does: dict
    found: Any
    modern: Any = None

    def wanted(self, era: str) -> Any:
        return self.modern if era == MODERN and self.modern is not None else self.found


def step(does: str, found: Any, modern: Any = None, /, **arguments: Any) -> Step:
    return Step({"step": does, **arguments}, found, modern)


def said(*texts: Any, error: bool = False) -> dict:
    return {"said": list(texts), "isError": error}


def asked(questions: list, *texts: Any) -> dict:
    return {"asked": questions, **said(*texts)}


FORM = {"message": "Your name?", "fields": ["name"]}
ADA = '{"action":"accept","content":{"name":"Ada"}}'
SAMPLE = {"sample": "Say a word"}
ROOTS = {"roots": True}
DECLINE = {"elicit": {"action": "decline"}}
TEXT = {"type": "ref/prompt", "name": "greet"}
ITEM = "asking://item/7"


def failed(code: int, message: str, data: Any = None) -> dict:
    return {"error": code, "message": message, **({"data": data} if data else {})}


class Holds(str):
    """A text that must occur in what was found."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) and str(self) in other

    __hash__ = str.__hash__


class OneOf:
    def __init__(self, *options: Any):
        self.options = options

    def __eq__(self, other: object) -> bool:
        return other in self.options

    def __repr__(self) -> str:
        return f"one of {self.options}"


ASKING = [
    step("asked", asked([FORM], ADA), name="ask"),
    step("asked", asked([FORM], '{"action":"decline"}'), name="ask", answers=DECLINE),
    step(
        "asked",
        asked([{"url": "https://example.com/login", "message": "Please log in"}], '{"action":"accept"}'),
        name="visit",
    ),
    step("asked", asked([SAMPLE], Holds('"text":"word"')), name="sample"),
    step("asked", asked([{**SAMPLE, "tools": ["add"]}], Holds('"type":"tool_use"')), name="sample_tools"),
    step("asked", asked([ROOTS], '{"roots":[{"uri":"file:///home/ada","name":"home"}]}'), name="roots"),
    step("asked", asked([FORM, ROOTS], "Ada at file:///home/ada"), name="several"),
    step("prompt", {"asked": [FORM], "messages": [ADA]}, name="ask"),
    step("log", ["info: said at info", "error: said at error"], name="log", level="info", at_least=2),
    step("progress", {"progress": [1, 2, 3], "said": ["done"]}, name="progress"),
    step("cancel", {"outcome": "aborted", "cancelled": 1}, name="wait", count="cancelled"),
    # At once after the cancellation.
    step("asked", asked([FORM], ADA), name="ask"),
    step("call", said("it failed", error=True), name="fail"),
    step("call", {**said("42"), "structured": {"value": 42}}, name="number", structured=True),
    step("grown", {"more": 1}, name="grow"),
    step("updated", "asking://one", uri="asking://one", name="touch", arguments={"uri": "asking://one"}),
    step("prompts", ["greet", "ask"]),
    step("prompt", {"asked": [], "messages": ["Hello, Bob"]}, name="greet", arguments={"who": "Bob"}),
    step("resources", ["asking://one"]),
    step("templates", ["asking://item/{id}"]),
    step("read", [{"uri": ITEM, "mimeType": "text/plain", "text": f"this is {ITEM}"}], uri=ITEM),
    step(
        "read",
        # The SDK of both eras shows the newer code in either.
        failed(OneOf(-32002, -32602), Holds("Resource not found"), {"uri": "asking://no"}),
        failed(-32602, "Resource not found", {"uri": "asking://no"}),
        uri="asking://no",
    ),
    step(
        "complete",
        ["greet A kind"],
        ref=TEXT,
        argument={"name": "who", "value": "A"},
        context={"arguments": {"tone": "kind"}},
    ),
    step("call", failed(-32602, Holds("Unknown tool: nothing")), name="nothing"),
]

RESOURCE = "demo://resource/dynamic/text/1"
LONG = {"duration": 0.3, "steps": 3}
PAGE, OTHER = "https://example.com/a", "https://example.com/b"
OPEN = "Please open the link to complete this action."
FIRST = {
    "url": "https://modelcontextprotocol.io",
    "message": "Open this link to satisfy the prerequisite, then retry the request.",
}
FIELDS = [
    *["name", "check", "firstLine", "email", "homepage", "birthdate", "integer", "number"],
    *["untitledSingleSelectEnum", "untitledMultipleSelectEnum", "titledSingleSelectEnum", "titledMultipleSelectEnum"],
    "legacyTitledEnum",
]
MANY = {"message": "Please provide inputs for the following fields:", "fields": FIELDS}
ELICIT = "trigger-elicitation-request"
URL = "trigger-url-elicitation"
ZIP = {"name": "hello.gz", "data": "data:text/plain,hello", "outputType": "resourceLink"}

EVERYTHING = [
    # Its server wants to know the roots some time after `initialize`, whatever runs then.
    step("call", said(Holds("1. home\n   URI: file:///home/ada")), name="get-roots-list"),
    step(
        "asked",
        asked([MANY], Holds("User provided"), "User inputs:\n- Name: Ada", Holds('"name": "Ada"')),
        name=ELICIT,
    ),
    step("asked", asked([MANY], Holds("User declined"), Holds('"decline"')), name=ELICIT, answers=DECLINE),
    step("asked", asked([MANY], Holds("User cancelled"), Holds('"cancel"')), name=ELICIT, answers={"elicit": {"action": "cancel"}}),
    step(
        "asked",
        asked([{"sample": "Resource trigger-sampling-request context: hi"}], Holds('"text": "word"')),
        name="trigger-sampling-request",
        arguments={"prompt": "hi"},
    ),
    step(
        "asked",
        asked([{"url": PAGE, "message": OPEN}], Holds("User completed"), Holds('"accept"')),
        name=URL,
        arguments={"url": PAGE},
    ),
    step("progress", {"progress": [1, 2, 3], "said": [Holds("Long running operation completed")]}, name="trigger-long-running-operation", arguments=LONG),
    step("updated", RESOURCE, uri=RESOURCE, name="toggle-subscriber-updates"),
    step("call", said(Holds("Stopped simulated resource updates")), name="toggle-subscriber-updates"),
    step("changed", "notifications/resources/list_changed", name="gzip-file-as-resource", arguments=ZIP, wanted="resources/list_changed"),
    step("prompts", ["simple-prompt", "args-prompt", "completable-prompt", "resource-prompt"]),
    step("prompt", {"asked": [], "messages": ["What's weather in Ghent?"]}, name="args-prompt", arguments={"city": "Ghent"}),
    step("templates", ["demo://resource/dynamic/text/{resourceId}", "demo://resource/dynamic/blob/{resourceId}"]),
    step("read", [{"uri": RESOURCE, "mimeType": "text/plain", "text": Holds("This is a plaintext resource")}], uri=RESOURCE),
    step(
        "complete",
        ["Alice"],
        ref={"type": "ref/prompt", "name": "completable-prompt"},
        argument={"name": "name", "value": "A"},
        context={"arguments": {"department": "Engineering"}},
    ),
    step("complete", ["5"], ref={"type": "ref/resource", "uri": "demo://resource/dynamic/text/{resourceId}"}, argument={"name": "resourceId", "value": "5"}),
    step("call", said(Holds("Tool nothing not found"), error=True), name="nothing"),
    step("read", failed(-32602, Holds("Resource demo://nothing not found")), uri="demo://nothing"),
]

PYTHON = [
    step("asked", asked([FORM], "Hello, Ada"), name="ask"),
    step("asked", {"asked": [FORM], **said(Holds("elicitation was decline"), error=True)}, name="ask", answers=DECLINE),
    step("asked", asked([SAMPLE], "It says word"), name="sample"),
    step("asked", asked([ROOTS], "Rooted in file:///home/ada"), name="roots"),
    step("log", ["info: said at info", "error: said at error"], name="log", level="info", at_least=2),
    step("progress", {"progress": [1, 2, 3], "said": ["done"]}, name="progress"),
    step("cancel", {"outcome": "aborted", "cancelled": 1}, name="wait", count="cancelled"),
    step("asked", asked([FORM], "Hello, Ada"), name="ask"),
    step("call", said("Error executing tool fail", error=True), name="fail"),
    step("grown", {"more": 1}, name="grow"),
    step("updated", "asking://one", uri="asking://one", name="touch", arguments={"uri": "asking://one"}),
    step("templates", ["asking://item/{id}"]),
    step("read", [{"uri": ITEM, "mimeType": "text/plain", "text": f"this is {ITEM}"}], uri=ITEM),
    step("prompt", {"asked": [], "messages": ["Hello, Bob"]}, name="greet", arguments={"who": "Bob"}),
    step("call", said("Unknown tool: nothing", error=True), name="nothing"),
]
