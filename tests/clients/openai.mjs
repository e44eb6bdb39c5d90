// The official OpenAI SDK for node, Chat Completions and Responses.
import { assert, base, failOnce, key, load, run, thrown } from './client.mjs'
const OpenAI = load('openai').default || load('openai')

const once = new OpenAI({ baseURL: base + '/v1', apiKey: key, maxRetries: 0 })
const retrying = new OpenAI({ baseURL: base + '/v1', apiKey: key, maxRetries: 2 })
const messages = [{ role: 'user', content: 'hello there' }]
const chat = (model, more = {}, client = once, options = {}) =>
  client.chat.completions.create({ model, messages, ...more }, options)
const respond = (model, more = {}, client = once, options = {}) =>
  client.responses.create({ model, input: 'hello there', ...more }, options)
const parameters = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] }

async function chatText (stream) {
  let text = ''
  for await (const chunk of stream) text += chunk.choices[0]?.delta?.content || ''
  return text
}

async function expectStatus (call, status, name) {
  const error = await thrown(call)
  const statuses = [].concat(status)
  assert(statuses.includes(error.status), 'status', error.status, error.message)
  assert(error instanceof OpenAI[name], 'class', error.constructor.name)
}

const kinds = { 400: 'BadRequestError', 401: 'AuthenticationError', 429: 'RateLimitError', 500: 'InternalServerError', 529: 'InternalServerError' }
const checks = {
  'chat-plain': async () => {
    const answer = await chat('mock-echo')
    assert(answer.choices[0].message.content.includes('hello there'), answer)
    assert(answer.choices[0].finish_reason === 'stop', answer)
  },
  'chat-stream': async () => assert((await chatText(await chat('mock-echo', { stream: true }))).includes('hello there')),
  'chat-stream-usage': async () => {
    let usage
    for await (const chunk of await chat('mock-echo', { stream: true, stream_options: { include_usage: true } })) usage = chunk.usage || usage
    assert(usage && usage.total_tokens > 0, 'usage', usage)
  },
  'chat-tool': async () => {
    const tools = [{ type: 'function', function: { name: 'get_weather', parameters } }]
    const first = await chat('mock-tool', { tools })
    const call = first.choices[0].message.tool_calls[0]
    assert(call.function.name === 'get_weather' && first.choices[0].finish_reason === 'tool_calls', first)
    JSON.parse(call.function.arguments)
    const second = await chat('mock-tool', { tools, messages: [...messages, first.choices[0].message, { role: 'tool', tool_call_id: call.id, content: 'sunny' }] })
    assert(second.choices[0].message.content, second)
  },
  'chat-tool-stream': async () => {
    const tools = [{ type: 'function', function: { name: 'get_weather', parameters } }]
    const final = await once.chat.completions.stream({ model: 'mock-tool', messages, tools }).finalChatCompletion()
    assert(final.choices[0].message.tool_calls[0].function.name === 'get_weather', final)
  },
  'chat-cut': async () => { await thrown(async () => chatText(await chat('mock-cut', { stream: true }))) },
  'chat-abort': async () => {
    const stop = new AbortController()
    let chunks = 0
    try {
      for await (const chunk of await chat('mock-lorem', { stream: true }, once, { signal: stop.signal })) {
        if (chunk.choices[0]?.delta?.content && ++chunks === 2) stop.abort()
      }
    } catch (error) { assert(error.name === 'AbortError' || error instanceof OpenAI.APIUserAbortError, error.name) }
    assert(chunks >= 2, 'chunks', chunks)
    assert((await chat('mock-echo')).choices.length === 1, 'the next call works')
  },
  'chat-retry': async () => {
    if (!await failOnce(503)) return 'skip'
    assert((await chat('mock-echo', {}, retrying)).choices[0].message.content.includes('hello there'))
  },
  'responses-plain': async () => {
    const answer = await respond('mock-echo')
    assert(answer.output_text.includes('hello there') && answer.status === 'completed', answer)
  },
  'responses-stream': async () => {
    const seen = []
    let text = ''
    for await (const event of await respond('mock-echo', { stream: true })) {
      seen.push(event.type)
      if (event.type === 'response.output_text.delta') text += event.delta
    }
    assert(text.includes('hello there') && seen[0] === 'response.created' && seen.at(-1) === 'response.completed', seen)
  },
  'responses-tool': async () => {
    const answer = await respond('mock-tool', { tools: [{ type: 'function', name: 'get_weather', parameters, strict: false }] })
    const call = answer.output.find(o => o.type === 'function_call')
    assert(call.name === 'get_weather', answer)
    JSON.parse(call.arguments)
  },
  'responses-cut': async () => {
    let ended = false
    const error = await (async () => {
      try {
        for await (const event of await respond('mock-cut', { stream: true })) {
          ended = ended || event.type === 'response.completed'
          if (event.type === 'response.failed' || event.type === 'error') return event
        }
      } catch (error) { return error }
    })()
    // A stream that just stops is no error to this SDK; the proxy's error event makes it one.
    assert(!ended && (error || process.env.BARE), 'a cut stream looked whole')
  },
  models: async () => {
    const list = []
    for await (const model of once.models.list()) list.push(model.id)
    assert(list.length > 0, list)
  },
  embeddings: async () => {
    const answer = await once.embeddings.create({ model: 'mock-embed', input: 'hello there', encoding_format: 'float' })
    assert(answer.data[0].embedding.length > 1, answer)
  }
}
for (const [status, name] of Object.entries(kinds)) {
  const statuses = status === '529' ? [529, 503] : Number(status)
  checks['chat-error-' + status] = () => expectStatus(() => chat('mock-error-' + status), statuses, name)
  checks['responses-error-' + status] = () => expectStatus(() => respond('mock-error-' + status), statuses, name)
  checks['chat-stream-error-' + status] = () => expectStatus(async () => chatText(await chat('mock-error-' + status, { stream: true })), statuses, name)
}
run(checks)
