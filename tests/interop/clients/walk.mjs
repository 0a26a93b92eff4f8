// One session of a TypeScript client that walks through features. The errand is that of open.mjs, with
//   steps: [{ step, ...arguments }]
// Each step leaves what it found, or `{ error }`; stdout ends with the list of them.
import { open } from './open.mjs';

const errand = JSON.parse(process.argv[2]);
const TIMEOUT = errand.timeout ?? 15_000;
const v1 = errand.client === 'v1';

/** What servers asked, and what the user says to it. */
let asked = [];
let answers = {};
const notes = [];
const waiting = new Set();

const heard = (note) => {
  notes.push(note);
  for (const look of [...waiting]) look();
};

/** The first note that fits, from `since` on. */
const note = (fits, since = 0) => new Promise((resolve, reject) => {
  const give = setTimeout(() => { waiting.delete(look); reject(new Error('nothing was heard')); }, TIMEOUT);
  const look = () => {
    const found = notes.slice(since).find(fits);
    if (!found) return;
    clearTimeout(give);
    waiting.delete(look);
    resolve(found);
  };
  waiting.add(look);
  look();
});

const isModern = () => client.getNegotiatedProtocolVersion?.() === '2026-07-28';
const LEVEL = 'io.modelcontextprotocol/logLevel';
const { client, connect } = await open(errand, {
  capabilities: errand.capabilities ?? { elicitation: { form: {}, url: {} }, sampling: { tools: {} }, roots: { listChanged: true } },
});

const handlers = {
  'elicitation/create': ({ params }) => {
    if (params.mode === 'url') {
      asked.push({ url: params.url, message: params.message });
      return { action: answers.elicit?.action ?? 'accept' };
    }
    asked.push({ message: params.message, fields: Object.keys(params.requestedSchema.properties) });
    return answers.elicit ?? { action: 'accept', content: { name: 'Ada' } };
  },
  'sampling/createMessage': ({ params }) => {
    asked.push({ sample: params.messages[0].content.text ?? params.messages[0].content[0].text, tools: params.tools?.map(({ name }) => name) });
    if (params.tools) {
      const content = [{ type: 'tool_use', id: 't1', name: params.tools[0].name, input: { a: 1 } }];
      return { role: 'assistant', model: 'test', stopReason: 'toolUse', content };
    }
    return { role: 'assistant', model: 'test', content: { type: 'text', text: 'word' } };
  },
  'roots/list': () => {
    asked.push({ roots: true });
    return { roots: [{ uri: 'file:///home/ada', name: 'home' }] };
  },
};
const NOTES = ['tools/list_changed', 'prompts/list_changed', 'resources/list_changed', 'resources/updated', 'message'];
if (v1) {
  const types = await import('@modelcontextprotocol/sdk/types.js');
  client.setRequestHandler(types.ElicitRequestSchema, handlers['elicitation/create']);
  client.setRequestHandler(types.CreateMessageRequestSchema, handlers['sampling/createMessage']);
  client.setRequestHandler(types.ListRootsRequestSchema, handlers['roots/list']);
  const schemas = [types.ToolListChangedNotificationSchema, types.PromptListChangedNotificationSchema,
    types.ResourceListChangedNotificationSchema, types.ResourceUpdatedNotificationSchema, types.LoggingMessageNotificationSchema];
  for (const schema of schemas) client.setNotificationHandler(schema, heard);
} else {
  for (const [method, handler] of Object.entries(handlers)) client.setRequestHandler(method, handler);
  for (const name of NOTES) client.setNotificationHandler(`notifications/${name}`, heard);
}

const call = (params, options = {}) => {
  const all = { timeout: TIMEOUT, ...options };
  return v1 ? client.callTool(params, undefined, all) : client.callTool(params, all);
};
const said = (result) => result.content.map(({ text, ...rest }) => text ?? rest);

async function every(list, member) {
  const found = [];
  let cursor;
  do {
    const page = await list(cursor === undefined ? undefined : { cursor }, { timeout: TIMEOUT });
    found.push(...page[member]);
    cursor = page.nextCursor;
  } while (cursor !== undefined);
  return found;
}

