// A certified OpenID provider (npm oidc-provider) set up as one that command-line tools log into: public native clients,
// loopback redirects with any port, PKCE S256 required, rotated refresh tokens whose reuse revokes the grant, device
// flow, revocation, introspection, RS256 id_tokens, `iss` in redirects.
//
// The protocol is oidc-provider's alone. Around it this file records every request as it arrived, logs a user in
// without a page, and breaks what a test asks to have broken. Environment: CLIENTS (folder with node_modules).
// Prints `port N`. Control: POST /control with JSON that is merged into the state below ({"reset":true} first empties
// what was recorded); GET /control gives requests and state. Ends with its standard input.
import { generateKeyPairSync } from 'node:crypto'
import http from 'node:http'
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'

const load = createRequire(process.env.CLIENTS + '/package.json')
console.warn = console.info = () => {} // notes on the runtime and on the views, which nobody sees
const { Provider, errors } = await import(pathToFileURL(load.resolve('oidc-provider')).href)

const REDIRECTS = ['http://127.0.0.1/callback', 'http://localhost/callback', 'http://[::1]/callback']
const GRANTS = ['authorization_code', 'refresh_token', 'urn:ietf:params:oauth:grant-type:device_code']
const initial = {
  user: 'alice', // who is in front of the browser
  refuse: false, // the user says no
  accessSeconds: 3600,
  codeSeconds: 60,
  deviceSeconds: 600,
  interval: 0, // seconds; 0 = the answer of the device endpoint does not tell, as oidc-provider does
  json: false, // token requests have JSON bodies and nothing else
  // [{path, grant?, times, status, body, headers}]: the next `times` such requests are answered so, unseen by the
  // provider; with {lost: true} the provider does its work and the connection is closed instead of an answer.
  fail: []
}
const state = { ...initial }
let requests = []

const key = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' })
const server = http.createServer((req, res) => serve(req, res).catch(error => {
  if (!res.headersSent) res.writeHead(500)
  res.end(String(error.stack || error))
}))
await new Promise(resolve => server.listen(0, '127.0.0.1', resolve))
const issuer = `http://127.0.0.1:${server.address().port}`

const client = (id, more) => ({
  client_id: id,
  application_type: 'native',
  token_endpoint_auth_method: 'none',
  redirect_uris: REDIRECTS,
  response_types: ['code'],
  grant_types: GRANTS,
  id_token_signed_response_alg: 'RS256',
  ...more
})

const provider = new Provider(issuer, {
  clients: [
    client('acme-cli'),
    client('other-cli'),
    client('acme-basic', { client_secret: 'basic-SECRET-4711', token_endpoint_auth_method: 'client_secret_basic' }),
    client('acme-post', { client_secret: 'post-SECRET-4711', token_endpoint_auth_method: 'client_secret_post' }),
    // The API that tokens are for: it asks about them.
    client('acme-api', { client_secret: 'api-SECRET-4711', token_endpoint_auth_method: 'client_secret_basic', redirect_uris: [], response_types: [], grant_types: [], application_type: 'web' })
  ],
  claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'] },
  conformIdTokenClaims: false,
  cookies: { keys: ['a key of this run'] },
  expiresWithSession: () => false,
  features: {
    devInteractions: { enabled: false },
    deviceFlow: { enabled: true },
    introspection: { enabled: true },
    revocation: { enabled: true }
  },
  findAccount: (_ctx, id) => ({
    accountId: id,
    claims: () => ({ sub: id, email: `${id}@acme.example`, email_verified: true, name: `The user ${id}` })
  }),
  interactions: { url: (_ctx, interaction) => `/interaction/${interaction.uid}` },
  issueRefreshToken: (_ctx, asking) => asking.grantTypeAllowed('refresh_token'),
  jwks: { keys: [{ ...key, use: 'sig', alg: 'RS256', kid: 'this-run' }] },
  pkce: { required: () => true },
  rotateRefreshToken: true,
  scopes: ['openid', 'offline_access', 'profile', 'email'],
  ttl: {
    AccessToken: () => state.accessSeconds,
    AuthorizationCode: () => state.codeSeconds,
    DeviceCode: () => state.deviceSeconds,
    Grant: () => 86400,
    IdToken: () => 3600,
    Interaction: () => 600,
    RefreshToken: () => 86400,
    Session: () => 600
  }
})
provider.on('server_error', (_ctx, error) => process.stderr.write(String(error.stack) + '\n'))
const handle = provider.callback()

