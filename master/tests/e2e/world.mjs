// A master and an executor, really running, with a data directory of their own; and a browser that
// notes what it must never see: errors in its console, requests to any other host.

import { spawn, execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync, openSync, existsSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import assert from 'node:assert/strict';
import { chromium } from 'playwright-core';

export const root = join(dirname(fileURLToPath(import.meta.url)), '../../..');
const bin = process.env.HCNDC_BIN || join(process.env.CARGO_TARGET_DIR || join(root, 'target'), 'debug');
/** Screenshots are kept here. */
export const pictures = join(root, 'target/e2e');
mkdirSync(pictures, { recursive: true });

// Below the ports that the kernel gives to whoever connects (the browser does, much).
let nextPort = 16000 + (process.pid * 8) % 3900;
async function freePort() {
  for (;;) {
    const port = nextPort++;
    const free = await new Promise((resolve) => {
      const server = createServer();
      server.on('error', () => resolve(false));
      server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
    });
    if (free) return port;
  }
}

export const wait = (ms) => new Promise((done) => setTimeout(done, ms));

/** Until `look` gives something true. */
export async function until(what, look, ms = 60000) {
  const end = Date.now() + ms;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (Date.now() > end) throw new Error(`${what}: not within ${ms} ms`);
    await wait(150);
  }
}

const MESH = `
kind: interface
name: e2e_slow
spec: { description: "sleeps until somebody stops it" }
jobs:
  - { name: first, kind: shell, fields: { program: echo, args: ["ready"] } }
  - { name: sleeper, kind: shell, after: [first], fields: { program: sh, args: ["-c", "for n in 1 2 3; do echo line \$n; done; exec sleep 600"] } }
  - { name: never, kind: shell, after: [sleeper], fields: { program: "true" } }
---
kind: interface
name: e2e_fails
spec: { description: "fails in the middle" }
jobs:
  - { name: good, kind: shell, fields: { program: echo, args: ["fine"] } }
  - { name: broken, kind: shell, after: [good], fields: { program: sh, args: ["-c", "echo begin; echo 'ERROR: table flights has no column tailnum' >&2; echo bye >&2; exit 3"] } }
  - { name: beside, kind: shell, after: [good], fields: { program: echo, args: ["goes on"] } }
  - { name: behind, kind: shell, after: [broken], fields: { program: "true" } }
---
kind: interface
name: e2e_talks
spec: { description: "writes a long log" }
jobs:
  - { name: talker, kind: shell, fields: { program: sh, args: ["-c", "i=0; while [ \$i -lt 20000 ]; do i=\$((i+1)); echo \\"line \$i 航班 <b>not markup</b>\\"; done; printf '\\\\033[31mred needle\\\\033[0m\\\\n'; echo to-err >&2"] } }
`;

