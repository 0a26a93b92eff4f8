// The reference server: everything the suite asks a server for, over Streamable HTTP on loopback.
//
//   node reference/main.mjs both|legacy|modern
//
// `legacy` knows `initialize` only, `modern` 2026-07-28 only. Says `LISTENING port` on stderr.
import { randomUUID } from 'node:crypto';
import http from 'node:http';
import {
  NodeStreamableHTTPServerTransport, localhostHostValidation, localhostOriginValidation, toNodeHandler, toWebRequest,
} from '@modelcontextprotocol/node';
import { createMcpHandler, isLegacyRequest } from '@modelcontextprotocol/server';
import { Events } from './events.mjs';
import { reference } from './server.mjs';

const eras = process.argv[2] ?? 'both';

/** Sessions of `initialize`, by their ids. */
const sessions = new Map();

/** Tells every client of both eras that a list has changed. */
const news = {
  tools: () => tell('toolsChanged', 'sendToolListChanged'),
  prompts: () => tell('promptsChanged', 'sendPromptListChanged'),
};

const modern = createMcpHandler(() => reference(news), { legacy: 'reject' });
const serveModern = toNodeHandler(modern);

function tell(modernWord, legacyWord) {
  modern.notify[modernWord]();
  for (const { server } of sessions.values()) server[legacyWord]().catch(() => {});
}

async function serveLegacy(request, response, body) {
  const id = request.headers['mcp-session-id'];
  const session = sessions.get(id);
  if (session) return session.transport.handleRequest(request, response, body);
  if (id !== undefined) return refuse(response, 404, body, -32001, 'Session not found');
  const server = reference(news);
  const transport = new NodeStreamableHTTPServerTransport({
    sessionIdGenerator: randomUUID,
    eventStore: new Events(),
    retryInterval: 100,
    onsessioninitialized: (id) => { sessions.set(id, { server, transport }); },
    onsessionclosed: (id) => { sessions.delete(id); },
  });
  await server.connect(transport);
  return transport.handleRequest(request, response, body);
}

function refuse(response, status, body, code, message) {
  const error = { jsonrpc: '2.0', id: body?.id ?? null, error: { code, message } };
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(error));
}

async function read(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const text = Buffer.concat(chunks).toString();
  try {
    return text === '' ? undefined : JSON.parse(text);
  } catch {
    return text;
  }
}

async function serve(request, response) {
  const body = request.method === 'POST' ? await read(request) : undefined;
  const legacy = eras === 'legacy' || (eras === 'both' && await isLegacyRequest(await toWebRequest(request, body), body));
  // A server of before 2026-07-28 knows no `server/discover`, and takes it for a request without a session.
  if (legacy && body?.method !== 'initialize' && request.headers['mcp-session-id'] === undefined) {
    return refuse(response, 400, body, -32000, 'Server not initialized');
  }
  return legacy ? serveLegacy(request, response, body) : serveModern(request, response, body);
}

const [validHost, validOrigin] = [localhostHostValidation(), localhostOriginValidation()];
const listener = http.createServer((request, response) => {
  if (!validHost(request, response) || !validOrigin(request, response)) return;
  serve(request, response).catch((error) => {
    console.error(error);
    if (!response.headersSent) refuse(response, 500, undefined, -32603, String(error));
  });
});
listener.listen(Number(process.env.PORT ?? 0), '127.0.0.1', () => console.error(`LISTENING ${listener.address().port}`));
