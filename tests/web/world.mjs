// The servers that the web app meets: the demo, or a server of its own with oidc-provider and a chat model.
//
// Everything listens on free ports of 127.0.0.1 and keeps its files in a temporary folder.

import { spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { existsSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createSocket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';

export const ROOT = path.resolve(import.meta.dirname, '../..');
/** A folder that is served in place of the app that is built into the binary. */
const WEB = process.env.BAILIWICK_WEB;
const BINARY = path.resolve(process.env.BAILIWICK_BIN ?? path.join(ROOT, 'target/debug/bailiwick'));

/** A temporary folder. */
export function folder(name) {
  return mkdtempSync(path.join(tmpdir(), `bailiwick-web-${name}-`));
}

const given = new Set();

/** A port that no outgoing connection takes before the server does: those get ports from 32,768. */
async function freePort() {
  for (;;) {
    const port = randomInt(20_000, 32_000);
    if (given.has(port) || !(await isFree(port))) continue;
    given.add(port);
    return port;
  }
}

function isFree(port) {
  return new Promise((done) => {
    const probe = createSocket();
    probe.once('error', () => done(false));
    probe.listen(port, '127.0.0.1', () => probe.close(() => done(true)));
  });
}

/** Waits for a true result and returns it. */
export async function until(condition, what, seconds = 15) {
  const deadline = Date.now() + seconds * 1000;
  for (;;) {
    const result = await condition();
    if (result) return result;
    if (Date.now() > deadline) throw new Error(`${seconds} s passed without: ${what}`);
    await new Promise((done) => setTimeout(done, 25));
  }
}

/** A program whose output goes to a file. */
class Program {
  constructor(command, words, directory, { env = {}, cwd = ROOT } = {}) {
    this.log = path.join(directory, 'output.log');
    const output = openSync(this.log, 'a');
    this.process = spawn(command, words, { cwd, stdio: ['ignore', output, output], env: { ...process.env, ...env } });
    this.ended = new Promise((done) => this.process.once('exit', done));
  }

  /** Waits for something in the output. */
  says(pattern) {
    return until(() => {
      const text = readFileSync(this.log, 'utf8');
      if (this.process.exitCode !== null) throw new Error(`${this.process.spawnfile} ended: ${text.slice(-2000)}`);
      return pattern.exec(text);
    }, String(pattern), 60);
  }

  async stop(signal = 'SIGTERM') {
    this.process.kill(signal);
    await this.ended;
  }
}

/** `bailiwick demo` on free ports. With `web` the app is served from that folder. */
export async function startDemo({ web = WEB } = {}) {
  const directory = folder('demo');
  const words = ['demo', '--port', '0', ...(web ? ['--web', web] : [])];
  const program = new Program(BINARY, words, directory, { env: { TMPDIR: directory } });
  const [, url] = await program.says(/runs at (http:\/\/127\.0\.0\.1:\d+)[^]*Ctrl-C/);
  return {
    url,
    async stop() {
      await program.stop();
      rmSync(directory, { recursive: true });
    },
  };
}

const PEOPLE = {
  alice: { department: 'engineering', user_clearance: 'TopSecret', projects: ['phoenix'] },
  bob: { department: 'sales', user_clearance: 'Internal', projects: [] },
};

const LIBRARY = [
  ['eng-phoenix', '# Phoenix\nProject Phoenix replaces the billing engine. Its launch date is 14 March.', 'engineering', 'Secret'],
  ['eng-handbook', '# Handbook\nEngineers review each other\'s code before launch. Two approvals are needed.', 'engineering', 'Public'],
  ['sales-list', '# Prices\nThe price list is valid from the launch until the end of the year.', 'sales', 'Public'],
];

const CONFIG = ({ port, data, issuer, chat, web }) => `
listen     = "127.0.0.1:${port}"
public_url = "http://127.0.0.1:${port}"
data_dir   = "${data}"

[identity]
issuer   = "${issuer}"
audience = "bailiwick"
clock_skew_seconds = 0

[[attribute]]
name = "department"
type = "keyword"

[[attribute]]
name = "clearance_level"
type = "level"
levels = ["Public", "Internal", "Restricted", "Secret", "TopSecret"]

[[policy.rule]]
attribute = "department"
op = "in"
claim = "department"

[[policy.rule]]
attribute = "clearance_level"
op = "lte"
claim = "user_clearance"

[authority]
issuer = "http://127.0.0.1:${port}"
trust_domain = "acme.example"

${web ? `[app]\nfolder = "${web}"\n` : ''}
[answer]
${chat ? `provider = "openai"\nbase_url = "${chat}"\nmodel = "test"` : 'provider = "extractive"'}
`;

/** A server with a few documents, at a certified OpenID provider. */
export class House {
  static async start({ ttl = 3600, chat, web = WEB } = {}) {
    const house = new House();
    house.directory = folder('house');
    house.port = await freePort();
    house.url = `http://127.0.0.1:${house.port}`;
    house.options = { ttl, chat, web };
    house.config = path.join(house.directory, 'bailiwick.toml');
    await house.#begin();
    await house.#fill();
    return house;
  }

  async #begin() {
    const { ttl, chat, web } = this.options;
    await this.#startProvider(ttl);
    const data = path.join(this.directory, 'data');
    writeFileSync(this.config, CONFIG({ port: this.port, data, issuer: this.issuer, chat, web }));
    await this.run();
  }

  /** The provider moves to another origin, and the server is told. */
  async moveProvider() {
    await Promise.all([this.server.stop('SIGKILL'), this.provider.stop('SIGKILL')]);
    await this.#begin();
  }

  async #startProvider(ttl) {
    const [port, control] = [await freePort(), await freePort()];
    const people = path.join(this.directory, 'people.json');
    writeFileSync(people, JSON.stringify(PEOPLE));
    const words = ['oidc_provider.mjs', '--port', port, '--control', control, '--people', people, '--app', this.url, '--ttl', ttl];
    this.provider = new Program('node', words.map(String), this.directory, { cwd: path.join(ROOT, 'tests/peers') });
    this.issuer = `http://127.0.0.1:${port}`;
    this.control = (act) => fetch(`http://127.0.0.1:${control}/${act}`, { method: 'POST' });
    await this.provider.says(/ready/);
  }

  /** Starts the server, for the first time or once more. */
  async run() {
    this.server = new Program(BINARY, ['--config', this.config, 'serve'], this.directory);
    const ready = () => fetch(`${this.url}/readyz`).then((answer) => answer.ok, () => false);
    await until(ready, '200 at /readyz', 30);
  }

  #command(...words) {
    return new Promise((done, fail) => {
      const child = spawn(BINARY, ['--config', this.config, ...words, '--json'], { stdio: ['ignore', 'pipe', 'inherit'] });
      let text = '';
      child.stdout.on('data', (piece) => (text += piece));
      child.once('exit', (code) => (code === 0 ? done(JSON.parse(text)) : fail(new Error(`${words}: exit ${code}`))));
    });
  }

  async #fill() {
    const { client_id: id } = await this.#command('agents', 'create', 'pipeline', '--auth', 'client-id');
    await this.#command('agents', 'delegate', 'pipeline', '--allow', 'write:documents');
    const issued = await fetch(`${this.url}/authsec/uflow/sdk/delegation-token?client_id=${id}`);
    const { token } = await issued.json();
    const documents = LIBRARY.map(([id, text, department, clearance_level]) => ({ id, text, metadata: { department, clearance_level } }));
    const stored = await fetch(`${this.url}/api/documents`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ documents }),
    });
    if (!stored.ok) throw new Error(`the documents were not stored: ${await stored.text()}`);
  }

  /** Every byte that the server wrote into its folder. */
  async stop() {
    await this.server.stop('SIGKILL');
    await this.provider.stop('SIGKILL');
    rmSync(this.directory, { recursive: true });
  }
}

/** A chat model that says a piece each time `next` is called, and hangs up at `cut`. */
export async function startModel() {
  const listeners = new Set();
  const server = createServer((request, response) => {
    request.resume();
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.flushHeaders();
    listeners.add(response);
    response.once('close', () => listeners.delete(response));
  });
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  const each = async (act) => {
    await until(() => listeners.size > 0, 'a question to the model');
    listeners.forEach(act);
  };
  return {
    url: `http://127.0.0.1:${server.address().port}/v1`,
    say: (text) => each((to) => to.write(`data: ${JSON.stringify({ choices: [{ delta: { content: text } }] })}\n\n`)),
    end: () => each((to) => to.end('data: [DONE]\n\n')),
    cut: () => each((to) => to.destroy()),
    stop: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** What is needed and not there, in words; `null` when all is well. */
export function missing() {
  if (!existsSync(BINARY)) return `there is no ${BINARY}: build it, or name it in BAILIWICK_BIN`;
  return null;
}
