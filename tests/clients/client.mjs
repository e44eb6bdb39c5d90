// What the three SDK scripts share: where to go, and one line per check (see tests/check.py for the form).
// Environment: BASE (origin and prefix of the server), KEY, CONTROL (mock upstream's control address, may be empty),
// CLIENTS (folder with node_modules), SKIP (names of checks to leave out).
import { createRequire } from 'node:module'

export const base = process.env.BASE
export const key = process.env.KEY || 'sk-dummy'
export const load = createRequire(process.env.CLIENTS + '/package.json')

export function assert (good, ...what) {
  if (!good) throw new Error(what.map(w => (typeof w === 'string' ? w : JSON.stringify(w))).join(' '))
}

/** The mock upstream answers its next request with an error, once. False when there is no such upstream. */
export async function failOnce (status) {
  if (!process.env.CONTROL) return false
  const body = JSON.stringify({ status, body: { message: 'once', type: 'api_error' } })
  const answer = await fetch(process.env.CONTROL + '/__aimock/error', { method: 'POST', body })
  assert(answer.ok, 'the control address answered', answer.status)
  return true
}

export async function thrown (call) {
  try { await call() } catch (error) { return error }
  throw new Error('nothing was thrown')
}

const limit = ms => new Promise((_resolve, reject) => setTimeout(() => reject(new Error('took longer than 30 s')), ms).unref())

export async function run (checks) {
  for (const [name, check] of Object.entries(checks)) {
    if ((process.env.SKIP || '').split(' ').includes(name)) continue
    const start = Date.now()
    let word = 'ok'
    let text = ''
    try {
      if (await Promise.race([check(), limit(30000)]) === 'skip') word = 'skip'
    } catch (error) {
      word = 'FAIL'
      text = String(error.stack || error)
    }
    console.log(word, name, ((Date.now() - start) / 1000).toFixed(2))
    if (text) console.log(text.split('\n').slice(0, 12).map(l => '    ' + l).join('\n'))
  }
  process.exit(0)
}
