// One session of a TypeScript client. Takes its errand as JSON in the first argument and says on stdout how it went:
//   { client: 'v1' | 'v2', mode, url | command + args, transport, calls: [{ tool, arguments, text, progress }] }
import { open } from './open.mjs';

const errand = JSON.parse(process.argv[2]);
const TIMEOUT = 30_000;

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

const { client, connect } = await open(errand);
await connect();
const tools = await listed(client);
const calls = [];
for (const call of errand.calls) {
  calls.push(await called(client, call).catch((error) => ({ tool: call.tool, error: String(error) })));
}
console.log(JSON.stringify({ tools, calls }));
await client.close();
process.exit(0);
