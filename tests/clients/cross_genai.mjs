// The official Google GenAI SDK for node in front of another vendor. See cross.mjs.
import { assert, bare, data, errors, functions, leftEarly, NEW, OLD, runAll, same, scene, status, tools } from './cross.mjs'
import { load, thrown } from './client.mjs'
const { GoogleGenAI } = load('@google/genai')

const declare = (...names) => [{ functionDeclarations: tools(...names).map(t => ({ name: t.name, description: t.description, parametersJsonSchema: t.schema })) }]
const user = (...parts) => ({ role: 'user', parts: parts.map(p => typeof p === 'string' ? { text: p } : p) })
const png = { inlineData: { mimeType: 'image/png', data: data.png } }

runAll(({ name: vendor, base }) => {
  const ai = new GoogleGenAI({ apiKey: 'AIza-dummy', httpOptions: { baseUrl: base } })
  const fixed = ({ model = NEW, contents, ...config }) => ({ model, contents, config })
  const whole = async params => {
    const answer = await ai.models.generateContent(fixed(params))
    answer.model = answer.candidates[0].content || { role: 'model', parts: [] }
    return answer
  }
  /** Chunks as the SDK hands them out, put together as its chat helper does it: all parts in a row. */
  const streamed = async params => {
    const parts = []
    let last
    for await (const chunk of await ai.models.generateContentStream(fixed(params))) {
      parts.push(...(chunk.candidates?.[0]?.content?.parts || []))
      last = chunk
    }
    const calls = parts.filter(p => p.functionCall).map(p => p.functionCall)
    const answer = { candidates: last.candidates, usageMetadata: last.usageMetadata, modelVersion: last.modelVersion, responseId: last.responseId, functionCalls: calls.length ? calls : undefined }
    answer.text = parts.filter(p => p.text && !p.thought).map(p => p.text).join('')
    answer.model = { role: 'model', parts: parts.filter(p => p.text !== '' || p.thoughtSignature) }
    return answer
  }
  const checkUsage = answer => {
    const { promptTokenCount, candidatesTokenCount = 0, thoughtsTokenCount = 0, totalTokenCount, cachedContentTokenCount } = answer.usageMetadata
    same([promptTokenCount, candidatesTokenCount + thoughtsTokenCount, totalTokenCount, cachedContentTokenCount], [100, 64, 164, 80], 'usage')
    if (!bare) same(answer.modelVersion, NEW, 'model')
    assert(answer.responseId, 'response id')
  }
  const said = (answer, text, finish = 'STOP') => {
    same(answer.text || '', text, 'text')
    same(answer.candidates[0].finishReason, finish, 'finish reason')
    checkUsage(answer)
    return answer.model
  }
  const calls = answer => {
    same(answer.candidates[0].finishReason, 'STOP', 'finish reason')
    assert(answer.functionCalls?.length, 'no calls', answer)
    return answer.functionCalls
  }
  const result = (call, response) => ({ functionResponse: { name: call.name, response, ...(call.id ? { id: call.id } : {}) } })
  const run = call => result(call, { output: String(functions[call.name](call.args)) })
  const checks = {}

  for (const [way, ask] of [['whole', whole], ['stream', streamed]]) {
    const stream = way === 'stream'
    Object.assign(checks, {
      [way + '-text']: async () => {
        const contents = [user(scene('text').text)]
        contents.push(said(await ask({ contents }), data.say), user('and now?'))
        said(await ask({ contents }), 'step 1')
      },
      [way + '-chat']: async () => {
        const chat = ai.chats.create({ model: NEW })
        const send = async message => {
          if (!stream) return (await chat.sendMessage({ message })).text
          let text = ''
          for await (const chunk of await chat.sendMessageStream({ message })) text += chunk.text || ''
          return text
        }
        same(await send(scene('text').text), data.say, 'text')
        same(await send('and now?'), 'step 1', 'text')
        same(await send('and now?'), 'step 2', 'text')
      },
      [way + '-system']: async () => { said(await ask({ systemInstruction: { parts: data.system.map(text => ({ text })) }, contents: [user(scene('system').text)] }), 'ok') },
      [way + '-params']: async () => { said(await ask({ model: OLD, temperature: 0.5, maxOutputTokens: 777, stopSequences: ['STOP-1', '\n\nSTOP "2"'], contents: [user(scene('params').text)] }).then(a => (bare || same(a.modelVersion, OLD, 'model'), a.modelVersion = NEW, a)), 'ok') },
      [way + '-tool']: async () => {
        const params = { contents: [user(scene('tool').text)], tools: declare('get_weather', 'get_time') }
        const first = await ask(params)
        same(calls(first)[0].args, data.args, 'args')
        params.contents.push(first.model, user(result(calls(first)[0], { output: data.weather })))
        said(await ask(params), 'It is ' + data.weather)
      },
      [way + '-parallel']: async () => {
        const params = { contents: [user(scene('parallel').text)], tools: declare('get_weather', 'get_time') }
        const first = await ask(params)
        same(calls(first).map(c => ({ name: c.name, args: c.args })), data.parallel.map(({ name, args }) => ({ name, args })), 'calls')
        params.contents.push(first.model, user(...calls(first).map((c, i) => result(c, { output: data.parallel[i].result }))))
        said(await ask(params), 'all three')
      },
      [way + '-parallel-without-ids']: async () => {
        const params = { contents: [user(scene('parallel').text)], tools: declare('get_weather', 'get_time') }
        const first = await ask(params)
        for (const part of first.model.parts) if (part.functionCall) delete part.functionCall.id
        params.contents.push(first.model, user(...calls(first).map((c, i) => result({ name: c.name }, { output: data.parallel[i].result }))))
        said(await ask(params), 'all three')
      },
      [way + '-noargs']: async () => {
        const params = { contents: [user(scene('noargs').text)], tools: declare('now') }
        const first = await ask(params)
        same(calls(first)[0].args || {}, {}, 'args')
        params.contents.push(first.model, user(result(calls(first)[0], { output: '12:00' })))
        said(await ask(params), 'It is 12:00')
      },
      [way + '-automatic']: async () => {
        const tool = { tool: async () => declare('add', 'multiply')[0], callTool: async made => made.map(run) }
        const params = { model: NEW, contents: [user(scene('loop').text)], config: { tools: [tool] } }
        let text = ''
        if (stream) for await (const chunk of await ai.models.generateContentStream(params)) text = chunk.functionCalls ? '' : text + (chunk.text || '')
        else text = (await ai.models.generateContent(params)).text
        assert(text.endsWith('The answer is 21'), text)
      },
      [way + '-toolerror']: async () => {
        const params = { contents: [user(scene('toolerror').text)], tools: declare('now') }
        const first = await ask(params)
        params.contents.push(first.model, user(result(calls(first)[0], { error: 'the clock is broken' })))
        said(await ask(params), 'a pity')
      },
      [way + '-thinktool-forgotten']: async () => {
        const params = { contents: [user(scene('forgotten').text)], tools: declare('add'), thinkingConfig: { includeThoughts: true } }
        const call = calls(await ask(params))[0]
        if (bare) return // the vendor itself insists on its signature
        params.contents.push({ role: 'model', parts: [{ functionCall: { name: call.name, args: call.args } }] }, user(result({ name: call.name }, { output: '5' })))
        said(await ask(params), '5')
      },
      [way + '-choice']: async () => {
        calls(await ask({ contents: [user(scene('any').text)], tools: declare('now'), toolConfig: { functionCallingConfig: { mode: 'ANY' } } }))
      },
      [way + '-named']: async () => {
        same(calls(await ask({ contents: [user(scene('named').text)], tools: declare('now', 'get_time'), toolConfig: { functionCallingConfig: { mode: 'ANY', allowedFunctionNames: ['get_time'] } } }))[0].name, 'get_time', 'name')
      },
      [way + '-none']: async () => { said(await ask({ contents: [user(scene('none').text)], tools: declare('now'), toolConfig: { functionCallingConfig: { mode: 'NONE' } } }), 'no tools then') },
      [way + '-image']: async () => { said(await ask({ contents: [user(scene('image').text, png, 'what is it?')] }), 'a png') },
      [way + '-imageurl']: async () => { said(await ask({ contents: [user(scene('imageurl').text, { fileData: { mimeType: 'image/png', fileUri: data.image_url } })] }), 'a url') },
      [way + '-pdf']: async () => { said(await ask({ contents: [user(scene('pdf').text, { inlineData: { mimeType: 'application/pdf', data: data.pdf } })] }), 'a pdf') },
      [way + '-schema']: async () => {
        const answer = await ask({ contents: [user(scene('schema').text)], responseMimeType: 'application/json', responseJsonSchema: data.schema })
        same(JSON.parse(answer.text), data.person, 'person')
      },
      [way + '-length']: async () => { said(await ask({ contents: [user(scene('length').text)] }), 'Once upon a', 'MAX_TOKENS') },
      [way + '-filter']: async () => { said(await ask({ contents: [user(scene('filter').text)] }), '', 'SAFETY') },
      [way + '-sequence']: async () => { said(await ask({ stopSequences: ['STOP'], model: OLD, contents: [user(scene('sequence').text)] }).then(a => (a.modelVersion = NEW, a)), 'until ') }
    })
    for (const model of vendor === 'anthropic' || vendor === 'gemini' ? [NEW, OLD] : [NEW]) {
      const thinkingConfig = model === OLD ? { includeThoughts: true, thinkingBudget: 4096 } : { includeThoughts: true, thinkingLevel: 'HIGH' }
      for (const name of vendor === 'anthropic' ? ['think', 'redacted'] : ['think']) {
        checks[`${way}-${name}-${model}`] = async () => {
          const contents = [user(scene(name).text)]
          for (let i = 0; i < 3; i++) {
            const answer = await ask({ model, contents, thinkingConfig })
            same(answer.text, 'answer ' + i, 'text')
            if (name === 'think') {
              same(answer.model.parts.filter(p => p.thought).map(p => p.text).join(''), data.thinking, 'thinking')
              same(answer.usageMetadata.thoughtsTokenCount, 40, 'thoughts')
            }
            contents.push(answer.model, user('next'))
          }
        }
      }
      for (const [name, texts] of [['thinktool', ['20', '7']], ['interleaved', ['five', 'done']]]) {
        checks[`${way}-${name}-${model}`] = async () => {
          const params = { model, contents: [user(scene(name).text)], tools: declare('add', 'multiply'), thinkingConfig }
          for (let asked = 0; asked < texts.length;) {
            const answer = await ask(params)
            params.contents.push(answer.model)
            if (answer.functionCalls) {
              params.contents.push(user(...answer.functionCalls.map(run)))
            } else {
              same(answer.text, texts[asked++], 'text')
              params.contents.push(user('go on'))
            }
          }
        }
      }
    }
    for (const kind of errors) {
      checks[`${way}-error-${kind}`] = async () => {
        const error = await thrown(() => ask({ contents: [user(scene('error-' + kind).text)] }))
        same(error.status, status('gemini', kind), 'status of ' + error.message)
        const body = JSON.parse(error.message).error
        assert(body.code === error.status && body.message && /^[A-Z_]+$/.test(body.status), 'shape', body)
        if (kind === '400') assert(body.message.includes('that is "too hot" \\ 🌡'), body.message)
        if (kind === '429') assert(/^7(\.0+)?s$/.test(body.details?.find(d => d.retryDelay)?.retryDelay), 'retry delay', body)
      }
    }
    for (const name of stream ? ['middle', 'cut', 'unfinished', 'garbled'] : ['cut', 'body-error']) {
      if (bare && ['unfinished', 'body-error'].includes(name)) continue
      checks[`${way}-${name}`] = async () => {
        const error = await thrown(() => ask({ contents: [user(scene(name).text)] }))
        if (name === 'middle') assert(error.message.includes('Overloaded just now'), error.message)
        assert(error.name !== 'TypeError' || bare, error.stack)
      }
    }
    checks[way + '-abort'] = async () => {
      const { nonce, text } = scene('slow')
      const stop = new AbortController()
      setTimeout(() => stop.abort(), 300)
      const error = await thrown(() => ask({ contents: [user(text)], abortSignal: stop.signal }))
      assert(/abort/i.test(error.name + error.message), String(error))
      await leftEarly(nonce)
    }
  }
  if (!bare) {
    checks.refusals = async () => {
      const error = await thrown(() => whole({ cachedContent: 'cachedContents/1', contents: [user(scene('text').text)] }))
      assert(error.status === 400 && error.message.includes('cachedContent'), error.message)
      const wrong = await thrown(() => whole({ contents: [user(scene('text').text, { inlineData: { mimeType: 'video/mp4', data: 'AAAA' } })] }))
      assert(wrong.status === 400 && wrong.message.includes('contents[0].parts[1]'), wrong.message)
    }
  }
  checks.count = async () => {
    const { totalTokens: count } = await ai.models.countTokens({ model: NEW, contents: [user(scene('text').text)] })
    assert(vendor === 'chat' ? count > 10 : count === 123, 'count', count)
  }
  return checks
})
