// One session of a TypeScript client. Takes its errand as JSON in the first argument and says on stdout how it went:
//   { client: 'v1' | 'v2', mode, url | command + args, transport, calls: [{ tool, arguments, text, progress }] }
const errand = JSON.parse(process.argv[2]);
const TIMEOUT = 30_000;

async function open() {
  const info = { name: `interop-${errand.client}`, version: '1.0.0' };
  if (errand.client === 'v1') {
    const { Client } = await import('@modelcontextprotocol/sdk/client/index.js');
    const client = new Client(info);
    await client.connect(await v1Transport());
    return client;
  }
  const { Client, SSEClientTransport, StreamableHTTPClientTransport } = await import('@modelcontextprotocol/client');
  const modes = { legacy: undefined, auto: { mode: 'auto' }, modern: { mode: { pin: '2026-07-28' } } };
  const client = new Client(info, { versionNegotiation: modes[errand.mode] });
  if (errand.transport === 'stdio') {
    const { StdioClientTransport } = await import('@modelcontextprotocol/client/stdio');
    await client.connect(new StdioClientTransport({ command: errand.command, args: errand.args, stderr: 'ignore' }));
  } else {
    const Transport = errand.transport === 'sse' ? SSEClientTransport : StreamableHTTPClientTransport;
    await client.connect(new Transport(new URL(errand.url)));
  }
  return client;
}

async function v1Transport() {
  if (errand.transport === 'stdio') {
    const { StdioClientTransport } = await import('@modelcontextprotocol/sdk/client/stdio.js');
    return new StdioClientTransport({ command: errand.command, args: errand.args, stderr: 'ignore' });
  }
  if (errand.transport === 'sse') {
    const { SSEClientTransport } = await import('@modelcontextprotocol/sdk/client/sse.js');
    return new SSEClientTransport(new URL(errand.url));
  }
  const { StreamableHTTPClientTransport } = await import('@modelcontextprotocol/sdk/client/streamableHttp.js');
  return new StreamableHTTPClientTransport(new URL(errand.url));
}

async function listed(client) {
  const names = [];
  let cursor;
  do {
    const page = await client.listTools(cursor === undefined ? undefined : { cursor }, { timeout: TIMEOUT });
    names.push(...page.tools.map((tool) => tool.name));
    cursor = page.nextCursor;
  } while (cursor !== undefined);
  return names;
}

async function called(client, { tool, arguments: args }) {
  const progress = [];
  const options = { timeout: TIMEOUT, onprogress: (note) => progress.push(note.progress) };
  const params = { name: tool, arguments: args };
  const result = errand.client === 'v1'
    ? await client.callTool(params, undefined, options)
    : await client.callTool(params, options);
  return { tool, text: result.content[0]?.text, isError: result.isError ?? false, progress };
}

const client = await open();
const tools = await listed(client);
const calls = [];
for (const call of errand.calls) {
  calls.push(await called(client, call).catch((error) => ({ tool: call.tool, error: String(error) })));
}
console.log(JSON.stringify({ tools, calls }));
await client.close();
process.exit(0);
