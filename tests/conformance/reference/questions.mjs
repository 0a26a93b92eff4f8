// Tools that ask the client. Each is written as 2026-07-28 has it; to a client of `initialize` the SDK asks by requests.
import { acceptedContent, inputRequired } from '@modelcontextprotocol/server';
import { text } from './content.mjs';

const form = (properties, required = Object.keys(properties)) => ({ type: 'object', properties, required });
const string = (extra = {}) => ({ type: 'string', ...extra });
const elicit = (message, requestedSchema) => inputRequired.elicit({ message, requestedSchema });
const sample = (text, maxTokens = 100) =>
  inputRequired.createMessage({ messages: [{ role: 'user', content: { type: 'text', text } }], maxTokens });

/** The answer to `key`, if it is one to the method it was asked by. */
function answer(mcpReq, key, member) {
  const found = mcpReq.inputResponses?.[key];
  return found && typeof found === 'object' && member in found ? found : undefined;
}

/** A tool that asks one thing, and tells what came back. */
const asks = (description, key, member, question, tell, inputSchema) => ({
  description,
  ...(inputSchema && { inputSchema }),
  run: (args, { mcpReq }) => {
    const found = answer(mcpReq, key, member);
    return found ? text(tell(found)) : inputRequired({ inputRequests: { [key]: question(args) } });
  },
});

const completed = ({ action, content }) => `Elicitation completed: action=${action}, content=${JSON.stringify(content ?? {})}`;
const spoken = ({ content }) => (Array.isArray(content) ? content[0] : content)?.text ?? '';

const titled = (kind, count) => Array.from({ length: count }, (_, index) => ({
  const: `value${index + 1}`, title: `${['First', 'Second', 'Third'][index]} ${kind}`,
}));
const OPTIONS = ['option1', 'option2', 'option3'];

const several = (mcpReq, wanted) => {
  const open = Object.entries(wanted).filter(([key, { member }]) => !answer(mcpReq, key, member));
  return Object.fromEntries(open.map(([key, { ask }]) => [key, ask]));
};

const name = () => elicit('What is your name?', form({ name: string() }));
const confirm = () => elicit('Please confirm', form({ ok: { type: 'boolean' } }));

/** A tool that goes on only with the state it gave. */
const stateful = (description, said) => ({
  description,
  run: async (_, { mcpReq }, { state }) => {
    const known = mcpReq.requestState();
    if (known?.asked === 'confirm' && answer(mcpReq, 'confirm', 'action')) return text(said);
    return inputRequired({ inputRequests: { confirm: confirm() }, requestState: await state.mint({ asked: 'confirm' }) });
  },
});

export const questions = {
  test_sampling: asks('Asks for a sample.', 'sample', 'content', ({ prompt }) => sample(prompt),
    (found) => `LLM response: ${spoken(found)}`, form({ prompt: string() })),
  test_elicitation: asks('Asks the user.', 'user', 'action',
    ({ message }) => elicit(message, form({
      username: string({ description: "User's response" }), email: string({ description: "User's email address" }),
    })),
    ({ action, content }) => `User response: action=${action}, content=${JSON.stringify(content ?? {})}`,
    form({ message: string() })),
  test_elicitation_sep1034_defaults: asks('Asks with defaults.', 'defaults', 'action',
    () => elicit('Please check the defaults', form({
      name: string({ default: 'John Doe' }),
      age: { type: 'integer', default: 30 },
      score: { type: 'number', default: 95.5 },
      status: string({ enum: ['active', 'inactive', 'pending'], default: 'active' }),
      verified: { type: 'boolean', default: true },
    }, [])), completed),
  test_elicitation_sep1330_enums: asks('Asks for choices.', 'choices', 'action',
    () => elicit('Please choose', form({
      untitledSingle: string({ enum: OPTIONS }),
      titledSingle: string({ oneOf: titled('Option', 3) }),
      legacyEnum: string({ enum: ['opt1', 'opt2', 'opt3'], enumNames: ['Option One', 'Option Two', 'Option Three'] }),
      untitledMulti: { type: 'array', items: { type: 'string', enum: OPTIONS } },
      titledMulti: { type: 'array', items: { anyOf: titled('Choice', 3) } },
    }, [])), completed),
  test_streaming_elicitation: asks('Asks for consent.', 'consent', 'action', confirm, completed),
  test_input_required_result_elicitation: {
    description: 'Asks for a name.',
    run: (_, { mcpReq }) => {
      const known = acceptedContent(mcpReq.inputResponses, 'user_name');
      if (typeof known?.name === 'string') return text(`Hello, ${known.name}!`);
      return inputRequired({ inputRequests: { user_name: name() } });
    },
  },
  test_input_required_result_sampling: asks('Asks a model.', 'capital_question', 'content',
    () => sample('What is the capital of France?'), spoken),
  test_input_required_result_list_roots: asks('Asks for the roots.', 'client_roots', 'roots',
    () => inputRequired.listRoots(), ({ roots }) => `Roots: ${roots.map(({ uri }) => uri).join(', ')}`),
  test_input_required_result_request_state: stateful('Checks its state.', 'state-ok'),
  test_input_required_result_tampered_state: stateful('Refuses a state that is not its own.', 'The state is whole.'),
  test_input_required_result_multiple_inputs: {
    description: 'Asks three things at once.',
    run: async (_, { mcpReq }, { state }) => {
      const open = several(mcpReq, {
        user_name: { member: 'action', ask: name() },
        greeting: { member: 'content', ask: sample('Generate a greeting', 50) },
        client_roots: { member: 'roots', ask: inputRequired.listRoots() },
      });
      if (Object.keys(open).length === 0) return text('All was answered.');
      return inputRequired({ inputRequests: open, requestState: await state.mint({ asked: Object.keys(open) }) });
    },
  },
  test_input_required_result_multi_round: {
    description: 'Asks twice.',
    run: async (_, { mcpReq }, { state }) => {
      const known = mcpReq.requestState() ?? {};
      const step = async (key, message, schema, so) => inputRequired({
        inputRequests: { [key]: elicit(message, schema) }, requestState: await state.mint(so),
      });
      const first = acceptedContent(mcpReq.inputResponses, 'step1')?.name ?? known.name;
      if (first === undefined) return step('step1', 'Step 1: What is your name?', form({ name: string() }), { step: 1 });
      const second = acceptedContent(mcpReq.inputResponses, 'step2')?.color;
      if (second !== undefined) return text(`${first} likes ${second}.`);
      const message = 'Step 2: What is your favorite color?';
      return step('step2', message, form({ color: string() }), { step: 2, name: first });
    },
  },
  test_input_required_result_capabilities: {
    description: 'Asks only what the client can answer.',
    run: (_, { mcpReq }, { server }) => {
      // A client says it with each request, or said it in `initialize`.
      const able = mcpReq.envelope?.['io.modelcontextprotocol/clientCapabilities'] ?? server.getClientCapabilities() ?? {};
      const open = several(mcpReq, {
        ...(able.elicitation && { user_name: { member: 'action', ask: name() } }),
        ...(able.sampling && { greeting: { member: 'content', ask: sample('Generate a greeting', 50) } }),
        ...(able.roots && { client_roots: { member: 'roots', ask: inputRequired.listRoots() } }),
      });
      return Object.keys(open).length === 0 ? text('Nothing is left to ask.') : inputRequired({ inputRequests: open });
    },
  },
};