/** Starts both. `stop()` ends them and removes their data. `executor(data)`: lines of its executor.toml. */
export async function start({ executor = () => '' } = {}) {
  const data = mkdtempSync(join(tmpdir(), 'hcndc-e2e-'));
  const [port, executorPort] = [await freePort(), await freePort()];
  const base = `http://127.0.0.1:${port}`;
  const env = { ...process.env, HCNDC_CONFIG: join(data, 'client.toml') };
  const children = [];
  const begin = (program, args, log) => {
    const file = openSync(join(data, log), 'a');
    const child = spawn(join(bin, program), args, { env, stdio: ['ignore', file, file] });
    children.push(child);
    return child;
  };
  const hcndc = (...args) => execFileSync(join(bin, 'hcndc'), args, { env, encoding: 'utf8', timeout: 180000 });
  const stop = async () => {
    for (const child of [...children].reverse()) {
      if (child.exitCode !== null) continue;
      child.kill('SIGTERM');
      await Promise.race([new Promise((done) => child.once('exit', done)), wait(15000)]);
      if (child.exitCode === null) child.kill('SIGKILL');
    }
    if (!process.env.KEEP) rmSync(data, { recursive: true, force: true });
  };
  try {
    begin('hcndc-master', ['--data', join(data, 'master'), '--port', String(port),
      '--admin-password-file', join(data, 'password'), '--client-file', join(data, 'client.toml')], 'master.log');
    await until('the master is ready', async () => existsSync(join(data, 'client.toml'))
      && (await fetch(`${base}/readyz`).catch(() => null))?.ok);
    execFileSync(join(bin, 'hcndc-master'), ['issue-host', '--data', join(data, 'master'), '--name', 'local', '--out', join(data, 'executor/pki')], { env });
    writeFileSync(join(data, 'executor.toml'), executor(data), { mode: 0o600 });
    begin('hcndc-executor', ['run', '--config', join(data, 'executor.toml'), '--data', join(data, 'executor'), '--listen', `127.0.0.1:${executorPort}`, '--stop-jobs'], 'executor.log');
    writeFileSync(join(data, 'host.yaml'), `kind: host\nname: local\nspec: { address: "127.0.0.1:${executorPort}", slots: 4 }\n`);
    writeFileSync(join(data, 'mesh.yaml'), MESH);
    hcndc('apply', '-f', join(data, 'host.yaml'));
    hcndc('apply', '-f', join(root, 'config/sample'), '--param', `home=${join(root, 'config/sample')}`, '--param', `work=${join(data, 'sample')}`);
    hcndc('apply', '-f', join(data, 'mesh.yaml'));
  } catch (error) {
    for (const log of ['master.log', 'executor.log']) if (existsSync(join(data, log))) console.error(readFileSync(join(data, log), 'utf8').slice(-3000));
    await stop();
    throw error;
  }
  const token = /token\s*=\s*"([^"]+)"/.exec(readFileSync(join(data, 'client.toml'), 'utf8'))[1];
  const ask = async (path, body) => {
    const answer = await fetch(base + path, { method: body ? 'POST' : 'GET', body: body && JSON.stringify(body),
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' } });
    const text = await answer.text();
    assert.ok(answer.ok, `${path}: ${answer.status} ${text}`);
    return text;
  };
  /** Starts an interface; its execution's id. */
  const run = async (name, more = {}) => {
    const choices = JSON.parse(/id="choices">(.*?)<\/script>/s.exec(await ask('/execute/flow/'))[1]);
    const { id } = choices.find((one) => one.name === name);
    const { plan } = JSON.parse(await ask('/api/v1/commands', { verb: 'run_now', interface: id, period: '2026-11-20', ...more }));
    assert.ok(plan?.execution, `${name}: ${JSON.stringify(plan)}`);
    return plan.execution;
  };
  return { base, data, hcndc, ask, run, stop, password: readFileSync(join(data, 'password'), 'utf8').trim() };
}

let browser = null;
export async function closeBrowser() { await browser?.close(); browser = null; }

/** A page of its own, logged in unless told otherwise. `page.check()` says what it must not have seen. */
export async function open(world, { lang = 'en', dark = false, phone = false, login = true, zone } = {}) {
  browser ??= await chromium.launch({
    executablePath: process.env.CHROMIUM || '/usr/bin/chromium', headless: true,
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
  });
  const context = await browser.newContext({
    viewport: phone ? { width: 390, height: 844 } : { width: 1280, height: 900 }, hasTouch: phone, isMobile: phone,
    colorScheme: dark ? 'dark' : 'light', reducedMotion: 'reduce', timezoneId: zone,
  });
  await context.addCookies([{ name: 'lang', value: lang, url: world.base }, { name: 'theme', value: dark ? 'dark' : 'light', url: world.base }]);
  const page = await context.newPage();
  const seen = [];
  let expected = [];
  page.on('console', (message) => { if (message.type() === 'error') seen.push(`console: ${message.text()} ${message.location().url}`); });
  page.on('pageerror', (error) => seen.push(`error: ${error.message}`));
  page.on('request', (request) => { if (/^(https?|wss?):/.test(request.url()) && !request.url().startsWith(world.base)) seen.push(`request to ${request.url()}`); });
  /** Failures that a test provokes: the browser notes each refused request as an error. */
  page.expects = (...patterns) => { expected = [...expected, ...patterns]; };
  page.check = () => { assert.deepEqual(seen.filter((line) => !expected.some((one) => one.test(line))), []); };
  page.picture = (name) => page.screenshot({ path: join(pictures, `${name}.png`) });
  page.close_all = () => context.close();
  if (login) {
    await page.goto(`${world.base}/login/`);
    await page.fill('input[type=text], input:not([type])', 'admin');
    await page.fill('input[type=password]', world.password);
    await Promise.all([page.waitForURL((url) => !url.pathname.startsWith('/login')), page.press('input[type=password]', 'Enter')]);
  }
  return page;
}
