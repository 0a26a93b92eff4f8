"""A server of the Python SDK that asks, tells and changes: `asking.py stdio|http|sse`, of both eras where the transport is."""

import asyncio
import socket
import sys
from typing import Annotated

from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.resolve import Elicit, ListRoots, Resolve, Sample
from mcp_types import CreateMessageResult, ListRootsResult, SamplingMessage, TextContent
from pydantic import BaseModel

server = MCPServer("python-asking")
seen = {"cancelled": 0, "grown": 0}


class Name(BaseModel):
    name: str


def form() -> Elicit[Name]:
    return Elicit("Your name?", Name)


def word() -> Sample:
    return Sample([SamplingMessage(role="user", content=TextContent(type="text", text="Say a word"))], max_tokens=10)


def roots() -> ListRoots:
    return ListRoots()


@server.tool()
def ask(name: Annotated[Name, Resolve(form)]) -> str:
    """Asks for a name."""
    return f"Hello, {name.name}"


@server.tool()
def sample(said: Annotated[CreateMessageResult, Resolve(word)]) -> str:
    """Asks a model."""
    return f"It says {said.content.text}"


@server.tool(name="roots")
def where(found: Annotated[ListRootsResult, Resolve(roots)]) -> str:
    """Asks for the roots."""
    return f"Rooted in {found.roots[0].uri}"


@server.tool()
async def log(ctx: Context) -> str:
    """Logs at three levels."""
    for level in ["debug", "info", "error"]:
        await ctx.log(level, f"said at {level}")
    return "logged"


@server.tool()
async def progress(ctx: Context) -> str:
    """Reports progress."""
    for step in [1, 2, 3]:
        await ctx.report_progress(step, 3)
        await asyncio.sleep(0.03)
    return "done"


@server.tool()
async def wait() -> str:
    """Never answers."""
    try:
        await asyncio.Event().wait()
    finally:
        seen["cancelled"] += 1


@server.tool()
def cancelled() -> str:
    """How many calls were cancelled."""
    return str(seen["cancelled"])


@server.tool()
def fail() -> str:
    """Fails."""
    raise ValueError("it failed")


@server.tool()
async def grow(ctx: Context) -> str:
    """Adds a tool."""
    seen["grown"] += 1
    server.add_tool(lambda: "grown", name=f"grown_{seen['grown']}", description="Was added.")
    await ctx.notify_tools_changed()
    return "grown"


@server.tool()
async def touch(uri: str, ctx: Context) -> str:
    """Tells of a resource."""
    await ctx.notify_resource_updated(uri)
    return "touched"


@server.resource("asking://one")
def one() -> str:
    return "this is asking://one"


@server.resource("asking://item/{id}")
def item(id: str) -> str:
    return f"this is asking://item/{id}"


@server.prompt()
def greet(who: str) -> str:
    return f"Hello, {who}"


def http(app) -> None:
    import uvicorn

    listener = socket.create_server(("127.0.0.1", 0))
    print(f"LISTENING {listener.getsockname()[1]}", file=sys.stderr, flush=True)
    uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listener])


if __name__ == "__main__":
    match sys.argv[1]:
        case "http":
            http(server.streamable_http_app(host="127.0.0.1"))
        case "sse":
            http(server.sse_app(host="127.0.0.1"))
        case _:
            server.run("stdio")
