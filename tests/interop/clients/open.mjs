// Opens a TypeScript client: `errand` has `client` (v1 or v2), `mode`, `transport`, and `url` or `command` with `args`.
export async function open(errand, options = {}) {
  const info = { name: `interop-${errand.client}`, version: '1.0.0' };
  if (errand.client === 'v1') {
    const { Client } = await import('@modelcontextprotocol/sdk/client/index.js');
    const client = new Client(info, options);
    return { client, connect: async () => client.connect(await v1Transport(errand)) };
  }
  const { Client, SSEClientTransport, StreamableHTTPClientTransport } = await import('@modelcontextprotocol/client');
  const modes = { legacy: undefined, auto: { mode: 'auto' }, modern: { mode: { pin: '2026-07-28' } } };
  const client = new Client(info, { ...options, versionNegotiation: modes[errand.mode] });
  if (errand.transport === 'stdio') {
    const { StdioClientTransport } = await import('@modelcontextprotocol/client/stdio');
    const { command, args } = errand;
    return { client, connect: () => client.connect(new StdioClientTransport({ command, args, stderr: 'ignore' })) };
  }
  const Transport = errand.transport === 'sse' ? SSEClientTransport : StreamableHTTPClientTransport;
  return { client, connect: () => client.connect(new Transport(new URL(errand.url))) };
}

async function v1Transport({ transport, url, command, args }) {
  if (transport === 'stdio') {
    const { StdioClientTransport } = await import('@modelcontextprotocol/sdk/client/stdio.js');
    return new StdioClientTransport({ command, args, stderr: 'ignore' });
  }
  if (transport === 'sse') {
    const { SSEClientTransport } = await import('@modelcontextprotocol/sdk/client/sse.js');
    return new SSEClientTransport(new URL(url));
  }
  const { StreamableHTTPClientTransport } = await import('@modelcontextprotocol/sdk/client/streamableHttp.js');
  return new StreamableHTTPClientTransport(new URL(url));
}
