// What a person does with versions: changes a job with a reason, looks what differs, goes back, copies;
// from a run to the version that it ran with. Against real processes.

import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { closeBrowser, open, start } from './world.mjs';

let world;
const idOf = async (kind, name) => JSON.parse(await world.ask(`/api/v1/${kind}?name=${name}`)).items[0].id;
before(async () => { world = await start(); });
after(async () => { await closeBrowser(); await world?.stop(); });

test('a change has a reason, a difference and a way back; a run links to what it ran', async () => {
  const page = await open(world);
  const execution = await world.run('e2e_fails');
  const [interface_, job] = [await idOf('interfaces', 'e2e_fails'), await idOf('jobs', 'broken')];
  await page.goto(`${world.base}/job/${job}/edit/`);
  await page.fill('[name="fields.args"]', '-c\necho begin; exit 3');
  await page.fill('#f-reason', 'it said too much');
  await page.click('button[type=submit]:has-text("Save")');
  // The job that comes after it: what changes is shown first, and what was typed is kept.
  await page.waitForSelector('#review');
  assert.equal(await page.inputValue('#f-reason'), 'it said too much');
  await page.click('button[type=submit]:has-text("Save these changes")');
  await page.waitForURL(/\/job\/\d+\/$/);
  await page.goto(`${world.base}/job/${job}/edit/`);
  await page.fill('[name="fields.args"]', '-c\necho the beginning; exit 3\nname');
  await page.fill('#f-reason', 'said twice');
  await page.click('button[type=submit]:has-text("Save")');
  await page.waitForSelector('#review');
  await page.click('button[type=submit]:has-text("Save these changes")');
  await page.waitForURL(/\/job\/\d+\/$/);

  // An edge more, by files.
  world.hcndc('copy', 'job', 'e2e_fails/beside', 'beside again', '--reason', 'two are better');

  await page.click('text=Versions');
  await page.waitForSelector('table.history');
  assert.match(await page.textContent('table.history'), /it said too much/);
  await page.picture('versions-job');
  await page.goto(`${world.base}/interface/${interface_}/?tab=versions`);
  assert.equal(await page.locator('table.history > tbody > tr').count(), 4);
  await page.picture('versions-interface');
  await page.locator('input[name=from]').last().check();
  await page.click('text=Compare the two that are chosen');
  await page.waitForURL(/\/diff\/\?to=4&from=1/);
  await page.waitForSelector('.job-diff');
  await page.picture('versions-diff');
  await page.goto(`${world.base}/job/${job}/diff/?from=2&to=3`);
  assert.equal(await page.locator('.lines ins').count(), 2);
  await page.picture('versions-lines');

  // From a run to what it ran with, and back to that.
  await page.goto(`${world.base}/execute/flow/detail/${execution}/`);
  await page.click('.ex-facts a:has-text("what differs")');
  await page.waitForURL(/\/diff\/\?from=1&to=4/);
  await page.goto(`${world.base}/execute/flow/detail/${execution}/?tab=params`);
  await page.waitForSelector('#pane-params:not([hidden]) table');
  await page.picture('versions-of-run');
  await page.click('#pane-params a:has-text("v1")');
  await page.waitForSelector('pre.yaml:has-text("name: e2e_fails")');
  await page.picture('version');
  await page.click('text=Roll back to version 1');
  await page.waitForSelector('button[type=submit]:has-text("Roll back to version 1")');
  await page.fill('#f-reason', 'it was right at first');
  await page.picture('versions-rollback');
  await page.click('button[type=submit]:has-text("Roll back to version 1")');
  await page.waitForURL(/tab=versions/);
  await page.waitForSelector('text=rolled back to version 1');
  assert.match(JSON.parse(await world.ask(`/api/v1/jobs/${job}`)).spec.fields.args[1], /no column tailnum/);
  page.check();
  await page.close_all();
});

test('a copy is made by a form, and the pages are right in the dark, in Chinese and by thumb', async () => {
  const page = await open(world);
  const interface_ = await idOf('interfaces', 'e2e_fails');
  await page.goto(`${world.base}/interface/${interface_}/`);
  await page.click('.head-buttons a:has-text("Copy")');
  await page.waitForSelector('.notice:has-text("4 jobs come with it")');
  await page.fill('#f-name', 'copied_by_hand');
  await page.click('button[type=submit]:has-text("Save")');
  await page.waitForURL(/\/interface\/\d+\/$/);
  await page.goto(`${page.url()}?tab=jobs`);
  assert.equal(await page.locator('tbody tr').count(), 4);
  page.check();
  await page.close_all();
  for (const [name, look] of [['dark', { dark: true }], ['zh', { lang: 'zh' }], ['phone', { phone: true }]]) {
    const other = await open(world, look);
    await other.goto(`${world.base}/interface/${interface_}/?tab=versions`);
    await other.picture(`versions-interface-${name}`);
    await other.goto(`${world.base}/interface/${interface_}/diff/?from=4&to=3`);
    await other.picture(`versions-diff-${name}`);
    await other.goto(`${world.base}/interface/${interface_}/rollback/3/`);
    await other.picture(`versions-rollback-${name}`);
    const wide = await other.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
    assert.ok(wide <= 0, `${name}: the page is ${wide} px wider than its window`);
    other.check();
    await other.close_all();
  }
});
