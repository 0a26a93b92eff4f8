// A server of the TypeScript SDK v2 with everything that crosses between the eras.
//
//   node servers/asking.mjs stdio|http both|legacy|modern|sessions
//
// `modern` refuses `initialize`; `legacy` and `sessions` know nothing else, over stdio and HTTP. Says `LISTENING port`.
import { randomUUID } from 'node:crypto';
import http from 'node:http';
import { NodeStreamableHTTPServerTransport, toNodeHandler } from '@modelcontextprotocol/node';
import { ProtocolError, Server, createMcpHandler, inputRequired } from '@modelcontextprotocol/server';
import { StdioServerTransport, serveStdio } from '@modelcontextprotocol/server/stdio';

const [wire, eras] = process.argv.slice(2);
const text = (text) => ({ content: [{ type: 'text', text }] });
const object = (properties = {}, required = Object.keys(properties)) => ({ type: 'object', properties, required });
const form = { message: 'Your name?', requestedSchema: object({ name: { type: 'string' } }) };
const messages = [{ role: 'user', content: { type: 'text', text: 'Say a word' } }];
const calculator = [{ name: 'add', inputSchema: { type: 'object' } }];

/** What the calls of this process have done. */
const seen = { cancelled: 0, grown: 0 };

/** A tool that asks one thing and says what came back. */
const asks = (key, question) => (_, { mcpReq }) => {
  const answer = mcpReq.inputResponses?.[key];
  return answer ? text(JSON.stringify(answer)) : inputRequired({ inputRequests: { [key]: question } });
};

const tools = {
  ask: asks('name', inputRequired.elicit(form)),
  visit: asks('visit', inputRequired.elicitUrl({ message: 'Please log in', url: 'https://example.com/login' })),
  sample: asks('word', inputRequired.createMessage({ messages, maxTokens: 10 })),
  sample_tools: asks('sum', inputRequired.createMessage({ messages, maxTokens: 10, tools: calculator })),
  roots: asks('roots', inputRequired.listRoots()),
  several: (_, { mcpReq }) => {
    const { name, roots } = mcpReq.inputResponses ?? {};
    if (name && roots) return text(`${name.content.name} at ${roots.roots[0].uri}`);
    return inputRequired({ inputRequests: { name: inputRequired.elicit(form), roots: inputRequired.listRoots() } });
  },
  log: async (_, { mcpReq }) => {
    for (const level of ['debug', 'info', 'error']) await mcpReq.log(level, `said at ${level}`);
    return text('logged');
  },
  progress: async (_, { mcpReq }) => {
    const progressToken = mcpReq._meta?.progressToken;
    for (const progress of [1, 2, 3]) {
      if (progressToken === undefined) break;
      const params = { progressToken, progress, total: 3, message: `step ${progress}` };
      await mcpReq.notify({ method: 'notifications/progress', params });
      // SDKs settle a call before they tell of what came in one read with its end.
      await new Promise((resolve) => setTimeout(resolve, 30));
    }
    return text('done');
  },
  wait: (_, { mcpReq }) => new Promise((resolve) => {
    mcpReq.signal.addEventListener('abort', () => {
      seen.cancelled += 1;
      resolve(text('too late'));
    });
  }),
  cancelled: () => text(String(seen.cancelled)),
  fail: () => ({ ...text('it failed'), isError: true }),
  number: () => ({ ...text('42'), structuredContent: { value: 42 } }),
  grow: (_, __, { news }) => {
    seen.grown += 1;
    news.tools();
    return text(`grown to ${seen.grown}`);
  },
  touch: ({ uri }, __, { news }) => {
    news.updated(uri);
    return text('touched');
  },
};

const schemas = { touch: object({ uri: { type: 'string' } }) };
const outputs = { number: object({ value: { type: 'integer' } }) };

