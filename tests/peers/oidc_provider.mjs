// A real, certified OpenID provider for the tests: panva's oidc-provider on a loopback port.
//
//   node oidc_provider.mjs --port 4000 --control 4001 --people people.toml
//
// People come from JSON, a map from account to claims, or from TOML as in examples/acme/people.toml.
// Tests sign in through the provider's own login and consent forms.
// `--app ORIGIN` registers the web app at that address, whose tokens last `--ttl` seconds.
// The control port is for tests only: POST /rotate, /rotate?keep, /dark, /light, GET /stats, and
// POST /userinfo?as=MANNER, which says how the userinfo endpoint behaves.
//
// What stands under a person's `userinfo` is told there and in no token.
// oidc-provider's own endpoint takes no token that is for a resource server, as ours are; many
// providers' do, so this one answers for it, with tokens verified by oidc-provider's own keys.
import { generateKeyPairSync } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { parseArgs } from 'node:util'
import { createLocalJWKSet, jwtVerify } from 'jose'
import Provider from 'oidc-provider'
import { parse as parseToml } from 'smol-toml'

const { values: options } = parseArgs({
  options: {
    port: { type: 'string' },
    control: { type: 'string' },
    people: { type: 'string' },
    redirect: { type: 'string', default: 'http://127.0.0.1/callback' },
    app: { type: 'string' },
    ttl: { type: 'string', default: '3600' },
  },
})
const issuer = `http://127.0.0.1:${options.port}`
const claimNames = ['department', 'user_clearance', 'projects', 'roles']

function readPeople(file) {
  const text = readFileSync(file, 'utf8')
  if (!file.endsWith('.toml')) return JSON.parse(text)
  return Object.fromEntries(parseToml(text).person.map(({ id, claims }) => [id, { ...claims }]))
}
const people = readPeople(options.people)

// Each resource is one way in which a token can be right or wrong for Bailiwick.
const resources = {
  'urn:bailiwick': { audience: 'bailiwick' },
  'urn:bailiwick:es256': { audience: 'bailiwick', jwt: { sign: { alg: 'ES256' } } },
  'urn:bailiwick:brief': { audience: 'bailiwick', accessTokenTTL: 5 },
  'urn:elsewhere': { audience: 'elsewhere' },
}

// The web app, as it would be registered at a provider of one's own.
const app = options.app && {
  client_id: 'bailiwick-app',
  application_type: 'web',
  token_endpoint_auth_method: 'none',
  grant_types: ['authorization_code'],
  response_types: ['code'],
  redirect_uris: [`${options.app}/callback`, `${options.app}/silent-callback.html`],
  post_logout_redirect_uris: [`${options.app}/`],
}

let generation = 0
function newKeys() {
  generation += 1
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' })
  const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' })
  return [
    { ...rsa, use: 'sig', alg: 'RS256', kid: `rsa-${generation}` },
    { ...ec, use: 'sig', alg: 'ES256', kid: `ec-${generation}` },
  ]
}

// oidc-provider reads its keys once, so a rotation is a new instance behind the same port.
let keys = newKeys()
function newProvider() {
  return new Provider(issuer, {
    jwks: { keys },
    cookies: { keys: ['only-for-tests'] },
    clients: [
      {
        client_id: 'bailiwick-web',
        application_type: 'native',
        token_endpoint_auth_method: 'none',
        grant_types: ['authorization_code'],
        response_types: ['code'],
        redirect_uris: [options.redirect],
      },
      ...(app ? [app] : []),
    ],
    clientBasedCORS: (_ctx, origin) => origin === options.app,
    claims: { openid: ['sub'], profile: claimNames },
    pkce: { required: () => true },
    findAccount: (_ctx, id) =>
      id in people ? { accountId: id, claims: () => ({ sub: id, ...people[id] }) } : undefined,
    extraTokenClaims: (_ctx, token) => ({ ...people[token.accountId], userinfo: undefined }),
    features: {
      devInteractions: { enabled: true },
      revocation: { enabled: true, allowedPolicy: () => true },
      rpInitiatedLogout: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => (app ? 'urn:bailiwick' : undefined),
        useGrantedResource: () => true,
        getResourceServerInfo: (_ctx, resource) => ({
          scope: 'ask',
          accessTokenFormat: 'jwt',
          accessTokenTTL: Number(options.ttl),
          jwt: { sign: { alg: 'RS256' } },
          ...resources[resource],
        }),
      },
    },
  })
}

let handle = newProvider().callback()
const stats = { jwks: 0, discovery: 0, userinfo: 0 }

let manner = 'right'
async function userinfo(request, response) {
  stats.userinfo += 1
  const told = (status, body, headers = {}) => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body))
  }
  try {
    const token = request.headers.authorization.replace(/^Bearer /, '')
    const published = keys.map(({ kty, kid, alg, n, e, crv, x, y }) => ({ kty, kid, alg, n, e, crv, x, y }))
    const { payload } = await jwtVerify(token, createLocalJWKSet({ keys: published }), { issuer })
    const known = { sub: payload.sub, ...people[payload.sub]?.userinfo }
    if (manner === 'other') told(200, { ...known, sub: 'somebody-else' })
    else if (manner === 'huge') told(200, { ...known, more: 'x'.repeat(1 << 20) })
    else if (manner === 'redirect') told(302, {}, { location: `${issuer}/me?again` })
    else if (manner === 'broken') told(500, {})
    else told(200, known)
  } catch {
    told(401, { error: 'invalid_token' })
  }
}

const server = createServer((request, response) => {
  if (request.url === '/jwks') stats.jwks += 1
  if (request.url.startsWith('/.well-known/')) stats.discovery += 1
  if (request.url.startsWith('/me')) userinfo(request, response)
  else handle(request, response)
})
const listen = () => new Promise((done) => server.listen(Number(options.port), '127.0.0.1', done))
const goDark = () =>
  new Promise((done) => {
    server.close(done)
    server.closeAllConnections()
  })

createServer(async (request, response) => {
  const url = new URL(request.url, 'http://control')
  const act = {
    'POST /rotate': () => {
      keys = url.searchParams.has('keep') ? [...newKeys(), ...keys] : newKeys()
      handle = newProvider().callback()
    },
    'POST /dark': goDark,
    'POST /light': listen,
    'POST /userinfo': () => {
      manner = url.searchParams.get('as')
    },
    'GET /stats': () => {},
  }[`${request.method} ${url.pathname}`]
  if (!act) {
    response.writeHead(404).end()
    return
  }
  await act()
  response.writeHead(200, { 'content-type': 'application/json' })
  response.end(JSON.stringify({ issuer, kids: keys.map((key) => key.kid), ...stats }))
}).listen(Number(options.control), '127.0.0.1', async () => {
  await listen()
  console.log(`ready ${issuer}`)
})
