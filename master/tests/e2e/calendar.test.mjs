// Working days: a calendar is made by hand and from a file, looked at, and used by a dispatch and an
// interface. Against a real master.

import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { closeBrowser, open, start, until } from './world.mjs';

let world;
before(async () => { world = await start(); });
after(async () => { await closeBrowser(); await world?.stop(); });

const event = (summary, from, to) => `BEGIN:VEVENT\r\nSUMMARY:${summary}\r\nDTSTART;VALUE=DATE:${from}\r\nDTEND;VALUE=DATE:${to}\r\nEND:VEVENT\r\n`;
const ICS = `BEGIN:VCALENDAR\r\nVERSION:2.0\r\n${[
  event('元旦 假期', '20260101', '20260104'), event('春节 假期', '20260215', '20260224'), event('春节 补班', '20260214', '20260215'),
  event('国庆节 假期', '20261001', '20261008'), event('国庆节 补班', '20261010', '20261011'),
].join('')}BEGIN:VEVENT\r\nSUMMARY:weekly meeting\r\nDTSTART;VALUE=DATE:20260105\r\nRRULE:FREQ=WEEKLY\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n`;

test('a calendar is made from a file, drawn, and used', async () => {
  const file = join(world.data, 'china.ics');
  writeFileSync(file, ICS);
  const page = await open(world);
  page.expects(/status of 409/);
  await page.goto(`${world.base}/calendar/`);
  await page.picture('calendar-empty');
  await page.click('.head-buttons >> text=New calendar');
  await page.fill('#f-name', 'China 2026');
  await page.fill('#f-days', '2026-12-25 off Christmas');
  await page.setInputFiles('#ics', file);
  await page.waitForSelector('#ics-review:has-text("21 new days, 0 changed, 0 as they are")');
  await page.waitForSelector('#ics-review td:has-text("weekly meeting")');
  await page.picture('calendar-form-import');
  await page.click('[data-take]');
  const days = await page.inputValue('#f-days');
  assert.match(days, /^2026-01-01\/2026-01-03 off 元旦 假期$/m);
  assert.match(days, /^2026-10-10 work 国庆节 补班$/m);
  assert.match(days, /^2026-12-25 off Christmas$/m, 'what was there stays');
  await page.click('button[type=submit]:has-text("Save")');
  await page.waitForURL(/\/calendar\/\d+\/$/);
  const id = /calendar\/(\d+)/.exec(page.url())[1];
  await page.goto(`${world.base}/calendar/${id}/?year=2026`);
  assert.equal(await page.locator('.month').count(), 12);
  assert.match(await page.getAttribute('.month td.d-holiday >> nth=0', 'title'), /2026-01-01 · holiday · 元旦/);
  assert.equal(await page.locator('.month td.d-made_up').count(), 2);
  await page.picture('calendar-year');

  await page.goto(`${world.base}/interface/`);
  await page.click('table a:has-text("e2e_slow")');
  await page.click('[data-key-edit]');
  await page.selectOption('select[name="calendar"]', { label: 'China 2026' });
  await page.selectOption('select[name="granularity"]', 'month');
  assert.ok(await page.isHidden('select[name="calendar"]'), 'only days can be working days');
  await page.selectOption('select[name="granularity"]', 'day');
  await page.click('button[type=submit]:has-text("Save")');
  await page.waitForSelector('.facts a:has-text("China 2026")');

  await page.goto(`${world.base}/dispatch/add/`);
  await page.selectOption('select[name="interface"]', { label: await page.textContent('select[name="interface"] option:has-text("e2e_slow")') });
  await page.fill('#f-name', 'on_working_days');
  await page.fill('#f-cron', '30 2 * * *');
  await page.selectOption('select[name="days.calendar"]', { label: 'China 2026' });
  await until('days of rest are shown as such', async () => (await page.locator('#preview li.dark-out').count()) > 0);
  await page.selectOption('select[name="days.on"]', 'nth_working');
  await page.fill('input[name="days.on.nth_working"]', '3');
  await until('one of ten', async () => (await page.locator('#preview li.dark-out').count()) >= 9);
  await page.selectOption('select[name="days.on"]', 'working');
  await page.locator('select[name="days.calendar"]').scrollIntoViewIfNeeded();
  await page.picture('calendar-dispatch-form');
  await page.click('button[type=submit]:has-text("Save")');
  await page.waitForURL(/\/dispatch\/\d+\/$/);
  await page.waitForSelector('.facts a:has-text("China 2026")');

  await page.goto(`${world.base}/calendar/${id}/`);
  await page.waitForSelector('.tag:has-text("dispatch")');
  await page.click('.head-buttons .danger');
  await page.click('dialog button:has-text("Delete"), .layui-layer button:has-text("Delete"), dialog .danger');
  await page.waitForSelector('text=it is still used by');
  page.check();

  // The same file again changes nothing; another one says what it would do.
  const again = world.hcndc('calendar', 'import', 'China 2026', file);
  assert.match(String(again), /0 days new, 0 changed, 21 as they are/);
  writeFileSync(file, ICS.replaceAll('2026', '2027'));
  assert.match(String(world.hcndc('calendar', 'import', 'China 2026', file, '--dry-run')), /21 days would be new/);
  await page.close_all();
});

test('it is read in Chinese, in the dark and on a phone', async () => {
  const list = JSON.parse(await world.ask('/api/v1/calendars'));
  const { id } = list.items[0];
  const dark = await open(world, { lang: 'zh', dark: true });
  await dark.goto(`${world.base}/calendar/${id}/?year=2026`);
  await dark.picture('calendar-year-dark');
  await dark.goto(`${world.base}/calendar/`);
  await dark.picture('calendar-list-dark');
  await dark.goto(`${world.base}/calendar/${id}/edit/`);
  await dark.picture('calendar-form-dark');
  dark.check();
  const phone = await open(world, { phone: true });
  await phone.goto(`${world.base}/calendar/${id}/?year=2026`);
  const wide = await phone.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert.ok(wide <= 0, `${wide} pixels too wide`);
  await phone.picture('calendar-year-phone');
  phone.check();
});
