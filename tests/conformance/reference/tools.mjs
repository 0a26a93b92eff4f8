// The tools, by what they exercise: content and notifications here, questions to the client in questions.mjs.
import { ProtocolError } from '@modelcontextprotocol/server';
import { SILENCE, image, pause, text } from './content.mjs';
import { questions } from './questions.mjs';

const schema = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  type: 'object',
  $defs: {
    address: {
      $anchor: 'addressDef',
      type: 'object',
      properties: { street: { type: 'string' }, city: { type: 'string' } },
    },
  },
  properties: {
    name: { type: 'string' },
    address: { $ref: '#/$defs/address' },
    contactMethod: { type: 'string', enum: ['phone', 'email'] },
    phone: { type: 'string' },
    email: { type: 'string' },
  },
  allOf: [{ anyOf: [{ required: ['phone'] }, { required: ['email'] }] }],
  if: { properties: { contactMethod: { const: 'phone' } }, required: ['contactMethod'] },
  then: { required: ['phone'] },
  else: { required: ['email'] },
  additionalProperties: false,
};

const embedded = (uri, mimeType, text) => ({ type: 'resource', resource: { uri, mimeType, text } });

async function report({ mcpReq }) {
  const progressToken = mcpReq._meta?.progressToken;
  for (const progress of [0, 50, 100]) {
    if (progress > 0) await pause(50);
    if (progressToken === undefined) continue;
    await mcpReq.notify({ method: 'notifications/progress', params: { progressToken, progress, total: 100 } });
  }
  return text('Progress was reported.');
}

async function log({ mcpReq }) {
  for (const [index, message] of ['started', 'processing data', 'completed'].entries()) {
    if (index > 0) await pause(50);
    await mcpReq.log('info', `Tool ${index === 1 ? message : `execution ${message}`}`);
  }
  return text('Messages were logged.');
}

export const tools = {
  test_simple_text: {
    description: 'Answers with a text.',
    run: () => text('This is a simple text response for testing.'),
  },
  test_image_content: { description: 'Answers with an image.', run: () => ({ content: [image()] }) },
  test_audio_content: {
    description: 'Answers with audio.',
    run: () => ({ content: [{ type: 'audio', data: SILENCE, mimeType: 'audio/wav' }] }),
  },
  test_embedded_resource: {
    description: 'Answers with a resource.',
    run: () => ({ content: [embedded('test://embedded-resource', 'text/plain', 'This is an embedded resource content.')] }),
  },
  test_multiple_content_types: {
    description: 'Answers with a text, an image and a resource.',
    run: () => {
      const resource = embedded('test://mixed-content-resource', 'application/json', '{"test":"data","value":123}');
      return { content: [...text('Multiple content types test:').content, image(), resource] };
    },
  },
  test_error_handling: {
    description: 'Fails.',
    run: () => ({ ...text('This tool intentionally returns an error for testing'), isError: true }),
  },
  test_tool_with_progress: { description: 'Reports progress.', run: (_, context) => report(context) },
  test_tool_with_logging: { description: 'Logs.', run: (_, context) => log(context) },
  test_logging_tool: { description: 'Logs, for who has asked for it.', run: (_, context) => log(context) },
  json_schema_2020_12_tool: {
    description: 'Has a schema with the vocabulary of JSON Schema 2020-12.',
    inputSchema: schema,
    run: (args) => text(JSON.stringify(args)),
  },
  test_x_mcp_header: {
    description: 'Has arguments that are mirrored in headers.',
    inputSchema: {
      type: 'object',
      properties: {
        region: { type: 'string', 'x-mcp-header': 'Region' },
        limit: { type: 'integer', 'x-mcp-header': 'Limit' },
      },
    },
    run: (args) => text(JSON.stringify(args)),
  },
  test_reconnection: {
    description: 'Closes its stream, and answers on the one that takes its place.',
    run: async (_, { http, mcpReq }) => {
      http?.closeSSE?.();
      await pause(100);
      return text(`Answered after the stream of request ${mcpReq.id} was closed.`);
    },
  },
  test_missing_capability: {
    description: 'Needs a client that can sample.',
    run: (_, { mcpReq }) => {
      if (declared(mcpReq).sampling) return text('The client can sample.');
      throw new ProtocolError(-32021, 'The client cannot sample', { requiredCapabilities: { sampling: {} } });
    },
  },
  ...questions,
};

function declared({ envelope }) {
  return envelope?.['io.modelcontextprotocol/clientCapabilities'] ?? {};
}
