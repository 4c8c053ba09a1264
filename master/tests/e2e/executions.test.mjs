// What a person does with executions: starts one, watches it, reads its log, stops it, finds out
// why one failed. Against real processes.

import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { closeBrowser, open, start, until } from './world.mjs';

let world;
before(async () => { world = await start(); });
after(async () => { await closeBrowser(); await world?.stop(); });

/** How many pixels of a canvas are painted. */
const painted = (page, selector) => page.$eval(selector, (canvas) => {
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  let count = 0;
  for (let at = 3; at < data.length; at += 4) if (data[at]) count++;
  return count;
});

test('somebody logs in, is told when the password is wrong, and finds an empty list', async () => {
  const page = await open(world, { login: false });
  page.expects(/401|422|status of/);
  await page.goto(`${world.base}/execute/flow/`);
  assert.match(page.url(), /\/login\//);
  await page.fill('input[type=text], input:not([type])', 'admin');
  await page.fill('input[type=password]', 'wrong');
  await page.press('input[type=password]', 'Enter');
  await page.waitForSelector('text=/wrong|not right|password/i');
  await page.fill('input[type=text], input:not([type])', 'admin');
  await page.fill('input[type=password]', world.password);
  await page.press('input[type=password]', 'Enter');
  await page.waitForURL(/\/execute\/flow\//);
  await page.waitForSelector('text=/Nothing fits/');
  await page.picture('executions-empty');
  page.check();
  await page.close_all();
});

test('run now: a wrong period is refused beside its field; the plan is shown; the mesh runs live to its end', async () => {
  const page = await open(world);
  page.expects(/status of 422/);
  await page.goto(`${world.base}/execute/flow/`);
  await page.click('#run-now');
  await page.selectOption('#rn-interface', { label: 'flights_load' });
  assert.match(await page.inputValue('#rn-period'), /^\d{4}-\d\d-\d\d$/, 'T-1 is filled in');
  await page.fill('#rn-period', 'yesterday');
  await page.click('.run-form [type=submit]');
  await page.waitForSelector('.run-form .field.bad .wrong:visible');
  await page.picture('run-now-refused');
  await page.fill('#rn-period', '2026-11-20');
  await page.click('.run-form [type=submit]');
  await page.waitForSelector('.plan-says li');
  const plan = await page.textContent('.plan-says');
  assert.match(plan, /makes 5 new runs/);
  assert.match(plan, /\d+ jobs will run/);
  await page.picture('run-now-plan');
  await page.click('.plan-buttons .layui-btn:last-child');
  await page.waitForURL(/\/execute\/flow\/detail\//);
  await page.waitForSelector('canvas.mesh-canvas');
  await until('the mesh is painted', async () => (await painted(page, 'canvas.mesh-canvas')) > 5000);
  await page.picture('execution-running');
  let loads = 0;
  page.on('load', () => loads++);
  await page.waitForSelector('#ex-state .s-succeeded', { timeout: 120000 });
  assert.equal(loads, 0, 'it came live, without a reload');
  const words = await page.textContent('.ex-words b');
  const [, done, all] = /(\d+) \/ (\d+)/.exec(words);
  assert.equal(Number(done), Number(all) - 3, 'the month waits for its other days, and holds nobody up');
  await page.picture('execution-succeeded');
  page.check();
  await page.close_all();
});

test('one execution in all its tabs, in both languages and themes, on a desk and on a phone', async () => {
  const looks = [['light', {}], ['dark-zh', { dark: true, lang: 'zh' }], ['phone', { phone: true }], ['zh', { lang: 'zh' }]];
  for (const [name, how] of looks) {
    const page = await open(world, how);
    await page.goto(`${world.base}/execute/flow/`);
    await page.waitForSelector('#list tr[data-id]');
    await page.picture(`executions-${name}`);
    await page.click('#list tr[data-id] a.main');
    await page.waitForSelector('canvas.mesh-canvas');
    await until('the mesh is painted', async () => (await painted(page, 'canvas.mesh-canvas')) > 3000);
    await page.picture(`mesh-${name}`);
    await page.click('[data-tab=gantt]');
    await page.waitForSelector('canvas.gantt-canvas');
    await until('the Gantt is painted', async () => (await painted(page, 'canvas.gantt-canvas')) > 1500);
    await page.picture(`gantt-${name}`);
    await page.click('[data-tab=jobs]');
    await page.waitForSelector('#pane-jobs tbody tr');
    // The jobs of the month stand before it: they wait, and have no attempt yet.
    await page.click('#pane-jobs tbody tr:has(.s-succeeded) >> nth=0');
    await page.waitForSelector('#ex-drawer .drawer-attempts li');
    await page.waitForSelector('#ex-drawer .log-line, #ex-drawer .log-empty');
    await page.picture(`jobs-${name}`);
    assert.match(page.url(), /job=/);
    await page.keyboard.press('Escape');
    await page.click('[data-tab=log]');
    await page.waitForSelector('#pane-log .log-line, #pane-log .log-empty');
    await page.click('[data-tab=events]');
    await page.waitForSelector('.ex-event-over');
    assert.ok(await page.locator('.ex-events li').count() > 20, 'each decision is told');
    await page.picture(`events-${name}`);
    await page.click('[data-tab=params]');
    await page.waitForSelector('#pane-params code');
    await page.reload();
    assert.match(page.url(), /tab=params/, 'the tab is in the address');
    await page.waitForSelector('#pane-params code');
    page.check();
    await page.close_all();
  }
});

test('the mesh is folded, walked by keys, and opens the drawer', async () => {
  const page = await open(world);
  await page.goto(`${world.base}/execute/flow/`);
  await page.click('#list tr[data-id] a.main');
  await page.waitForSelector('canvas.mesh-canvas');
  await until('the mesh is painted', async () => (await painted(page, 'canvas.mesh-canvas')) > 3000);
  await page.click('.mesh-bar button >> nth=4');
  await page.waitForURL(/folded=all/);
  await page.waitForTimeout(300);
  await page.picture('mesh-folded');
  await page.click('.mesh-bar button >> nth=5');
  await page.waitForURL(/folded=none/);
  await page.waitForTimeout(300);
  await page.click('.mesh-bar button >> nth=3');
  await page.focus('canvas.mesh-canvas');
  await page.keyboard.press('ArrowRight');
  await page.keyboard.press('ArrowRight');
  await page.keyboard.press('Enter');
  await page.waitForSelector('#ex-drawer .drawer-head h2');
  await page.picture('mesh-drawer');
  page.check();
  await page.close_all();
});

test('a failed one shows first what failed, on which host, and the line of its log', async () => {
  const id = await world.run('e2e_fails');
  const page = await open(world);
  await page.goto(`${world.base}/execute/flow/detail/${id}/`);
  await page.waitForSelector('.ex-root');
  await page.waitForSelector('#ex-state .s-failed');
  await until('its cause is there', async () => /no column tailnum/.test(await page.textContent('.ex-root .ex-cause')));
  assert.equal(await page.locator('.ex-root').count(), 1, 'the skipped one is no root');
  const card = await page.textContent('.ex-root header');
  assert.match(card, /broken/);
  assert.match(card, /local/);
  assert.match(card, /exit code 3/);
  await page.picture('execution-failed');
  await page.click('[data-tab=events]');
  await page.selectOption('#pane-events select', 'bad');
  await page.waitForSelector('.ex-events li.ex-event-ended');
  const shown = () => page.locator('.ex-events li').allTextContents();
  await until('only what went wrong is shown', async () => !(await shown()).some((one) => /good/.test(one)));
  const said = await shown();
  assert.ok(said.some((one) => /broken.*attempt 1 has ended: exit code 3/.test(one)), said.join('\n'));
  assert.ok(said.some((one) => /behind is .*skipped.*broken failed/.test(one)), said.join('\n'));
  await page.click('.ex-events .ex-event-tried .ex-link');
  await page.waitForSelector('.ex-chip:visible');
  await page.selectOption('#pane-events select', '');
  await page.waitForSelector('.ex-events .ex-event-assigned');
  assert.equal(await page.locator('.ex-events li:not([data-job])').count(), 0, 'only of the chosen job');
  await page.picture('events-failed');
  await page.keyboard.press('Escape');
  await page.click('#resume');
  await page.waitForSelector('.plan-says li');
  assert.match(await page.textContent('.plan-says'), /start again|will run/);
  await page.picture('resume-plan');
  await page.keyboard.press('Escape');
  // The same for all that a list shows: what it would do, and nothing yet.
  await page.goto(`${world.base}/execute/flow/?state=failed`);
  await page.click('#resume-all');
  await page.waitForSelector('.plan-says:has-text("Executions to resume")');
  assert.match(await page.textContent('.plan-says'), /Executions to resume: [1-9]\d*; jobs that start again: [1-9]/);
  await page.picture('resume-all');
  await page.keyboard.press('Escape');
  await page.goto(`${world.base}/execute/flow/detail/${id}/`);
  await page.waitForSelector('.ex-root footer .layui-btn');
  await page.click('.ex-root footer .layui-btn >> nth=0');
  await page.waitForURL(/\/execute\/job\/log\//);
  await page.waitForSelector('.log-line.log-err');
  await page.picture('log-failed');
  page.check();
  const chinese = await open(world, { lang: 'zh' });
  await chinese.goto(`${world.base}/execute/flow/detail/${id}/?tab=jobs`);
  await chinese.waitForSelector('#pane-jobs .ex-why:has-text("broken 失败")');
  await chinese.waitForSelector('#pane-jobs .ex-why:has-text("返回码 3")');
  await chinese.picture('execution-failed-zh');
  await chinese.click('[data-tab=events]');
  await chinese.waitForSelector('.ex-said:has-text("broken 失败")');
  await chinese.picture('events-failed-zh');
  chinese.check();
  await chinese.close_all();
  const phone = await open(world, { phone: true });
  await phone.goto(`${world.base}/execute/flow/detail/${id}/`);
  await phone.waitForSelector('.ex-root');
  await phone.picture('execution-failed-phone');
  phone.check();
  await phone.close_all();
  await page.close_all();
});

test('a running one is stopped: first in numbers, then really', async () => {
  const id = await world.run('e2e_slow');
  const page = await open(world);
  await page.goto(`${world.base}/execute/flow/detail/${id}/?tab=jobs`);
  await page.waitForSelector('#pane-jobs .s-running');
  await page.click('#pane-jobs tr:has(.s-running)');
  await page.waitForSelector('#ex-drawer .log-line');
  assert.match(await page.textContent('#ex-drawer .drawer-log'), /line 3/, 'its last lines are there while it runs');
  await page.picture('drawer-running');
  await page.click('#stop');
  await page.waitForSelector('.plan-says li');
  assert.match(await page.textContent('.plan-says'), /stops \d+ jobs/);
  await page.picture('stop-plan');
  await page.click('.plan-buttons .layui-btn:last-child');
  await page.waitForSelector('#ex-state .s-stopped', { timeout: 40000 });
  await page.picture('execution-stopped');
  page.check();
  await page.close_all();
});

test('a long log opens at its end, is searched on the server, and its text is never markup', async () => {
  const id = await world.run('e2e_talks');
  const page = await open(world);
  await page.goto(`${world.base}/execute/flow/detail/${id}/?tab=log`);
  await page.waitForSelector('#ex-state .s-succeeded', { timeout: 40000 });
  await page.click('[data-tab=jobs]');
  await page.click('#pane-jobs tbody tr >> nth=0');
  await page.waitForSelector('#ex-drawer .drawer-attempts a');
  await page.click('#ex-drawer .drawer-attempts a');
  await page.waitForSelector('#log-page .log-line');
  await page.waitForSelector('text=red needle');
  assert.equal(await page.locator('.log-text b').count(), 0);
  assert.ok(await page.locator('.log-line').count() < 20000, 'not all of it');
  assert.equal(await page.locator('.ansi-31').count(), 1);
  await page.picture('log-long');
  await page.fill('.log-bar input[type=search]', 'line 77 ');
  await page.waitForSelector('.log-match');
  await page.click('.log-match');
  await page.waitForSelector('.log-marked:has-text("line 77 ")');
  await page.picture('log-search');
  page.expects(/status of 422/);
  await page.click('.log-check input >> nth=0');
  await page.fill('.log-bar input[type=search]', '[');
  await page.waitForSelector('.log-found .field-error');
  page.check();
  await page.close_all();
});

test('the page says when it is not live, and catches up by itself', async () => {
  const id = await world.run('e2e_slow');
  const page = await open(world);
  page.expects(/ERR_INTERNET_DISCONNECTED|ERR_|Failed to load/);
  await page.goto(`${world.base}/execute/flow/detail/${id}/`);
  await page.waitForSelector('#ex-state .s-running');
  await page.context().setOffline(true);
  await page.evaluate(() => dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true })));
  await page.waitForSelector('#live:visible', { timeout: 20000 });
  await page.picture('not-live');
  await world.ask('/api/v1/commands', { verb: 'stop_execution', execution: id });
  await page.context().setOffline(false);
  await page.waitForSelector('#ex-state .s-stopped', { timeout: 60000 });
  assert.ok(await page.isHidden('#live'));
  page.check();
  await page.close_all();
});