/** The user's side of a login: what a page with two buttons would send. */
async function interact (req, res) {
  const { prompt, params, session, grantId } = await provider.interactionDetails(req, res)
  if (state.refuse) {
    return provider.interactionFinished(req, res, { error: 'access_denied', error_description: 'the user said <b>no</b>' })
  }
  if (prompt.name === 'login') {
    return provider.interactionFinished(req, res, { login: { accountId: state.user } })
  }
  const grant = (grantId && await provider.Grant.find(grantId)) ||
    new provider.Grant({ accountId: session.accountId, clientId: params.client_id })
  grant.addOIDCScope(params.scope)
  await provider.interactionFinished(req, res, { consent: { grantId: await grant.save() } }, { mergeWithLastSubmission: true })
}

async function bodyOf (req) {
  const pieces = []
  for await (const piece of req) pieces.push(piece)
  return Buffer.concat(pieces)
}

/** The same request with a body that can be read once more. */
function again (req, body, type) {
  const copy = new http.IncomingMessage(req.socket)
  const headers = { ...req.headers }
  if (body.length || req.method === 'POST') headers['content-length'] = String(body.length)
  if (type) headers['content-type'] = type
  delete headers['transfer-encoding']
  Object.assign(copy, { method: req.method, url: req.url, headers, httpVersion: '1.1', httpVersionMajor: 1, httpVersionMinor: 1, complete: true })
  copy.push(body)
  copy.push(null)
  return copy
}

function give (res, status, body, headers = {}) {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  res.writeHead(status, { 'content-type': typeof body === 'string' ? 'text/html' : 'application/json', ...headers })
  res.end(text)
}

function control (req, res, body) {
  if (req.method === 'POST') {
    const change = JSON.parse(body)
    if (change.reset) requests = []
    delete change.reset
    Object.assign(state, change)
  }
  give(res, 200, { requests, state })
}

function parameters (req, body) {
  const type = (req.headers['content-type'] || '').split(';')[0]
  if (type === 'application/json') return JSON.parse(body)
  const found = new URLSearchParams(req.method === 'GET' ? new URL(req.url, issuer).search : body.toString())
  return Object.fromEntries(found)
}

/** What a test wants to have happen to this request, taken off the list; or nothing. */
function trouble (path, sent) {
  const one = state.fail.find(f => f.path === path && (!f.grant || f.grant === sent.grant_type) && f.times > 0)
  if (one) one.times--
  return one
}

/** JSON requests: the parameters are checked here for what a form could not hold, then taken as a form. */
function asForm (req, sent) {
  const type = (req.headers['content-type'] || '').split(';')[0]
  if (type !== 'application/json') throw new errors.InvalidRequest('only JSON is taken here')
  if (Object.values(sent).some(v => typeof v !== 'string')) throw new errors.InvalidRequest('a parameter is no string')
  return Buffer.from(new URLSearchParams(sent).toString())
}

/** The device endpoint's answer with the interval that the test wants, or an answer that never arrives. */
function change (res, path, wrong) {
  const end = res.end.bind(res)
  if (wrong?.lost) {
    res.end = () => { res.socket.destroy(); return res }
  } else if (path === '/device/auth' && state.interval) {
    res.end = data => {
      const value = JSON.stringify({ ...JSON.parse(data), interval: state.interval })
      res.setHeader('content-length', Buffer.byteLength(value))
      return end(value)
    }
  }
}

async function serve (req, res) {
  const path = new URL(req.url, issuer).pathname
  const body = await bodyOf(req)
  if (path === '/control') return control(req, res, body)
  let sent = {}
  try { sent = parameters(req, body) } catch {}
  requests.push({ method: req.method, path, headers: req.headers, raw_headers: req.rawHeaders, parameters: sent, body: body.toString(), at: Date.now() / 1000 })
  const wrong = trouble(path, sent)
  if (wrong && !wrong.lost) return give(res, wrong.status, wrong.body ?? '', wrong.headers)
  change(res, path, wrong)
  if (path.startsWith('/interaction/')) return interact(again(req, body), res)
  if (path !== '/token' || !state.json) return handle(again(req, body), res)
  try {
    return handle(again(req, asForm(req, sent), 'application/x-www-form-urlencoded'), res)
  } catch (error) {
    give(res, 400, { error: error.error, error_description: error.error_description })
  }
}

console.log('port ' + server.address().port)
process.stdin.resume()
process.stdin.on('end', () => process.exit(0))
