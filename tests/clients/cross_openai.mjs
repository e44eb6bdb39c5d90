// The official OpenAI SDK for node, Chat Completions, in front of another vendor. See cross.mjs.
import { assert, bare, data, errors, functions, leftEarly, NEW, OLD, runAll, same, scene, status, tools } from './cross.mjs'
import { load, thrown } from './client.mjs'
const OpenAI = load('openai').default || load('openai')

const declare = (...names) => tools(...names).map(t => ({ type: 'function', function: { name: t.name, description: t.description, parameters: t.schema } }))
const runnable = (...names) => declare(...names).map(t => ({ ...t, function: { ...t.function, function: functions[t.function.name], parse: JSON.parse } }))
const usage = { prompt_tokens: 100, completion_tokens: 64, total_tokens: 164 }

// A Chat message has one text for all that was thought: of several signed pieces none can come back.
const thinkTools = [['thinktool', ['20', '7']], ['thinktool-lost', ['20', '7']], ['interleaved-lost', ['five', 'done']]]

runAll(({ name: vendor, base }) => {
  const client = new OpenAI({ baseURL: base + '/v1', apiKey: 'sk-dummy', maxRetries: 0 })
  const whole = ({ lost, ...params }) => client.chat.completions.create({ model: NEW, ...params })
  const streamed = async ({ lost, ...params }) => {
    let thought = ''
    const stream = client.chat.completions.stream({ model: NEW, stream_options: { include_usage: true }, ...params })
    const final = await stream.on('chunk', c => { thought += c.choices[0]?.delta?.reasoning_content || '' }).finalChatCompletion()
    // The helper keeps only the last piece of members that it does not know. An application that wants them to come back
    // collects them itself; one that does not must be served, too ("-lost").
    if (!lost && thought) final.choices[0].message.reasoning_content = thought
    return final
  }
  const checks = {}
  const user = text => ({ role: 'user', content: text })
  const checkUsage = answer => {
    for (const [key, value] of Object.entries(usage)) same(answer.usage[key], value, key)
    same(answer.usage.prompt_tokens_details.cached_tokens, 80, 'cached tokens')
    if (!bare) assert([NEW, OLD].includes(answer.model), 'model', answer.model)
    assert(/^chatcmpl-./.test(answer.id) && answer.created > 1e9, 'id and created', answer.id, answer.created)
  }
  const said = (answer, text, finish = 'stop') => {
    same(answer.choices[0].message.content, text, 'content')
    same(answer.choices[0].finish_reason, finish, 'finish reason')
    checkUsage(answer)
    return answer.choices[0].message
  }
  const calls = answer => {
    same(answer.choices[0].finish_reason, 'tool_calls', 'finish reason')
    return answer.choices[0].message.tool_calls
  }

  for (const [way, ask] of [['whole', whole], ['stream', streamed]]) {
    const reply = (messages, answer, result) => messages.push(answer.choices[0].message, ...calls(answer).map((c, i) => ({ role: 'tool', tool_call_id: c.id, content: result(c, i) })))
    Object.assign(checks, {
      [way + '-text']: async () => {
        const messages = [user(scene('text').text)]
        messages.push(said(await ask({ messages }), data.say), user('and now?'))
        said(await ask({ messages }), 'step 1')
      },
      [way + '-system']: async () => said(await ask({ messages: [...data.system.map((t, i) => ({ role: i ? 'developer' : 'system', content: t })), user(scene('system').text)] }), 'ok'),
      [way + '-params']: async () => said(await ask({ model: OLD, temperature: 0.5, max_tokens: 777, stop: ['STOP-1', '\n\nSTOP "2"'], messages: [user(scene('params').text)] }), 'ok'),
      [way + '-tool']: async () => {
        const messages = [user(scene('tool').text)]
        const params = { messages, tools: declare('get_weather', 'get_time') }
        const first = await ask(params)
        same(first.choices[0].message.content, 'Let me look.', 'content')
        same(JSON.parse(calls(first)[0].function.arguments), data.args, 'arguments')
        reply(messages, first, () => data.weather)
        said(await ask(params), 'It is ' + data.weather)
      },
      [way + '-parallel']: async () => {
        const messages = [user(scene('parallel').text)]
        const params = { messages, tools: declare('get_weather', 'get_time') }
        const first = await ask(params)
        same(calls(first).map(c => ({ name: c.function.name, args: JSON.parse(c.function.arguments) })), data.parallel.map(({ name, args }) => ({ name, args })), 'calls')
        assert(new Set(calls(first).map(c => c.id)).size === 3, 'ids are not unique')
        reply(messages, first, (_c, i) => data.parallel[i].result)
        messages.push(...messages.splice(2).reverse()) // results may come in any order
        said(await ask(params), 'all three')
      },
      [way + '-noargs']: async () => {
        const messages = [user(scene('noargs').text)]
        const first = await ask({ messages, tools: declare('now') })
        if (!bare) same(JSON.parse(calls(first)[0].function.arguments), {}, 'arguments')
        else first.choices[0].message.tool_calls[0].function.arguments = '{}'
        reply(messages, first, () => '12:00')
        said(await ask({ messages, tools: declare('now') }), 'It is 12:00')
      },
      [way + '-thinktool-forgotten']: async () => {
        for (const model of vendor === 'anthropic' || vendor === 'gemini' ? [NEW, OLD] : [NEW]) {
          const messages = [user(scene('forgotten').text)]
          const params = { model, messages, tools: declare('add'), reasoning_effort: 'high' }
          const first = await ask(params)
          const call = calls(first)[0]
          messages.push({ role: 'assistant', content: first.choices[0].message.content, tool_calls: [{ id: call.id, type: 'function', function: { name: call.function.name, arguments: call.function.arguments } }] })
          messages.push({ role: 'tool', tool_call_id: call.id, content: '5' })
          said(await ask(params), '5')
        }
      },
      [way + '-choice']: async () => { calls(await ask({ messages: [user(scene('choice').text)], tools: declare('now'), tool_choice: 'required', parallel_tool_calls: false })) },
      [way + '-named']: async () => {
        const answer = await ask({ messages: [user(scene('named').text)], tools: declare('now', 'get_time'), tool_choice: { type: 'function', function: { name: 'get_time' } } })
        same(answer.choices[0].message.tool_calls[0].function.name, 'get_time', 'name')
      },
      [way + '-none']: async () => said(await ask({ messages: [user(scene('none').text)], tools: declare('now'), tool_choice: 'none' }), 'no tools then'),
      [way + '-image']: async () => {
        const { text } = scene('image')
        const content = [{ type: 'text', text }, { type: 'image_url', image_url: { url: 'data:image/png;base64,' + data.png } }, { type: 'text', text: 'what is it?' }]
        said(await ask({ messages: [{ role: 'user', content }] }), 'a png')
      },
      [way + '-pdf']: async () => {
        const content = [{ type: 'text', text: scene('pdf').text }, { type: 'file', file: { filename: 'a "b".pdf', file_data: 'data:application/pdf;base64,' + data.pdf } }]
        said(await ask({ messages: [{ role: 'user', content }] }), 'a pdf')
      },
      [way + '-length']: async () => {
        // The SDK's stream helper has an error class of its own for this stop.
        const params = { messages: [user(scene('length').text)] }
        said(way === 'whole' ? await whole(params) : await raw(params), 'Once upon a', 'length')
      },
      [way + '-filter']: async () => {
        const params = { messages: [user(scene('filter').text)] }
        const answer = way === 'whole' ? await whole(params) : await raw(params)
        same(answer.choices[0].finish_reason, 'content_filter', 'finish reason')
        assert(!answer.choices[0].message.content, 'content', answer)
      },
      [way + '-sequence']: async () => said(await ask({ model: OLD, stop: 'STOP', messages: [user(scene('sequence').text)] }), 'until ')
    })
    if (vendor !== 'gemini') {
      checks[way + '-imageurl'] = async () => {
        const content = [{ type: 'text', text: scene('imageurl').text }, { type: 'image_url', image_url: { url: data.image_url } }]
        said(await ask({ messages: [{ role: 'user', content }] }), 'a url')
      }
    }
  }
  /** The stream read chunk by chunk, by hand. */
  const raw = async params => {
    const out = { choices: [{ message: { content: '' } }] }
    for await (const chunk of await client.chat.completions.create({ model: NEW, stream: true, stream_options: { include_usage: true }, ...params })) {
      Object.assign(out, { id: chunk.id, created: chunk.created, model: chunk.model, usage: chunk.usage || out.usage })
      out.choices[0].message.content += chunk.choices[0]?.delta?.content || ''
      out.choices[0].finish_reason = chunk.choices[0]?.finish_reason || out.choices[0].finish_reason
    }
    return out
  }
  const models = vendor === 'anthropic' || vendor === 'gemini' ? [NEW, OLD] : [NEW]
  const kept = message => bare ? (({ reasoning_content: _r, ...rest }) => rest)(message) : message
  for (const model of models) {
    for (const [way, ask] of [['whole', whole], ['stream', streamed]]) {
      for (const name of vendor === 'anthropic' ? ['think', 'think-lost', 'redacted'] : ['think']) {
        checks[`${way}-${name}-${model}`] = async () => {
          const messages = [user(scene(name).text)]
          for (let i = 0; i < 3; i++) {
            const answer = await ask({ model, messages, reasoning_effort: 'high', lost: name === 'think-lost' })
            same(answer.choices[0].message.content, 'answer ' + i, 'content')
            if (name === 'think' && vendor !== 'responses') same(answer.choices[0].message.reasoning_content, data.thinking, 'thinking')
            if (name === 'think') same(answer.usage.completion_tokens_details.reasoning_tokens, 40, 'reasoning tokens')
            messages.push(kept(answer.choices[0].message), user('next'))
          }
        }
      }
      for (const [name, texts] of thinkTools) {
        checks[`${way}-${name}-${model}`] = async () => {
          const messages = [user(scene(name).text)]
          const params = { model, messages, tools: declare('add', 'multiply'), reasoning_effort: 'high', lost: name.endsWith('-lost') }
          for (let asked = 0; asked < texts.length;) {
            const { message } = (await ask(params)).choices[0]
            messages.push(kept(message))
            for (const c of message.tool_calls || []) messages.push({ role: 'tool', tool_call_id: c.id, content: String(functions[c.function.name](JSON.parse(c.function.arguments))) })
            if (message.tool_calls) continue
            same(message.content, texts[asked++], 'content')
            messages.push(user('go on'))
          }
        }
      }
    }
  }
  for (const stream of [false, true]) {
    const way = stream ? 'stream' : 'whole'
    const gone = async params => stream ? client.chat.completions.stream({ model: NEW, ...params }).finalChatCompletion() : whole(params)
    checks[way + '-runtools'] = async () => {
      const runner = client.chat.completions.runTools({ model: NEW, stream, messages: [user(scene('loop').text)], tools: runnable('add', 'multiply') })
      same(await runner.finalContent(), 'The answer is 21', 'content')
    }
    checks[way + '-parse'] = async () => {
      const response_format = { type: 'json_schema', json_schema: { name: 'person', schema: data.schema, strict: true } }
      const params = { model: NEW, messages: [user(scene('schema').text)], response_format }
      const answer = stream ? await streamed(params) : await client.chat.completions.parse(params)
      same(JSON.parse(answer.choices[0].message.content), data.person, 'content')
    }
    for (const kind of errors) {
      checks[`${way}-error-${kind}`] = async () => {
        const error = await thrown(() => gone({ messages: [user(scene('error-' + kind).text)] }))
        same(error.status, status('chat', kind), 'status of ' + error.message)
        if (kind === '429') same(error.headers.get('retry-after'), '7', 'retry-after')
        if (kind === '400') assert(error.message.includes('that is "too hot" \\ 🌡'), error.message)
        if (kind === '429') assert(error instanceof OpenAI.RateLimitError, error.constructor.name)
        if (kind === 'context') same(error.code, 'context_length_exceeded', 'code')
        assert(error.error.message && 'type' in error.error && 'code' in error.error && 'param' in error.error, 'shape', error.error)
      }
    }
    for (const name of stream ? ['middle', 'cut', 'unfinished', 'garbled'] : ['cut', 'body-error']) {
      if (bare && ['unfinished', 'body-error'].includes(name)) continue
      checks[`${way}-${name}`] = async () => {
        const error = await thrown(() => gone({ messages: [user(scene(name).text)] }))
        if (name === 'middle') assert(error.message.includes('Overloaded just now'), error.message)
        assert(error instanceof OpenAI.OpenAIError || bare, error.stack)
      }
    }
    checks[way + '-abort'] = async () => {
      const { nonce, text } = scene('slow')
      const stop = new AbortController()
      setTimeout(() => stop.abort(), 300)
      const error = await thrown(async () => {
        const answer = await client.chat.completions.create({ model: NEW, stream, messages: [user(text)] }, { signal: stop.signal })
        if (stream) for await (const _ of answer);
        if (stop.signal.aborted) throw new OpenAI.APIUserAbortError() // a stream that is aborted just ends
      })
      assert(/abort/i.test(error.name + error.message), String(error))
      await leftEarly(nonce)
    }
  }
  if (!bare) {
    checks.refusals = async () => {
      const messages = [user(scene('text').text)]
      for (const [name, more] of Object.entries({ n: { n: 2 }, modalities: { modalities: ['text', 'audio'], audio: { voice: 'alloy', format: 'wav' } }, tool_choice: { tools: declare('now'), tool_choice: { type: 'function', function: { name: 'other' } } } })) {
        if (name === 'n' && vendor === 'gemini') continue // it can do that
        const error = await thrown(() => whole({ messages, ...more }))
        assert(error.status === 400 && error.message.toLowerCase().includes(name.replace('_', ' ')) || error.message.includes(name), name, error.message)
      }
      const wrong = await thrown(() => whole({ messages: [...messages, user([{ type: 'text', text: 'x' }, { type: 'riddle', riddle: 1 }])] }))
      assert(wrong.status === 400 && wrong.message.includes('messages[1].content[1]'), wrong.message)
    }
  }
  return checks
})
