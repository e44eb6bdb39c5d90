// The official Anthropic SDK for node in front of another vendor. See cross.mjs.
import { assert, bare, data, errors, functions, leftEarly, NEW, OLD, runAll, same, scene, status, tools } from './cross.mjs'
import { load, thrown } from './client.mjs'
const Anthropic = load('@anthropic-ai/sdk').default || load('@anthropic-ai/sdk')

const declare = (...names) => tools(...names).map(t => ({ name: t.name, description: t.description, input_schema: t.schema }))
const runnable = (...names) => declare(...names).map(t => ({ ...t, type: 'custom', run: args => String(functions[t.name](args)), parse: args => args }))
const user = content => ({ role: 'user', content })
const source = { type: 'base64', media_type: 'image/png', data: data.png }

runAll(({ name: vendor, base }) => {
  const client = new Anthropic({ baseURL: base, apiKey: 'sk-dummy', maxRetries: 0 })
  const fixed = params => ({ model: NEW, max_tokens: 8192, ...params })
  const loose = vendor === 'gemini' ? '-calls' : ''
  const whole = params => client.messages.create(fixed(params))
  const streamed = async params => {
    const kinds = []
    const stream = client.messages.stream(fixed(params)).on('streamEvent', e => kinds.push(e.type))
    const final = await stream.finalMessage()
    same([kinds[0], kinds.at(-2), kinds.at(-1)], ['message_start', 'message_delta', 'message_stop'], 'events')
    return final
  }
  const said = (answer, text, stop = 'end_turn') => {
    same(answer.content.filter(b => b.type === 'text').map(b => b.text).join(''), text, 'text')
    same(answer.stop_reason, stop, 'stop reason')
    checkUsage(answer)
    return answer.content
  }
  const checkUsage = answer => {
    for (const [key, value] of Object.entries({ input_tokens: 20, cache_read_input_tokens: 80, output_tokens: 64 })) same(answer.usage[key], value, key)
    if (!bare) assert([NEW, OLD].includes(answer.model), 'model', answer.model)
    assert(/^msg_./.test(answer.id) && answer.type === 'message' && answer.role === 'assistant', 'id', answer)
  }
  const calls = answer => {
    same(answer.stop_reason, 'tool_use', 'stop reason')
    checkUsage(answer)
    const out = answer.content.filter(b => b.type === 'tool_use')
    assert(out.every(c => /^[a-zA-Z0-9_-]+$/.test(c.id)), 'ids', out)
    return out
  }
  const result = (call, content, more = {}) => ({ type: 'tool_result', tool_use_id: call.id, content, ...more })
  const checks = {}

  for (const [way, ask] of [['whole', whole], ['stream', streamed]]) {
    const stream = way === 'stream'
    Object.assign(checks, {
      [way + '-text']: async () => {
        const messages = [user(scene('text').text)]
        messages.push({ role: 'assistant', content: said(await ask({ messages }), data.say) }, user('and now?'))
        said(await ask({ messages }), 'step 1')
      },
      [way + '-system']: async () => {
        said(await ask({ system: data.system.map(text => ({ type: 'text', text, cache_control: { type: 'ephemeral' } })), messages: [user(scene('system').text)] }), 'ok')
        said(await ask({ system: data.system.join('\n\n'), messages: [user(scene('system').text)] }), 'ok')
      },
      [way + '-params']: async () => {
        said(await ask({ model: OLD, temperature: 0.5, max_tokens: 777, stop_sequences: ['STOP-1', '\n\nSTOP "2"'], messages: [user(scene('params').text)], metadata: { user_id: '{"a":"b"}' } }), 'ok')
      },
      [way + '-tool']: async () => {
        const params = { messages: [user(scene('tool').text)], tools: declare('get_weather', 'get_time') }
        const first = await ask(params)
        same(first.content.map(b => b.type).filter(t => t !== 'thinking'), ['text', 'tool_use'], 'blocks')
        same(calls(first)[0].input, data.args, 'input')
        params.messages.push({ role: 'assistant', content: first.content }, user([result(calls(first)[0], data.weather)]))
        said(await ask(params), 'It is ' + data.weather)
      },
      [way + '-parallel']: async () => {
        const params = { messages: [user(scene('parallel').text)], tools: declare('get_weather', 'get_time') }
        const first = await ask(params)
        same(calls(first).map(c => ({ name: c.name, args: c.input })), data.parallel.map(({ name, args }) => ({ name, args })), 'calls')
        assert(new Set(calls(first).map(c => c.id)).size === 3, 'ids are not unique')
        params.messages.push({ role: 'assistant', content: first.content }, user([...calls(first).map((c, i) => result(c, [{ type: 'text', text: data.parallel[i].result }])).reverse(), { type: 'text', text: 'well?' }]))
        said(await ask(params), 'all three')
      },
      [way + '-noargs']: async () => {
        const params = { messages: [user(scene('noargs').text)], tools: declare('now') }
        const first = await ask(params)
        same(calls(first)[0].input, {}, 'input')
        params.messages.push({ role: 'assistant', content: first.content }, user([result(calls(first)[0], '12:00')]))
        said(await ask(params), 'It is 12:00')
      },
      [way + '-toolrunner']: async () => {
        const runner = client.beta.messages.toolRunner(fixed({ stream, messages: [user(scene('loop').text)], tools: runnable('add', 'multiply') }))
        said(await runner.runUntilDone(), 'The answer is 21')
      },
      [way + '-toolerror']: async () => {
        const params = { messages: [user(scene('toolerror').text)], tools: declare('now') }
        const first = await ask(params)
        params.messages.push({ role: 'assistant', content: first.content }, user([result(calls(first)[0], 'the clock is broken', { is_error: true })]))
        said(await ask(params), 'a pity')
      },
      [way + '-toolimage']: async () => {
        const params = { messages: [user(scene('toolimage').text)], tools: declare('now') }
        const first = await ask(params)
        params.messages.push({ role: 'assistant', content: first.content }, user([result(calls(first)[0], [{ type: 'text', text: 'see the picture' }, { type: 'image', source }])]))
        said(await ask(params), 'a picture')
      },
      [way + '-thinktool-forgotten']: async () => {
        const params = { messages: [user(scene('forgotten').text)], tools: declare('add'), thinking: { type: 'adaptive' } }
        const call = calls(await ask(params))[0]
        params.messages.push({ role: 'assistant', content: [call] }, user([result(call, '5')]))
        said(await ask(params), '5')
      },
      [way + '-choice']: async () => { calls(await ask({ messages: [user(scene('choice').text)], tools: declare('now'), tool_choice: { type: 'any', disable_parallel_tool_use: true } })) },
      [way + '-named']: async () => {
        same(calls(await ask({ messages: [user(scene('named').text)], tools: declare('now', 'get_time'), tool_choice: { type: 'tool', name: 'get_time' } }))[0].name, 'get_time', 'name')
      },
      [way + '-none']: async () => { said(await ask({ messages: [user(scene('none').text)], tools: declare('now'), tool_choice: { type: 'none' } }), 'no tools then') },
      [way + '-image']: async () => { said(await ask({ messages: [user([{ type: 'text', text: scene('image').text }, { type: 'image', source }, { type: 'text', text: 'what is it?' }])] }), 'a png') },
      [way + '-pdf']: async () => {
        const document = { type: 'document', title: 'a.pdf', source: { type: 'base64', media_type: 'application/pdf', data: data.pdf } }
        said(await ask({ messages: [user([{ type: 'text', text: scene('pdf').text }, document])] }), 'a pdf')
      },
      [way + '-schema']: async () => {
        const answer = await ask({ messages: [user(scene('schema').text)], output_config: { format: { type: 'json_schema', schema: data.schema } } })
        same(JSON.parse(answer.content[0].text), data.person, 'person')
      },
      [way + '-length']: async () => { said(await ask({ messages: [user(scene('length').text)] }), 'Once upon a', 'max_tokens') },
      [way + '-filter']: async () => { said(await ask({ messages: [user(scene('filter').text)] }), '', 'refusal') },
      [way + '-sequence']: async () => {
        const answer = await ask({ model: OLD, stop_sequences: ['STOP'], messages: [user(scene('sequence').text)] })
        said(answer, 'until ', vendor === 'anthropic' ? 'stop_sequence' : 'end_turn')
      },
      ...(vendor === 'gemini' ? {} : { [way + '-imageurl']: async () => {
        said(await ask({ messages: [user([{ type: 'text', text: scene('imageurl').text }, { type: 'image', source: { type: 'url', url: data.image_url } }])] }), 'a url')
      } })
    })
    for (const model of vendor === 'anthropic' || vendor === 'gemini' ? [NEW, OLD] : [NEW]) {
      const thinking = model === OLD ? { thinking: { type: 'enabled', budget_tokens: 4096 } } : { thinking: { type: 'adaptive', display: 'summarized' }, output_config: { effort: 'high' } }
      for (const name of vendor === 'anthropic' ? ['think', 'redacted'] : ['think']) {
        checks[`${way}-${name}-${model}`] = async () => {
          const messages = [user(scene(name + loose).text)]
          for (let i = 0; i < 3; i++) {
            const answer = await ask({ model, messages, ...thinking })
            same(answer.content.at(-1).text, 'answer ' + i, 'text of the last block')
            if (name === 'think') same(answer.content[0].thinking, data.thinking, 'thinking')
            messages.push({ role: 'assistant', content: answer.content }, user('next'))
          }
        }
      }
      for (const [name, texts] of [['thinktool', ['20', '7']], ['interleaved', ['five', 'done']]]) {
        checks[`${way}-${name}-${model}`] = async () => {
          const params = { model, messages: [user(scene(name + loose).text)], tools: declare('add', 'multiply'), ...thinking }
          for (let asked = 0; asked < texts.length;) {
            const answer = await ask(params)
            const made = answer.content.filter(b => b.type === 'tool_use')
            params.messages.push({ role: 'assistant', content: answer.content })
            if (made.length) {
              params.messages.push(user(made.map(c => result(c, String(functions[c.name](c.input))))))
            } else {
              said(answer, texts[asked++])
              params.messages.push(user('go on'))
            }
          }
        }
      }
    }
    for (const kind of errors) {
      checks[`${way}-error-${kind}`] = async () => {
        const error = await thrown(() => ask({ messages: [user(scene('error-' + kind).text)] }))
        same(error.status, status('anthropic', kind), 'status of ' + error.message)
        if (kind === '429') same(error.headers.get('retry-after'), '7', 'retry-after')
        if (kind === '400') assert(error.error.error.message.includes('that is "too hot" \\ 🌡'), error.message)
        if (kind === 'context') assert(error.error.error.message.startsWith('prompt is too long'), error.message)
        assert(error.error.type === 'error' && error.error.error.type && error.error.error.message, 'shape', error.error)
        if (kind === 'overloaded') same(error.error.error.type, 'overloaded_error', 'type')
      }
    }
    for (const name of stream ? ['middle', 'cut', 'unfinished', 'garbled'] : ['cut', 'body-error']) {
      if (bare && ['unfinished', 'body-error', 'garbled'].includes(name)) continue
      checks[`${way}-${name}`] = async () => {
        const error = await thrown(() => ask({ messages: [user(scene(name).text)] }))
        if (name === 'middle') assert(error.message.includes('Overloaded just now') && error.message.includes('overloaded_error'), error.message)
        assert(error instanceof Anthropic.AnthropicError || bare, error.stack)
      }
    }
    checks[way + '-abort'] = async () => {
      const { nonce, text } = scene('slow')
      const stop = new AbortController()
      setTimeout(() => stop.abort(), 300)
      const error = await thrown(async () => {
        const answer = await client.messages.create(fixed({ stream, messages: [user(text)] }), { signal: stop.signal })
        if (stream) for await (const _ of answer);
        if (stop.signal.aborted) throw new Anthropic.APIUserAbortError()
      })
      assert(/abort/i.test(error.name + error.message), String(error))
      await leftEarly(nonce)
    }
  }
  if (!bare) {
    checks.refusals = async () => {
      const error = await thrown(() => whole({ container: 'container_1', messages: [user(scene('text').text)] }))
      assert(error.status === 400 && error.message.includes('container'), error.message)
      const wrong = await thrown(() => whole({ messages: [user(scene('text').text), { role: 'assistant', content: 'x' }, user([{ type: 'text', text: 'x' }, { type: 'riddle' }])] }))
      assert(wrong.status === 400 && /messages[.[]2]?\.content[.[]1/.test(wrong.message), wrong.message)
    }
  }
  checks.count = async () => {
    const { input_tokens: count } = await client.messages.countTokens({ model: NEW, messages: [user(scene('text').text)], tools: declare('get_weather') })
    assert(vendor === 'chat' ? count > 10 : count === 123, 'count', count)
  }
  return checks
})
