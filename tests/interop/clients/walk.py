"""One session of the Python client that walks through features: takes the errand of walk.mjs, and finds the same."""

import asyncio
import json
import sys
from contextlib import asynccontextmanager

import mcp_types as types
from mcp.client.client import Client
from python_client import server

LEVEL = "io.modelcontextprotocol/logLevel"
TIMEOUT = 15

errand = json.loads(sys.argv[1])
asked: list[dict] = []
answers: dict = {}
notes: list = []
news = asyncio.Event()


async def elicited(_, params):
    if isinstance(params, types.ElicitRequestURLParams):
        asked.append({"url": params.url, "message": params.message})
        return types.ElicitResult(**answers.get("elicit", {"action": "accept"}))
    asked.append({"message": params.message, "fields": list(params.requested_schema["properties"])})
    return types.ElicitResult(**answers.get("elicit", {"action": "accept", "content": {"name": "Ada"}}))


async def sampled(_, params):
    first = params.messages[0].content
    first = first[0] if isinstance(first, list) else first
    tools = [tool.name for tool in params.tools or []]
    asked.append({"sample": first.text, **({"tools": tools} if tools else {})})
    if tools:
        use = types.ToolUseContent(type="tool_use", id="t1", name=tools[0], input={"a": 1})
        return types.CreateMessageResultWithTools(role="assistant", model="test", content=[use], stop_reason="toolUse")
    text = types.TextContent(type="text", text="word")
    return types.CreateMessageResult(role="assistant", model="test", content=text)


async def rooted(_):
    asked.append({"roots": True})
    return types.ListRootsResult(roots=[types.Root(uri="file:///home/ada", name="home")])


async def heard(note) -> None:
    notes.append(note)
    news.set()


async def until(fits) -> None:
    async with asyncio.timeout(TIMEOUT):
        while not fits():
            news.clear()
            await news.wait()


def plain(model) -> dict:
    return model.model_dump(by_alias=True, exclude_none=True, mode="json")


def said(result) -> list:
    return [item.text if isinstance(item, types.TextContent) else plain(item) for item in result.content]


async def every(list_page, member: str) -> list:
    found, cursor = [], None
    while True:
        page = await list_page(cursor=cursor)
        found += getattr(page, member)
        cursor = page.next_cursor
        if cursor is None:
            return found


