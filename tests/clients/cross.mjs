// What the SDK scripts for the strict upstream (vendor.py) share. Environment: TARGETS, a list "name=address" of places
// that speak this SDK's format in front of the vendor `name` ("gemini~like": a server that is merely like it); CONTROL,
// the upstream itself; BARE=1 without ccproxy.
import { readFileSync } from 'node:fs'
import { isDeepStrictEqual } from 'node:util'
import { assert, run } from './client.mjs'

export const data = JSON.parse(readFileSync(new URL('scenes.json', import.meta.url)))
export const targets = process.env.TARGETS.split(',').map(t => ({ name: t.slice(0, t.indexOf('=')), base: t.slice(t.indexOf('=') + 1) }))
export const bare = process.env.BARE === '1'
export const NEW = 'judge-new'
export const OLD = 'judge-old'
let count = 0

/** A conversation of its own: its first text and the name under which the upstream remembers it. */
export function scene (name) {
  const nonce = 'n' + process.pid + 'x' + count++
  return { nonce, text: `[scene ${name} #${nonce}] ${data.ask}` }
}

export function same (is, wanted, what) {
  if (!isDeepStrictEqual(is, wanted)) throw new Error(`${what}: ${JSON.stringify(is)} is not ${JSON.stringify(wanted)}`)
}

export async function seen (nonce) {
  return (await fetch(process.env.CONTROL + '/judge/seen?nonce=' + nonce)).json()
}

/** The upstream noticed that nobody listens any more. */
export async function leftEarly (nonce) {
  for (let i = 0; i < 100; i++) {
    if ((await seen(nonce))[0]?.gone) return
    await new Promise(resolve => setTimeout(resolve, 30))
  }
  throw new Error('the upstream never saw that the client left')
}

/** The tools of scenes.json, as functions that really run. */
export const functions = { add: ({ a, b }) => a + b, multiply: ({ a, b }) => a * b, now: () => '12:00' }
export const tools = (...names) => data.tools.filter(t => names.includes(t.name))

/** The status that a client of `format` sees when the upstream says `kind`. */
export function status (format, kind) {
  if (kind === 'overloaded') return format === 'anthropic' ? 529 : 503
  if (kind === 'context') return 400
  if (kind === '401') return bare ? 401 : 503
  return Number(kind)
}
export const errors = ['400', '401', '403', '404', '429', '500', 'overloaded', 'context']

/** `make(target)` gives the checks for one place; they run one after the other, a row each. */
export function runAll (make) {
  const all = {}
  for (const target of targets) {
    for (const [name, check] of Object.entries(make({ ...target, name: target.name.split('~')[0] }))) all[`${target.name}-${name}`] = check
  }
  const only = process.env.ONLY
  run(only ? Object.fromEntries(Object.entries(all).filter(([n]) => n.includes(only))) : all)
}
export { assert }
