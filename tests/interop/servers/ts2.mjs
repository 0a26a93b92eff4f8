// A server of the TypeScript SDK v2 over Streamable HTTP: both eras, no sessions.
import http from 'node:http';
import { toNodeHandler } from '@modelcontextprotocol/node';
import { McpServer, createMcpHandler, fromJsonSchema } from '@modelcontextprotocol/server';

const schema = (name, type) => fromJsonSchema({ type: 'object', properties: { [name]: { type } }, required: [name] });
const text = (text) => ({ content: [{ type: 'text', text }] });

function server() {
  const server = new McpServer({ name: 'ts2', version: '1.0.0' });
  server.registerTool('echo', { description: 'Gives the message back.', inputSchema: schema('message', 'string') },
    async ({ message }) => text(`Echo: ${message}`));
  server.registerTool('slow', { description: 'Reports progress.', inputSchema: schema('steps', 'integer') },
    async ({ steps }, context) => {
      const progressToken = context.mcpReq._meta?.progressToken;
      for (let progress = 1; progress <= steps; progress += 1) {
        if (progressToken !== undefined) {
          const params = { progressToken, progress, total: steps };
          await context.mcpReq.notify({ method: 'notifications/progress', params });
        }
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      return text(`${steps} steps`);
    });
  return server;
}

const listener = http.createServer(toNodeHandler(createMcpHandler(server)));
listener.listen(0, '127.0.0.1', () => console.error(`LISTENING ${listener.address().port}`));
