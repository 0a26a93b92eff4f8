"""One session of the Python client; takes the same errand as ts.mjs and says on stdout how it went."""

import asyncio
import json
import sys

from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.sse import sse_client

TIMEOUT = 30


def server(errand: dict):
    if errand["transport"] == "stdio":
        return stdio_client(StdioServerParameters(command=errand["command"], args=errand["args"]))
    if errand["transport"] == "sse":
        return sse_client(errand["url"])
    return errand["url"]


async def listed(client: Client) -> list[str]:
    names, cursor = [], None
    while True:
        page = await client.list_tools(cursor=cursor)
        names += [tool.name for tool in page.tools]
        cursor = page.next_cursor
        if cursor is None:
            return names


async def called(client: Client, call: dict) -> dict:
    progress: list[float] = []

    async def heard(done: float, total: float | None, message: str | None) -> None:
        progress.append(done)

    try:
        result = await client.call_tool(
            call["tool"], call["arguments"], read_timeout_seconds=TIMEOUT, progress_callback=heard
        )
    except Exception as error:  # whatever went wrong is the answer
        return {"tool": call["tool"], "error": repr(error)}
    text = result.content[0].text if result.content else None
    return {"tool": call["tool"], "text": text, "isError": bool(result.is_error), "progress": progress}


async def main() -> None:
    errand = json.loads(sys.argv[1])
    mode = "2026-07-28" if errand["mode"] == "modern" else errand["mode"]
    async with Client(server(errand), mode=mode) as client:
        tools = await listed(client)
        calls = [await called(client, call) for call in errand["calls"]]
        print(json.dumps({"tools": tools, "calls": calls}), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
