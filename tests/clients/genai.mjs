// The official Google GenAI SDK for node. It asks /v1/models/… unless told otherwise; aimock serves /v1beta only, so
// both versions are asked for where there is no CONTROL.
import { assert, base, failOnce, key, load, run, thrown } from './client.mjs'
const { GoogleGenAI } = load('@google/genai')

const make = apiVersion => new GoogleGenAI({ apiKey: key, apiVersion, httpOptions: { baseUrl: base, apiVersion } })
const clients = { v1beta: make('v1beta') }
if (!process.env.CONTROL) clients.v1 = make('v1')
const contents = [{ role: 'user', parts: [{ text: 'hello there' }] }]
const tools = [{ functionDeclarations: [{ name: 'get_weather', parametersJsonSchema: { type: 'object', properties: { city: { type: 'string' } } } }] }]

const checks = {}
for (const [version, ai] of Object.entries(clients)) {
  const call = (model, config) => ai.models.generateContent({ model, contents, config })
  const stream = (model, config) => ai.models.generateContentStream({ model, contents, config })
  const collect = async chunks => {
    let text = ''
    for await (const chunk of await chunks) text += chunk.text || ''
    return text
  }
  Object.assign(checks, {
    [version + '-plain']: async () => {
      const answer = await call('mock-echo')
      assert(answer.text.includes('hello there') && answer.candidates[0].finishReason === 'STOP', answer)
    },
    [version + '-stream']: async () => assert((await collect(stream('mock-echo'))).includes('hello there')),
    [version + '-tool']: async () => {
      const answer = await call('mock-tool', { tools })
      assert(answer.functionCalls[0].name === 'get_weather', answer)
    },
    [version + '-tool-stream']: async () => {
      const calls = []
      for await (const chunk of await stream('mock-tool', { tools })) calls.push(...(chunk.functionCalls || []))
      assert(calls[0].name === 'get_weather', calls)
    },
    [version + '-abort']: async () => {
      const stop = new AbortController()
      let chunks = 0
      try {
        for await (const chunk of await stream('mock-lorem', { abortSignal: stop.signal })) if (chunk.text && ++chunks === 2) stop.abort()
      } catch (error) { assert(/abort/i.test(error.name + error.message), String(error)) }
      assert(chunks >= 2, 'chunks', chunks)
      assert((await call('mock-echo')).text, 'the next call works')
    },
    [version + '-retry']: async () => {
      if (!await failOnce(503)) return 'skip'
      const error = await thrown(() => call('mock-echo'))
      assert(error.status === 503, error.status)
      assert((await call('mock-echo')).text.includes('hello there'))
    }
  })
  for (const status of [400, 401, 429, 500]) {
    checks[version + '-error-' + status] = async () => {
      const error = await thrown(() => call('mock-error-' + status))
      assert(error.status === status, 'status', error.status, error.message)
    }
  }
}
run(checks)