function server(news) {
  const server = new Server({ name: 'asking', version: '1.0.0' }, {
    capabilities: {
      tools: { listChanged: true }, prompts: {}, resources: { subscribe: true }, completions: {}, logging: {},
    },
    instructions: 'Ask.',
  });
  const kit = { news: news(server) };
  server.setRequestHandler('tools/list', ({ params }) => {
    const names = [...Object.keys(tools), ...Array.from({ length: seen.grown }, (_, index) => `grown_${index + 1}`)];
    const listed = names.map((name) => ({
      name, inputSchema: schemas[name] ?? { type: 'object' }, ...(outputs[name] && { outputSchema: outputs[name] }),
    }));
    // Two pages.
    return params?.cursor === 'second' ? { tools: listed.slice(5) } : { tools: listed.slice(0, 5), nextCursor: 'second' };
  });
  server.setRequestHandler('tools/call', ({ params }, context) => {
    const tool = tools[params.name];
    if (!tool) throw new ProtocolError(-32602, `Unknown tool: ${params.name}`);
    return tool(params.arguments ?? {}, context, kit);
  });
  server.setRequestHandler('prompts/list', () => ({ prompts: [{ name: 'greet', arguments: [{ name: 'who', required: true }] }, { name: 'ask' }] }));
  server.setRequestHandler('prompts/get', ({ params }, { mcpReq }) => {
    const said = (text) => ({ messages: [{ role: 'user', content: { type: 'text', text } }] });
    if (params.name === 'greet') return said(`Hello, ${params.arguments.who}`);
    const answer = mcpReq.inputResponses?.name;
    return answer ? said(JSON.stringify(answer)) : inputRequired({ inputRequests: { name: inputRequired.elicit(form) } });
  });
  server.setRequestHandler('resources/list', () => ({ resources: [{ uri: 'asking://one', name: 'one' }] }));
  server.setRequestHandler('resources/templates/list', () => ({ resourceTemplates: [{ uriTemplate: 'asking://item/{id}', name: 'item' }] }));
  server.setRequestHandler('resources/read', ({ params: { uri } }) => {
    if (uri !== 'asking://one' && !uri.startsWith('asking://item/')) throw new ProtocolError(-32602, 'Resource not found', { uri });
    return { contents: [{ uri, mimeType: 'text/plain', text: `this is ${uri}` }] };
  });
  server.setRequestHandler('resources/subscribe', () => ({}));
  server.setRequestHandler('resources/unsubscribe', () => ({}));
  server.setRequestHandler('completion/complete', ({ params }) => {
    const values = [`${params.ref.name ?? params.ref.uri} ${params.argument.value} ${params.context?.arguments?.tone ?? ''}`];
    return { completion: { values, total: 1, hasMore: false } };
  });
  return server;
}

const servers = new Set();
const of = (server) => (servers.add(server), {
  tools: () => { for (const server of servers) server.sendToolListChanged().catch(() => servers.delete(server)); },
  updated: (uri) => server.sendResourceUpdated({ uri }),
});

if (wire === 'stdio') {
  if (eras === 'legacy') await server(of).connect(new StdioServerTransport());
  else serveStdio(() => server(of), { legacy: eras === 'modern' ? 'reject' : 'serve' });
} else {
  const sessions = new Map();
  const handler = eras === 'sessions' ? undefined : createMcpHandler(() => server(() => ({
    tools: () => handler.notify.toolsChanged(),
    updated: (uri) => handler.notify.resourceUpdated(uri),
  })), { legacy: eras === 'modern' ? 'reject' : 'stateless' });
  const serve = handler ? toNodeHandler(handler) : async (request, response) => {
    const id = request.headers['mcp-session-id'];
    const known = sessions.get(id);
    if (known) return known.handleRequest(request, response);
    if (id !== undefined) return response.writeHead(404).end();
    const transport = new NodeStreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      onsessioninitialized: (id) => { sessions.set(id, transport); },
      onsessionclosed: (id) => { sessions.delete(id); },
    });
    await server(of).connect(transport);
    return transport.handleRequest(request, response);
  };
  const listener = http.createServer(serve);
  listener.listen(0, '127.0.0.1', () => console.error(`LISTENING ${listener.address().port}`));
}
