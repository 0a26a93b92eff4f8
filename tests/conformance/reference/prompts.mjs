import { acceptedContent, inputRequired } from '@modelcontextprotocol/server';
import { image, said } from './content.mjs';

const argument = (name) => ({ name, description: `Argument ${name}.`, required: true });

export const prompts = {
  test_simple_prompt: {
    description: 'A prompt without arguments.',
    get: () => ({ messages: [said('This is a simple prompt for testing.')] }),
  },
  test_prompt_with_arguments: {
    description: 'A prompt with two arguments.',
    arguments: [argument('arg1'), argument('arg2')],
    get: ({ arg1, arg2 }) => ({ messages: [said(`Prompt with arguments: arg1='${arg1}', arg2='${arg2}'`)] }),
  },
  test_prompt_with_embedded_resource: {
    description: 'A prompt that embeds a resource.',
    arguments: [argument('resourceUri')],
    get: ({ resourceUri: uri }) => ({
      messages: [
        said({ type: 'resource', resource: { uri, mimeType: 'text/plain', text: 'Embedded resource content for testing.' } }),
        said('Please process the embedded resource above.'),
      ],
    }),
  },
  test_prompt_with_image: {
    description: 'A prompt with an image.',
    get: () => ({ messages: [said(image()), said('Please analyze the image above.')] }),
  },
  test_input_required_result_prompt: {
    description: 'A prompt that asks for its context.',
    get: (_, { mcpReq }) => {
      const answer = acceptedContent(mcpReq.inputResponses, 'user_context');
      if (answer) return { messages: [said(`Use this context: ${answer.context}`)] };
      const requestedSchema = { type: 'object', properties: { context: { type: 'string' } }, required: ['context'] };
      const message = 'What context should the prompt use?';
      return inputRequired({ inputRequests: { user_context: inputRequired.elicit({ message, requestedSchema }) } });
    },
  },
};
