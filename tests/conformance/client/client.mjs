// A real client that does what a client scenario waits for: lists everything, and calls what is listed.
//
//   node client/client.mjs [initialize] URL
//
// `initialize` makes it open like a client of before 2026-07-28, whatever the scenario is about.
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';

const url = process.argv.at(-1);
const scenario = process.env.MCP_CONFORMANCE_SCENARIO;
const context = JSON.parse(process.env.MCP_CONFORMANCE_CONTEXT ?? '{}');
const revision = process.env.MCP_CONFORMANCE_PROTOCOL_VERSION;
const modern = revision === '2026-07-28' && !process.argv.includes('initialize');

/** Arguments for tools that need some. */
const ARGUMENTS = { add_numbers: { a: 2, b: 3 } };

const client = new Client({ name: 'conformance', version: '1.0.0' }, {
  capabilities: { elicitation: { form: {} }, sampling: {}, roots: {} },
  ...(modern && { versionNegotiation: { mode: { pin: revision } } }),
});

let elicited = 0;
client.setRequestHandler('elicitation/create', async ({ params }) => {
  elicited += 1;
  // What another call says must not leak into the one that waits for this answer.
  if (scenario === 'sep-2322-client-request-state' && elicited === 1) await call({ name: 'test_mrtr_unrelated' });
  const properties = Object.entries(params.requestedSchema?.properties ?? {});
  const content = Object.fromEntries(properties.map(([name, property]) => [name, property.default ?? filler(property)]));
  return { action: 'accept', content };
});

function filler({ type }) {
  return { boolean: true, integer: 1, number: 1 }[type] ?? 'x';
}

async function all(what, list) {
  try {
    return await list();
  } catch (error) {
    console.error(`${what}: ${error}`);
    return [];
  }
}

async function call({ name, arguments: args = ARGUMENTS[name] ?? {} }) {
  try {
    console.log(name, JSON.stringify(await client.callTool({ name, arguments: args }, { timeout: 15_000 })));
  } catch (error) {
    console.error(`${name}: ${error}`);
  }
}

await client.connect(new StreamableHTTPClientTransport(new URL(url)));
const able = client.getServerCapabilities() ?? {};
const tools = await all('tools', async () => (await client.listTools()).tools);
// Every tool that is listed is called: a client never calls one that it was not to be shown.
const calls = context.toolCalls ?? tools.filter(({ name }) => name !== 'test_mrtr_unrelated');
for (const tool of calls) await call({ name: tool.name, arguments: context.toolCalls ? tool.arguments : undefined });

if (able.resources) {
  for (const { uri } of await all('resources', async () => (await client.listResources()).resources)) {
    await all(uri, () => client.readResource({ uri }));
  }
}
if (able.prompts) {
  for (const { name } of await all('prompts', async () => (await client.listPrompts()).prompts)) {
    await all(name, () => client.getPrompt({ name }));
  }
}
await client.close();
process.exit(0);
