// The second opinion: openid-client makes the same logins at the same server, so that its requests can be compared with
// ccproxy's. Environment: CLIENTS, ISSUER, SECRET (optional), CLIENT. Lines on stdout are JSON: {visit: url} asks for a
// line with the URL that the browser ended at; {device: …} shows a device login; {done: …} is the last one.
import { createRequire } from 'node:module'
import readline from 'node:readline'
import { pathToFileURL } from 'node:url'

const load = createRequire(process.env.CLIENTS + '/package.json')
const oauth = await import(pathToFileURL(load.resolve('openid-client')).href)
const lines = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]()
const tell = value => console.log(JSON.stringify(value))
const scope = 'openid profile email offline_access'

const config = await oauth.discovery(new URL(process.env.ISSUER), process.env.CLIENT, undefined, oauth.None(),
  { execute: [oauth.allowInsecureRequests] })

const verifier = oauth.randomPKCECodeVerifier()
const checks = { pkceCodeVerifier: verifier, expectedState: oauth.randomState(), expectedNonce: oauth.randomNonce() }
tell({
  visit: oauth.buildAuthorizationUrl(config, {
    redirect_uri: process.env.REDIRECT,
    scope,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
    state: checks.expectedState,
    nonce: checks.expectedNonce
  }).href
})
const first = await oauth.authorizationCodeGrant(config, new URL((await lines.next()).value), checks)
const second = await oauth.refreshTokenGrant(config, first.refresh_token)
await oauth.tokenRevocation(config, second.refresh_token, { token_type_hint: 'refresh_token' })

const device = await oauth.initiateDeviceAuthorization(config, { scope })
tell({ device })
const third = await oauth.pollDeviceAuthorizationGrant(config, device)
tell({ done: { sub: first.claims().sub, refreshed: second.access_token !== first.access_token, device: Boolean(third.access_token) } })
process.exit(0)