const steps = {
  /** How often the server tells of its log, beside all calls. */
  later: async ({ name, level }) => {
    if (!isModern()) await client.setLoggingLevel(level, { timeout: TIMEOUT });
    await call({ name, arguments: {} });
    const since = notes.length;
    await note(({ method }) => method === 'notifications/message', since);
    return 'heard';
  },
  tools: async () => (await every((...all) => client.listTools(...all), 'tools')).map(({ name }) => name),
  prompts: async () => (await every((...all) => client.listPrompts(...all), 'prompts')).map(({ name }) => name),
  resources: async () => (await every((...all) => client.listResources(...all), 'resources')).map(({ uri }) => uri),
  templates: async () => (await every((...all) => client.listResourceTemplates(...all), 'resourceTemplates')).map(({ uriTemplate }) => uriTemplate),
  /** Says so, and goes on when told: the gateway is another one then. */
  restart: () => new Promise((resolve) => {
    process.stdin.once('data', () => resolve({}));
    console.log('RESTART');
  }),
  ping: () => client.ping({ timeout: TIMEOUT }),
  call: async ({ name, arguments: args = {}, structured }) => {
    const result = await call({ name, arguments: args });
    return { said: said(result), isError: result.isError ?? false, ...(structured && { structured: result.structuredContent }) };
  },
  asked: async ({ name, arguments: args = {}, answers: wanted = {} }) => {
    [asked, answers] = [[], wanted];
    const result = await call({ name, arguments: args });
    return { asked, said: said(result), isError: result.isError ?? false };
  },
  prompt: async ({ name, arguments: args, answers: wanted = {} }) => {
    [asked, answers] = [[], wanted];
    const { messages } = await client.getPrompt({ name, arguments: args }, { timeout: TIMEOUT });
    return { asked, messages: messages.map(({ content }) => content.text ?? content) };
  },
  read: async ({ uri }) => (await client.readResource({ uri }, { timeout: TIMEOUT })).contents,
  complete: async ({ ref, argument, context }) =>
    (await client.complete({ ref, argument, ...(context && { context }) }, { timeout: TIMEOUT })).completion.values,
  progress: async ({ name, arguments: args = {} }) => {
    const progress = [];
    const result = await call({ name, arguments: args }, { onprogress: ({ progress: at }) => progress.push(at) });
    return { progress, said: said(result) };
  },
  /** Takes a call back, and asks the server until it knows. */
  cancel: async ({ name, count }) => {
    const before = Number(said(await call({ name: count, arguments: {} }))[0]);
    const abort = new AbortController();
    const ended = call({ name, arguments: {} }, { signal: abort.signal }).then(() => 'answered', () => 'aborted');
    await new Promise((resolve) => setTimeout(resolve, 300));
    abort.abort('no longer wanted');
    const outcome = await ended;
    const begun = Date.now();
    let now = before;
    while (now === before && Date.now() - begun < 3000) now = Number(said(await call({ name: count, arguments: {} }))[0]);
    return { outcome, cancelled: now - before };
  },
  /** The log messages in the course of a call. */
  log: async ({ name, level, at_least }) => {
    const since = notes.length;
    if (!isModern()) await client.setLoggingLevel(level, { timeout: TIMEOUT });
    await call({ name, arguments: {}, ...(isModern() && { _meta: { [LEVEL]: level } }) });
    const logs = () => notes.slice(since).filter(({ method }) => method === 'notifications/message');
    await note(() => logs().length >= at_least);
    return logs().map(({ params }) => `${params.level}: ${params.data}`);
  },
  /** Calls a tool that adds another, waits to hear of it, and says how many more there are. */
  grown: async ({ name }) => {
    const since = notes.length;
    const before = (await steps.tools()).length;
    const listening = isModern() ? await client.listen({ toolsListChanged: true }) : undefined;
    await call({ name, arguments: {} });
    await note(({ method }) => method === 'notifications/tools/list_changed', since);
    await listening?.close();
    return { more: (await steps.tools()).length - before };
  },
  /** Calls a tool that changes a list, and waits to hear of it. */
  changed: async ({ name, arguments: args, wanted }) => {
    const since = notes.length;
    const listening = isModern() ? await client.listen({ resourcesListChanged: true }) : undefined;
    await call({ name, arguments: args });
    const found = await note(({ method }) => method === `notifications/${wanted}`, since);
    await listening?.close();
    return found.method;
  },
  updated: async ({ uri, name, arguments: args = {} }) => {
    const since = notes.length;
    const listening = isModern() ? await client.listen({ resourceSubscriptions: [uri] }) : undefined;
    if (!listening) await client.subscribeResource({ uri }, { timeout: TIMEOUT });
    await call({ name, arguments: args });
    const found = await note(({ method, params }) => method === 'notifications/resources/updated' && params.uri === uri, since);
    if (listening) await listening.close();
    else await client.unsubscribeResource({ uri }, { timeout: TIMEOUT });
    return found.params.uri;
  },
};

await connect();
const found = [];
for (const step of errand.steps) {
  const result = await Promise.resolve().then(() => steps[step.step](step)).catch((error) => (
    { error: error.code ?? String(error), message: error.message, ...(error.data && { data: error.data }) }));
  found.push(result);
}
console.log(JSON.stringify({ steps: found }));
await client.close();
process.exit(0);
