// The official Anthropic SDK for node.
import { assert, base, failOnce, key, load, run, thrown } from './client.mjs'
const Anthropic = load('@anthropic-ai/sdk').default || load('@anthropic-ai/sdk')

const once = new Anthropic({ baseURL: base, apiKey: key, maxRetries: 0 })
const retrying = new Anthropic({ baseURL: base, apiKey: key, maxRetries: 2 })
const messages = [{ role: 'user', content: 'hello there' }]
const body = (model, more = {}) => ({ model, max_tokens: 256, messages, ...more })
const tools = [{ name: 'get_weather', input_schema: { type: 'object', properties: { city: { type: 'string' } } } }]
const kinds = { 400: 'BadRequestError', 401: 'AuthenticationError', 429: 'RateLimitError', 500: 'InternalServerError', 529: 'InternalServerError' }

const checks = {
  plain: async () => {
    const answer = await once.messages.create(body('mock-echo'))
    assert(answer.content[0].text.includes('hello there') && answer.stop_reason === 'end_turn', answer)
    assert(answer.usage && answer.type === 'message' && answer.role === 'assistant', answer)
  },
  stream: async () => {
    const events = []
    const stream = once.messages.stream(body('mock-echo')).on('streamEvent', e => events.push(e.type))
    const final = await stream.finalMessage()
    assert(final.content[0].text.includes('hello there'), final)
    assert(events[0] === 'message_start' && events.at(-1) === 'message_stop', events)
  },
  tool: async () => {
    const first = await once.messages.create(body('mock-tool', { tools }))
    const call = first.content.find(c => c.type === 'tool_use')
    assert(call.name === 'get_weather' && first.stop_reason === 'tool_use', first)
    const more = [...messages, { role: 'assistant', content: first.content }, { role: 'user', content: [{ type: 'tool_result', tool_use_id: call.id, content: 'sunny' }] }]
    const second = await once.messages.create(body('mock-tool', { tools, messages: more }))
    assert(second.content.some(c => c.type === 'text'), second)
  },
  'tool-stream': async () => {
    const final = await once.messages.stream(body('mock-tool', { tools })).finalMessage()
    const call = final.content.find(c => c.type === 'tool_use')
    assert(call.name === 'get_weather' && typeof call.input === 'object', final)
  },
  cut: async () => { await thrown(() => once.messages.stream(body('mock-cut')).finalMessage()) },
  abort: async () => {
    const stream = await once.messages.create(body('mock-lorem', { stream: true }))
    let chunks = 0
    try {
      for await (const event of stream) if (event.type === 'content_block_delta' && ++chunks === 2) stream.controller.abort()
    } catch (error) { assert(/abort/i.test(error.name + error.message), error) }
    assert(chunks >= 2, 'chunks', chunks)
    assert((await once.messages.create(body('mock-echo'))).content.length > 0, 'the next call works')
  },
  retry: async () => {
    if (!await failOnce(529)) return 'skip'
    assert((await retrying.messages.create(body('mock-echo'))).content[0].text.includes('hello there'))
  }
}
for (const [status, name] of Object.entries(kinds)) {
  for (const [way, call] of [['', model => once.messages.create(body(model))], ['stream-', model => once.messages.stream(body(model)).finalMessage()]]) {
    checks[way + 'error-' + status] = async () => {
      const error = await thrown(() => call('mock-error-' + status))
      assert(error.status === Number(status), 'status', error.status, error.message)
      assert(error instanceof Anthropic[name], 'class', error.constructor.name)
      assert(error.error?.type === 'error' && error.error.error.message, 'shape', error.error)
    }
  }
}
run(checks)
