// The official OpenAI SDK for node, Responses, in front of another vendor. See cross.mjs.
import { assert, bare, data, errors, functions, leftEarly, NEW, OLD, runAll, same, scene, status, tools } from './cross.mjs'
import { load, thrown } from './client.mjs'
const OpenAI = load('openai').default || load('openai')

const declare = (...names) => tools(...names).map(t => ({ type: 'function', name: t.name, description: t.description, parameters: t.schema, strict: false }))
const user = text => ({ role: 'user', content: [{ type: 'input_text', text }] })

runAll(({ name: vendor, base }) => {
  const client = new OpenAI({ baseURL: base + '/v1', apiKey: 'sk-dummy', maxRetries: 0 })
  const fixed = params => ({ model: NEW, store: false, ...params })
  const whole = params => client.responses.create(fixed(params))
  const streamed = async params => {
    const stream = client.responses.stream(fixed(params))
    const seen = []
    stream.on('event', e => seen.push(e))
    const final = await stream.finalResponse()
    same(seen.map(e => e.sequence_number), seen.map((_e, i) => i), 'sequence numbers')
    const text = seen.filter(e => e.type === 'response.output_text.delta').map(e => e.delta).join('')
    same(text, final.output_text, 'text of the deltas')
    // What is repeated at the end is what came before, item by item.
    same(seen.filter(e => e.type === 'response.output_item.done').map(e => e.item), JSON.parse(JSON.stringify(seen.at(-1).response.output)), 'items')
    return final
  }
  const checkUsage = answer => {
    for (const [key, value] of Object.entries({ input_tokens: 100, output_tokens: 64, total_tokens: 164 })) same(answer.usage[key], value, key)
    same(answer.usage.input_tokens_details.cached_tokens, 80, 'cached tokens')
    if (!bare) assert([NEW, OLD].includes(answer.model), 'model', answer.model)
    assert(/^resp_./.test(answer.id) && answer.created_at > 1e9 && answer.object === 'response', 'id', answer.id)
  }
  const said = (answer, text, status = 'completed') => {
    same(answer.output_text, text, 'text')
    same(answer.status, status, 'status')
    checkUsage(answer)
    return answer.output
  }
  const calls = answer => {
    same(answer.status, 'completed', 'status')
    const out = answer.output.filter(o => o.type === 'function_call')
    assert(out.length > 0 && out.every(c => /^fc_./.test(c.id) && c.status === 'completed'), 'calls', answer.output)
    return out
  }
  /** As an application that keeps its own history does it; `lean`: without ids and what else only the answer needs. */
  const echo = output => output.map(({ parsed, status, ...item }) => item).map(item => item.type === 'function_call' ? (({ parsed_arguments, ...call }) => call)(item) : item)
  const result = (call, output) => ({ type: 'function_call_output', call_id: call.call_id, output })
  const checks = {}

  for (const [way, ask] of [['whole', whole], ['stream', streamed]]) {
    Object.assign(checks, {
      [way + '-text']: async () => {
        const input = [user(scene('text').text)]
        input.push(...echo(said(await ask({ input }), data.say)), user('and now?'))
        said(await ask({ input }), 'step 1')
      },
      [way + '-string']: async () => said(await ask({ input: scene('text').text }), data.say),
      [way + '-system']: async () => said(await ask({ instructions: data.system[0], input: [{ role: 'developer', content: data.system[1] }, user(scene('system').text)] }), 'ok'),
      [way + '-params']: async () => said(await ask({ model: OLD, temperature: 0.5, max_output_tokens: 777, input: scene('params').text }), 'ok'),
      [way + '-tool']: async () => {
        const params = { input: [user(scene('tool').text)], tools: declare('get_weather', 'get_time') }
        const first = await ask(params)
        same(first.output_text, 'Let me look.', 'text')
        same(first.output.map(o => o.type).filter(t => t !== 'reasoning'), ['message', 'function_call'], 'items')
        same(JSON.parse(calls(first)[0].arguments), data.args, 'arguments')
        params.input.push(...echo(first.output), result(calls(first)[0], data.weather))
        said(await ask(params), 'It is ' + data.weather)
      },
      [way + '-parallel']: async () => {
        const params = { input: [user(scene('parallel').text)], tools: declare('get_weather', 'get_time') }
        const first = await ask(params)
        same(calls(first).map(c => ({ name: c.name, args: JSON.parse(c.arguments) })), data.parallel.map(({ name, args }) => ({ name, args })), 'calls')
        assert(new Set(calls(first).map(c => c.call_id)).size === 3, 'ids are not unique')
        params.input.push(...echo(first.output), ...calls(first).map((c, i) => result(c, data.parallel[i].result)).reverse())
        said(await ask(params), 'all three')
      },
      [way + '-noargs']: async () => {
        const params = { input: [user(scene('noargs').text)], tools: declare('now') }
        const first = await ask(params)
        same(JSON.parse(calls(first)[0].arguments), {}, 'arguments')
        params.input.push(...echo(first.output), result(calls(first)[0], '12:00'))
        said(await ask(params), 'It is 12:00')
      },
      [way + '-custom']: async () => {
        const tools = [{ type: 'custom', name: 'shell', description: 'Runs a "command"' }]
        const input = [user(scene('custom').text)]
        const first = await ask({ input, tools })
        const call = first.output.find(o => o.type === 'custom_tool_call')
        same(call.input, data.say, 'input')
        input.push(...echo(first.output), { type: 'custom_tool_call_output', call_id: call.call_id, output: data.weather })
        said(await ask({ input, tools }), 'ran')
      },
      [way + '-loop']: async () => {
        const params = { input: [user(scene('loop').text)], tools: declare('add', 'multiply') }
        for (let i = 0; i < 3; i++) {
          const answer = await ask(params)
          params.input.push(...echo(answer.output))
          for (const c of calls(answer)) params.input.push(result(c, String(functions[c.name](JSON.parse(c.arguments)))))
        }
        said(await ask(params), 'The answer is 21')
      },
      [way + '-thinktool-forgotten']: async () => {
        for (const model of vendor === 'anthropic' || vendor === 'gemini' ? [NEW, OLD] : [NEW]) {
          const params = { model, input: [user(scene('forgotten').text)], tools: declare('add'), reasoning: { effort: 'high', summary: 'auto' } }
          const call = calls(await ask(params))[0]
          params.input.push({ type: 'function_call', call_id: call.call_id, name: call.name, arguments: call.arguments }, result(call, '5'))
          said(await ask(params), '5')
        }
      },
      [way + '-choice']: async () => { calls(await ask({ input: scene('choice').text, tools: declare('now'), tool_choice: 'required', parallel_tool_calls: false })) },
      [way + '-named']: async () => {
        same(calls(await ask({ input: scene('named').text, tools: declare('now', 'get_time'), tool_choice: { type: 'function', name: 'get_time' } }))[0].name, 'get_time', 'name')
      },
      [way + '-none']: async () => said(await ask({ input: scene('none').text, tools: declare('now'), tool_choice: 'none' }), 'no tools then'),
      [way + '-image']: async () => {
        const content = [{ type: 'input_text', text: scene('image').text }, { type: 'input_image', detail: 'auto', image_url: 'data:image/png;base64,' + data.png }, { type: 'input_text', text: 'what is it?' }]
        said(await ask({ input: [{ role: 'user', content }] }), 'a png')
      },
      [way + '-pdf']: async () => {
        const content = [{ type: 'input_text', text: scene('pdf').text }, { type: 'input_file', filename: 'a.pdf', file_data: 'data:application/pdf;base64,' + data.pdf }]
        said(await ask({ input: [{ role: 'user', content }] }), 'a pdf')
      },
      [way + '-toolimage']: async () => {
        const params = { input: [user(scene('toolimage').text)], tools: declare('now') }
        const first = await ask(params)
        params.input.push(...echo(first.output), result(calls(first)[0], [{ type: 'input_text', text: 'see the picture' }, { type: 'input_image', detail: 'auto', image_url: 'data:image/png;base64,' + data.png }]))
        said(await ask(params), 'a picture')
      },
      [way + '-schema']: async () => {
        const answer = await ask({ input: scene('schema').text, text: { format: { type: 'json_schema', name: 'person', schema: data.schema, strict: true } } })
        same(JSON.parse(answer.output_text), data.person, 'person')
      },
      [way + '-length']: async () => {
        const answer = await ask({ input: scene('length').text })
        same(answer.incomplete_details, { reason: 'max_output_tokens' }, 'details')
        said(answer, 'Once upon a', 'incomplete')
      },
      [way + '-filter']: async () => {
        const answer = await ask({ input: scene('filter').text })
        same(answer.incomplete_details, { reason: 'content_filter' }, 'details')
        said(answer, '', 'incomplete')
      },
      ...(vendor === 'gemini' ? {} : { [way + '-imageurl']: async () => {
        const content = [{ type: 'input_text', text: scene('imageurl').text }, { type: 'input_image', detail: 'auto', image_url: data.image_url }]
        said(await ask({ input: [{ role: 'user', content }] }), 'a url')
      } })
    })
    const thinking = { reasoning: { effort: 'high', summary: 'auto' }, include: ['reasoning.encrypted_content'] }
    for (const model of vendor === 'anthropic' || vendor === 'gemini' ? [NEW, OLD] : [NEW]) {
      for (const name of vendor === 'anthropic' ? ['think', 'redacted'] : ['think']) {
        checks[`${way}-${name}-${model}`] = async () => {
          const input = [user(scene(name).text)]
          for (let i = 0; i < 3; i++) {
            const answer = await ask({ model, input, ...thinking })
            same(answer.output_text, 'answer ' + i, 'text')
            if (name === 'think') {
              same(answer.output[0].summary, [{ type: 'summary_text', text: data.thinking }], 'summary')
              same(answer.usage.output_tokens_details.reasoning_tokens, 40, 'reasoning tokens')
            }
            input.push(...echo(answer.output), user('next'))
          }
        }
      }
      for (const [name, texts] of [['thinktool', ['20', '7']], ['interleaved', ['five', 'done']]]) {
        checks[`${way}-${name}-${model}`] = async () => {
          const params = { model, input: [user(scene(name).text)], tools: declare('add', 'multiply'), ...thinking }
          for (let asked = 0; asked < texts.length;) {
            const answer = await ask(params)
            const made = answer.output.filter(o => o.type === 'function_call')
            params.input.push(...echo(answer.output), ...made.map(c => result(c, String(functions[c.name](JSON.parse(c.arguments))))))
            if (made.length) continue
            same(answer.output_text, texts[asked++], 'text')
            params.input.push(user('go on'))
          }
        }
      }
    }
    const stream = way === 'stream'
    for (const kind of errors) {
      checks[`${way}-error-${kind}`] = async () => {
        const error = await thrown(() => client.responses.create(fixed({ stream, input: scene('error-' + kind).text })))
        same(error.status, status('responses', kind), 'status of ' + error.message)
        if (kind === '429') same(error.headers.get('retry-after'), '7', 'retry-after')
        if (kind === '400') assert(error.message.includes('that is "too hot" \\ 🌡'), error.message)
        if (kind === 'context') same(error.code, 'context_length_exceeded', 'code')
        assert(error.error.message && 'type' in error.error && 'code' in error.error && 'param' in error.error, 'shape', error.error)
      }
    }
    for (const name of stream ? ['middle', 'cut', 'unfinished', 'garbled'] : ['cut', 'body-error']) {
      if (bare && ['unfinished', 'body-error'].includes(name)) continue
      checks[`${way}-${name}`] = async () => {
        const seen = []
        const error = await (async () => {
          try {
            const answer = await client.responses.create(fixed({ stream, input: scene(name).text }))
            if (stream) for await (const e of answer) seen.push(e)
          } catch (e) { return e }
        })()
        if (stream && !error) { // this SDK hands the failure on as an event
          const last = seen.at(-1)
          same(last.type, 'response.failed', 'last event')
          assert(last.response.status === 'failed' && last.response.error.message && last.response.error.code, 'error', last.response)
          if (name === 'middle') assert(last.response.error.message.includes('Overloaded just now'), last.response.error.message)
        }
        assert(stream ? !seen.some(e => e.type === 'response.completed') : error, 'looks like a success', seen)
      }
    }
    checks[way + '-abort'] = async () => {
      const { nonce, text } = scene('slow')
      const stop = new AbortController()
      setTimeout(() => stop.abort(), 300)
      const error = await thrown(async () => {
        const answer = await client.responses.create(fixed({ stream, input: text }), { signal: stop.signal })
        if (stream) for await (const _ of answer);
        if (stop.signal.aborted) throw new OpenAI.APIUserAbortError()
      })
      assert(/abort/i.test(error.name + error.message), String(error))
      await leftEarly(nonce)
    }
  }
  if (!bare) {
    checks.refusals = async () => {
      for (const [name, value] of Object.entries({ previous_response_id: 'resp_1', conversation: 'conv_1', background: true })) {
        const error = await thrown(() => whole({ input: scene('text').text, [name]: value }))
        assert(error.status === 400 && error.message.includes(name), name, error.message)
      }
    }
  }
  checks.count = async () => {
    const { input_tokens: count } = await client.responses.inputTokens.count({ model: NEW, input: scene('text').text })
    assert(vendor === 'chat' ? count > 10 : count === 123, 'count', count)
  }
  return checks
})
