"""A server of the Python SDK: `python_server.py stdio`, or `python_server.py http` for Streamable HTTP of both eras."""

import asyncio
import socket
import sys

from mcp.server.mcpserver import Context, MCPServer

server = MCPServer("python")


@server.tool()
def echo(message: str) -> str:
    """Gives the message back."""
    return f"Echo: {message}"


@server.tool()
async def slow(steps: int, ctx: Context) -> str:
    """Reports progress."""
    for step in range(1, steps + 1):
        await ctx.report_progress(step, steps)
        await asyncio.sleep(0.02)
    return f"{steps} steps"


def http() -> None:
    import uvicorn

    listener = socket.create_server(("127.0.0.1", 0))
    print(f"LISTENING {listener.getsockname()[1]}", file=sys.stderr, flush=True)
    app = server.streamable_http_app(host="127.0.0.1")
    uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listener])


if __name__ == "__main__":
    http() if sys.argv[1] == "http" else server.run("stdio")