class Walk:
    """The steps, by their names."""

    def __init__(self, client: Client):
        self.client = client
        self.modern = client.protocol_version == "2026-07-28"

    async def restart(self):
        print("RESTART", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        return {}

    async def tools(self) -> list[str]:
        return [tool.name for tool in await every(self.client.list_tools, "tools")]

    async def prompts(self) -> list[str]:
        return [prompt.name for prompt in await every(self.client.list_prompts, "prompts")]

    async def resources(self) -> list[str]:
        return [str(resource.uri) for resource in await every(self.client.list_resources, "resources")]

    async def templates(self) -> list[str]:
        found = await every(self.client.list_resource_templates, "resource_templates")
        return [template.uri_template for template in found]

    async def call(self, name, arguments=None, structured=False):
        result = await self.client.call_tool(name, arguments or {})
        found = {"said": said(result), "isError": bool(result.is_error)}
        return {**found, "structured": result.structured_content} if structured else found

    async def asked(self, name, arguments=None, **wanted):
        global answers
        asked.clear()
        answers = wanted.get("answers", {})
        result = await self.client.call_tool(name, arguments or {})
        return {"asked": list(asked), "said": said(result), "isError": bool(result.is_error)}

    async def prompt(self, name, arguments=None):
        global answers
        asked.clear()
        answers = {}
        result = await self.client.get_prompt(name, arguments)
        texts = [message.content.text if hasattr(message.content, "text") else plain(message.content) for message in result.messages]
        return {"asked": list(asked), "messages": texts}

    async def read(self, uri):
        return [plain(content) for content in (await self.client.read_resource(uri)).contents]

    async def complete(self, ref, argument, context=None):
        kind = types.PromptReference if ref["type"] == "ref/prompt" else types.ResourceTemplateReference
        given = (context or {}).get("arguments")
        return (await self.client.complete(kind(**ref), argument, given)).completion.values

    async def progress(self, name, arguments=None):
        progress = []

        async def at(done, total, message):
            progress.append(done)

        result = await self.client.call_tool(name, arguments or {}, progress_callback=at)
        return {"progress": progress, "said": said(result)}

    async def cancel(self, name, count):
        async def counted() -> int:
            return int(said(await self.client.call_tool(count, {}))[0])

        before = await counted()
        waiting = asyncio.create_task(self.client.call_tool(name, {}))
        await asyncio.sleep(0.3)
        waiting.cancel()
        outcome = "aborted" if isinstance((await asyncio.gather(waiting, return_exceptions=True))[0], BaseException) else "answered"
        now = before
        for _ in range(100):
            now = await counted()
            if now != before:
                break
            await asyncio.sleep(0.03)
        return {"outcome": outcome, "cancelled": now - before}

    async def log(self, name, level, at_least):
        since = len(notes)
        if not self.modern:
            await self.client.set_logging_level(level)
        await self.client.call_tool(name, {}, meta={LEVEL: level} if self.modern else None)

        def logs():
            return [note.params for note in notes[since:] if isinstance(note, types.LoggingMessageNotification)]

        await until(lambda: len(logs()) >= at_least)
        return [f"{params.level}: {params.data}" for params in logs()]

    @asynccontextmanager
    async def listening(self, **wishes):
        if not self.modern:
            yield
            return
        async with self.client.listen(**wishes) as subscription:
            async def follow():
                async for event in subscription:
                    await heard(event)

            task = asyncio.create_task(follow())
            yield
            task.cancel()

    async def grown(self, name):
        before = len(await self.tools())
        since = len(notes)
        async with self.listening(tools_list_changed=True):
            await self.client.call_tool(name, {})
            await until(lambda: any("ToolListChanged" in type(note).__name__ or "ToolsListChanged" in type(note).__name__ for note in notes[since:]))
        return {"more": len(await self.tools()) - before}

    async def changed(self, name, arguments, wanted):
        since = len(notes)
        async with self.listening(resources_list_changed=True):
            await self.client.call_tool(name, arguments)
            await until(lambda: any(type(note).__name__.startswith(("ResourceListChanged", "ResourcesListChanged")) for note in notes[since:]))
        return f"notifications/{wanted}"

    async def updated(self, uri, name, arguments=None):
        since = len(notes)

        def fits():
            updates = [note for note in notes[since:] if type(note).__name__.startswith("ResourceUpdated")]
            return any(str(getattr(note, "uri", None) or note.params.uri) == uri for note in updates)

        if not self.modern:
            await self.client.subscribe_resource(uri)
        async with self.listening(resource_subscriptions=[uri]):
            await self.client.call_tool(name, arguments or {})
            await until(fits)
        if not self.modern:
            await self.client.unsubscribe_resource(uri)
        return uri


async def main() -> None:
    mode = "2026-07-28" if errand["mode"] == "modern" else errand["mode"]
    sampling = types.SamplingCapability(tools=types.SamplingToolsCapability())
    callbacks = {"elicitation_callback": elicited, "sampling_callback": sampled, "list_roots_callback": rooted}
    async with Client(
        server(errand), mode=mode, message_handler=heard, sampling_capabilities=sampling, read_timeout_seconds=TIMEOUT, **callbacks
    ) as client:
        walk, found = Walk(client), []
        for step in errand["steps"]:
            step = dict(step)
            try:
                found.append(await getattr(walk, step.pop("step"))(**step))
            except Exception as error:  # whatever went wrong is what was found
                data = getattr(getattr(error, "error", None), "data", None)
                code = getattr(getattr(error, "error", None), "code", repr(error))
                found.append({"error": code, "message": str(error), **({"data": data} if data else {})})
        print(json.dumps({"steps": found}), flush=True)


asyncio.run(main())
