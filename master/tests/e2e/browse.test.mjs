// Files of Kettle and Hop as a person goes through them: down a folder, a picture, a job by Browse, a
// parameter that the file does not declare, an import. Against real processes.

import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { closeBrowser, open, root, start } from './world.mjs';

let world, etl;
before(async () => {
  world = await start({ executor: (data) => {
    etl = join(data, 'etl');
    for (const [from, to] of [['executor/tests/kettle/samples', 'daily'], ['executor/tests/hop/project', 'sales']]) {
      mkdirSync(join(etl, to), { recursive: true });
      for (const one of readdirSync(join(root, from), { withFileTypes: true })) if (one.isFile() && one.name !== 'nested.kjb') copyFileSync(join(root, from, one.name), join(etl, to, one.name));
    }
    return `[browse]\nfolders = ["${etl}"]\n`;
  } });
});
after(async () => { await closeBrowser(); await world?.stop(); });

test('a file is found, seen, and becomes a job', async () => {
  const page = await open(world);
  page.expects(/status of 403/);
  await page.goto(`${world.base}/browse/`);
  await page.click(`a:has-text("${etl}")`);
  await page.click('a:has-text("daily/")');
  await page.picture('browse-folder');
  await page.click('a:has-text("job.kjb")');
  await page.waitForSelector('.drawing svg .step');
  assert.equal(await page.locator('.drawing .step').count(), 3);
  await page.picture('browse-file');
  // The picture leads on to what an entry runs.
  await page.click('.drawing a');
  await page.waitForSelector('h1:has-text("hello.ktr")');
  await page.goBack();
  await page.goto(`${world.base}/job/add/`);
  await page.selectOption('select[name=kind]', 'kettle');
  await page.click('[data-browse]:visible');
  await page.click('.browse-box a:has-text("etl")');
  await page.click('.browse-box a:has-text("daily/")');
  await page.picture('browse-dialog');
  await page.click('.browse-box button:has-text("hello.ktr")');
  assert.match(await page.inputValue('input[name="fields.file"]:visible'), /daily\/hello\.ktr$/);
  assert.equal(await page.inputValue('select[name="fields.runs"]'), 'transformation');
  // What is refused is said there, with the way back to where one may look.
  await page.fill('input[name="fields.file"]:visible', '/etc/x.ktr');
  await page.click('[data-browse]:visible');
  await page.waitForSelector('.browse-box .notice:has-text("is in none of the folders")');
  await page.click('.browse-box a:has-text("Begin where")');
  await page.waitForSelector('.browse-box a:has-text("etl")');
  page.check();
  await page.close_all();
});

test('an undeclared parameter is told beside its field, and the picture is on the page of the job', async () => {
  const page = await open(world);
  page.expects(/status of 422/);
  await page.goto(`${world.base}/job/add/?host=1&file=${encodeURIComponent(join(etl, 'daily/hello.ktr'))}`);
  await page.evaluate(() => { const select = document.querySelector('select[name=interface]'); select.value = [...select.options].find((one) => one.value).value; });
  await page.fill('#f-name', 'from_a_file');
  await page.fill('#f-environment', 'pdi-8');
  await page.fill('textarea[name="fields.params"]:visible', 'M=3');
  await page.click('.form-foot button[type=submit]');
  await page.waitForSelector('.field.bad .wrong');
  assert.match((await page.locator('.field.bad .wrong').allTextContents()).join(' '), /declares no such parameter; it has: N/);
  await page.picture('browse-undeclared');
  await page.fill('textarea[name="fields.params"]:visible', 'N=3');
  await page.click('.form-foot button[type=submit]');
  await page.waitForURL(/\/job\/\d+\/$/);
  await page.click('.tabs a:has-text("Picture")');
  await page.waitForSelector('.drawing svg .step');
  page.check();
  await page.close_all();
});

test('a folder becomes interfaces and jobs, after a review', async () => {
  const page = await open(world, { lang: 'zh', dark: true });
  await page.goto(`${world.base}/browse/import/?host=1&path=${encodeURIComponent(etl)}`);
  await page.waitForSelector('.import-table tbody tr');
  await page.fill('#f-environment_kettle', 'pdi-8');
  await page.fill('#f-environment_hop', 'hop-2');
  await page.picture('browse-import');
  await page.click('.form-foot button[type=submit]');
  await page.waitForURL(/\/interface\/(\d+\/)?$/);
  const items = JSON.parse(await world.ask('/api/v1/interfaces?name=etl_daily')).items;
  assert.equal(items.length, 1);
  page.check();
  await page.close_all();
});
