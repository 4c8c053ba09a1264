// What a person does with a backfill: types periods, sees the plan, begins it, pauses it, lets it go
// on, cancels another one. Against real processes.

import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { closeBrowser, open, start, until } from './world.mjs';

let world;
const idOf = async (name) => JSON.parse(await world.ask(`/api/v1/interfaces?name=${name}`)).items[0].id;
const shown = async (id) => JSON.parse(await world.ask(`/api/v1/backfills/${id}`));
before(async () => { world = await start(); });
after(async () => { await closeBrowser(); await world?.stop(); });

/** Fills the form and shows the plan. */
async function plan(page, name, spans) {
  await page.goto(`${world.base}/backfill/add/?interface=${await idOf(name)}`);
  await page.fill('#f-spans', spans);
  await page.click('button:has-text("Show the plan")');
  await page.waitForSelector('#plan');
}

test('a backfill is planned, begun, held and let go on', async () => {
  const page = await open(world);
  await page.goto(`${world.base}/backfill/`);
  await page.picture('backfill-empty');
  await page.goto(`${world.base}/backfill/add/?interface=${await idOf('e2e_talks')}`);
  page.expects(/422/);
  await page.fill('#f-spans', 'yesterday');
  await page.click('button:has-text("Show the plan")');
  await page.waitForSelector('.field.bad #f-spans');
  assert.equal(await page.inputValue('#f-spans'), 'yesterday');
  await page.picture('backfill-wrong');

  await plan(page, 'e2e_talks', '2026-11-01..2026-11-06\n2026-11-10');
  assert.match(await page.textContent('#plan'), /7.*2026-11-01 → 2026-11-10/s);
  await page.picture('backfill-plan');
  await page.click('button:has-text("Start")');
  await page.waitForURL(/\/backfill\/\d+\/$/);
  const id = page.url().match(/(\d+)\/$/)[1];
  // The page keeps up by itself until all of it is made.
  await page.waitForFunction(() => document.querySelector('.facts')?.textContent.includes('7 / 7')
    && document.querySelector('.facts .s-ended'), null, { timeout: 60000 });
  assert.equal(await page.locator('tbody tr').count(), 7);
  await page.picture('backfill-ended');
  assert.equal((await shown(id)).executions.succeeded, 7);
  await page.click('tbody a.main >> nth=0');
  await page.waitForURL(/\/execute\/flow\/detail\//);
  page.check();
  await page.close_all();
});

test('one is paused, another way of it cancelled with what runs; in Chinese too', async () => {
  const page = await open(world, { lang: 'zh', dark: true });
  await page.goto(`${world.base}/backfill/add/?interface=${await idOf('e2e_slow')}`);
  await page.fill('#f-spans', '2026-11-01..2026-11-03');
  await page.fill('#f-parallel', '2');
  await page.click('button:has-text("查看计划")');
  await page.waitForSelector('#plan');
  await page.click('button[value=start]');
  await page.waitForURL(/\/backfill\/\d+\/$/);
  const id = page.url().match(/(\d+)\/$/)[1];
  await until('two live', async () => (await shown(id)).executions.live === 2);
  await page.click('[data-backfill-verb=pause_backfill]');
  await page.click('dialog button:has-text("暂停")');
  await page.waitForSelector('[data-backfill-verb=resume_backfill]');
  await page.picture('backfill-paused-zh');
  await page.click('[data-stop]');
  await page.waitForSelector('dialog .plan-says li');
  await page.picture('backfill-cancel-zh');
  await page.click('dialog button.layui-bg-red');
  await page.waitForFunction(() => !document.querySelector('[data-backfill-verb]'));
  await until('what ran is stopped', async () => (await shown(id)).executions.stopped === 2);
  assert.equal((await shown(id)).state, 'cancelled');
  await page.goto(`${world.base}/backfill/`);
  await page.picture('backfill-list-zh');
  page.check();
  await page.close_all();
});
