// The server's features, for either era: the SDK turns what a handler answers into the client's.
import { ProtocolError, Server, createRequestStateCodec, UriTemplate } from '@modelcontextprotocol/server';
import { randomBytes } from 'node:crypto';
import { PIXEL, text } from './content.mjs';
import { prompts } from './prompts.mjs';
import { tools } from './tools.mjs';

const key = randomBytes(32);
const TEMPLATE = 'test://template/{id}/data';

/** What a trigger has added, for every client of this process. */
const added = { tool: false, prompt: false };

const RESOURCES = {
  'test://static-text': { mimeType: 'text/plain', text: 'This is the content of the static text resource.' },
  'test://static-binary': { mimeType: 'image/png', blob: PIXEL },
  'test://watched-resource': { mimeType: 'text/plain', text: 'Watched resource content.' },
};

const resources = Object.entries(RESOURCES).map(([uri, { mimeType }]) => ({
  uri, name: uri.slice('test://'.length), description: `A resource of type ${mimeType}.`, mimeType,
}));

/** Tools that are not listed, but change the lists. */
const triggers = {
  test_trigger_tool_change: (news) => { added.tool = !added.tool; news.tools(); },
  test_trigger_prompt_change: (news) => { added.prompt = !added.prompt; news.prompts(); },
};

export function reference(news) {
  const state = createRequestStateCodec({ key });
  const server = new Server({ name: 'reference', version: '1.0.0' }, {
    capabilities: {
      tools: { listChanged: true }, prompts: { listChanged: true }, resources: { subscribe: true, listChanged: true },
      completions: {}, logging: {},
    },
    requestState: { verify: state.verify },
  });
  const kit = { state, server };

  server.setRequestHandler('tools/list', () => ({
    tools: [
      ...Object.entries(tools).map(([name, { run: _, ...tool }]) => ({ name, inputSchema: { type: 'object' }, ...tool })),
      ...(added.tool ? [{ name: 'test_added_tool', description: 'Was added.', inputSchema: { type: 'object' } }] : []),
    ],
  }));
  server.setRequestHandler('tools/call', async ({ params }, context) => {
    const trigger = triggers[params.name];
    if (trigger) {
      trigger(news);
      return text('The list has changed.');
    }
    const tool = tools[params.name];
    if (!tool) throw new ProtocolError(-32602, `Unknown tool: ${params.name}`);
    return tool.run(params.arguments ?? {}, context, kit);
  });

  server.setRequestHandler('prompts/list', () => ({
    prompts: [
      ...Object.entries(prompts).map(([name, { get: _, ...prompt }]) => ({ name, ...prompt })),
      ...(added.prompt ? [{ name: 'test_added_prompt', description: 'Was added.' }] : []),
    ],
  }));
  server.setRequestHandler('prompts/get', async ({ params }, context) => {
    const prompt = prompts[params.name];
    if (!prompt) throw new ProtocolError(-32602, `Unknown prompt: ${params.name}`);
    return prompt.get(params.arguments ?? {}, context);
  });

  server.setRequestHandler('resources/list', () => ({ resources }));
  server.setRequestHandler('resources/templates/list', () => ({
    resourceTemplates: [
      { uriTemplate: TEMPLATE, name: 'template', description: 'Data of an id.', mimeType: 'application/json' },
    ],
  }));
  server.setRequestHandler('resources/read', ({ params: { uri } }) => ({ contents: [contents(uri)] }));
  server.setRequestHandler('resources/subscribe', () => ({}));
  server.setRequestHandler('resources/unsubscribe', () => ({}));

  server.setRequestHandler('completion/complete', ({ params }) => {
    const values = ['paris', 'park', 'party'].filter((value) => value.startsWith(params.argument.value));
    return { completion: { values, total: values.length, hasMore: false } };
  });
  return server;
}

function contents(uri) {
  if (RESOURCES[uri]) return { uri, ...RESOURCES[uri] };
  const found = new UriTemplate(TEMPLATE).match(uri);
  if (!found) throw new ProtocolError(-32602, 'Resource not found', { uri });
  const data = { id: found.id, templateTest: true, data: `Data for ID: ${found.id}` };
  return { uri, mimeType: 'application/json', text: JSON.stringify(data) };
}
