// Files of Kettle and Hop as a person goes through them: down a folder, a picture, a job by Browse, a
// parameter that the file does not declare, an import. Against real processes.

import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { closeBrowser, open, root, start } from './world.mjs';

// A repository in a database, as Kettle exports it.
const EXPORT = `<?xml version="1.0" encoding="UTF-8"?>
<repository><transformations>
<transformation><info><name>load orders</name><directory>/finance/daily</directory><parameters><parameter><name>DAY</name><default_value>today</default_value><description/></parameter></parameters></info>
<order><hop><from>in</from><to>out</to><enabled>Y</enabled></hop></order>
<step><name>in</name><type>TableInput</type><GUI><xloc>60</xloc><yloc>60</yloc></GUI></step><step><name>out</name><type>TableOutput</type><GUI><xloc>220</xloc><yloc>60</yloc></GUI></step></transformation>
<transformation><info><name>a/b</name><directory>/</directory></info></transformation>
</transformations><jobs>
<job><name>night</name><directory>/finance</directory><entries><entry><name>START</name><type>SPECIAL</type><xloc>50</xloc><yloc>50</yloc></entry>
<entry><name>first</name><type>TRANS</type><specification_method>rep_name</specification_method><directory>/finance/daily</directory><transname>load orders</transname><xloc>180</xloc><yloc>50</yloc></entry></entries>
<hops><hop><from>START</from><to>first</to><unconditional>Y</unconditional></hop></hops></job>
</jobs></repository>`;

let world, etl, pdi;
before(async () => {
  world = await start({ executor: (data) => {
    etl = join(data, 'etl');
    for (const [from, to] of [['executor/tests/kettle/samples', 'daily'], ['executor/tests/hop/project', 'sales']]) {
      mkdirSync(join(etl, to), { recursive: true });
      for (const one of readdirSync(join(root, from), { withFileTypes: true })) if (one.isFile() && one.name !== 'nested.kjb') copyFileSync(join(root, from, one.name), join(etl, to, one.name));
    }
    pdi = join(data, 'pdi');
    mkdirSync(pdi);
    writeFileSync(join(pdi, 'export.xml'), EXPORT);
    const script = '#!/bin/sh\nh=$(dirname "$0")\nwhile [ -e "$h/wait" ]; do sleep 0.1; done\nfor a in "$@"; do case $a in -exprep=*) cp "$h/export.xml" "${a#-exprep=}" ;; esac; done\n';
    for (const name of ['pan.sh', 'kitchen.sh']) writeFileSync(join(pdi, name), script, { mode: 0o755 });
    return `[browse]\nfolders = ["${etl}"]\nrepositories = ["pdi:main"]\n[environments.pdi]\nvars = { PDI_HOME = "${pdi}", KETTLE_USER = "etl" }\n`;
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

test('a repository in a database is read by a button, and a job is made of what is in it', async () => {
  const page = await open(world);
  const wait = join(pdi, 'wait');
  writeFileSync(wait, '');
  await page.goto(`${world.base}/browse/?host=1`);
  await page.picture('browse-unread');
  await page.click('.copied button:has-text("Read it now")');
  await page.waitForSelector('.copied[data-reading]');
  await page.picture('browse-reading');
  // Who is on the way to a page that is slow gets there, however often this one looks what has become of it.
  await page.route('**/base/calendar/', async (route) => { await new Promise((done) => { setTimeout(done, 7000); }); await route.continue(); });
  await page.evaluate(() => { const link = document.createElement('a'); link.href = '/base/calendar/'; document.body.append(link); link.click(); });
  await page.waitForURL('**/base/calendar/', { timeout: 12000 });
  await page.goto(`${world.base}/browse/?host=1&path=repository://pdi/main`);
  await page.waitForSelector('.copied[data-reading]');
  rmSync(wait);
  // The page keeps up by itself.
  await page.click('a:has-text("finance/")');
  await page.picture('browse-repository');
  await page.click('a:has-text("night.kjb")');
  await page.click('.drawing a');
  await page.waitForSelector('h1:has-text("load orders.ktr")');
  await page.picture('browse-stored-file');
  // In the form it is repository, directory and name; read again from there as well.
  await page.goto(`${world.base}/job/add/`);
  await page.selectOption('select[name=kind]', 'kettle');
  await page.click('[data-browse]:visible');
  await page.click('.browse-box a:has-text("main")');
  await page.waitForSelector('.browse-box a:has-text("finance/")');
  // What is refused is said beside the button: a repository that is not named, a host that is gone, a login that is over.
  page.expects(/status of (422|404)/);
  const refused = async (name, value, words) => {
    const button = page.locator('.browse-box button[data-read]');
    const old = await button.evaluate((one, [key, text]) => { const was = one.dataset[key]; if (key) one.dataset[key] = text; return was; }, [name, value]);
    await button.click();
    await page.waitForSelector(`.browse-box [role=alert]:has-text("${words}")`);
    await button.evaluate((one, [key, text]) => { if (key) one.dataset[key] = text; }, [name, old]);
  };
  await refused('repository', 'other', 'browse.repositories in its executor.toml does not name it');
  await page.picture('browse-refused');
  await refused('host', '99', 'exec host 99');
  const cookies = await page.context().cookies();
  await page.context().clearCookies();
  await refused('', '', 'Your login has expired');
  await page.context().addCookies(cookies);
  writeFileSync(wait, '');
  await page.click('.browse-box button:has-text("Read it again")');
  await page.waitForSelector('.browse-box .copied[data-reading]');
  rmSync(wait);
  await page.waitForSelector('.browse-box .copied button:has-text("Read it again")');
  await page.click('.browse-box a:has-text("finance/")');
  await page.click('.browse-box a:has-text("daily/")');
  await page.picture('browse-stored-dialog');
  await page.click('.browse-box button:has-text("load orders.ktr")');
  const values = {};
  for (const name of ['file', 'repository', 'directory', 'object', 'user']) values[name] = await page.inputValue(`input[name="fields.${name}"]:visible`);
  assert.deepEqual(values, { file: '', repository: 'main', directory: '/finance/daily', object: 'load orders', user: 'etl' });
  assert.equal(await page.inputValue('input[name=environment]'), 'pdi');
  assert.equal(await page.inputValue('select[name="fields.runs"]'), 'transformation');
  page.check();
  await page.close_all();
  const dark = await open(world, { lang: 'zh', dark: true });
  writeFileSync(join(pdi, 'export.xml'), '<repository><jobs>');
  await dark.goto(`${world.base}/browse/?host=1&path=repository://pdi/main`);
  await dark.click('.copied button');
  await dark.waitForSelector('.copied .wrong');
  await dark.picture('browse-repository-zh');
  await dark.goto(`${world.base}/browse/?host=1`);
  await dark.picture('browse-start-zh');
  await dark.goto(`${world.base}/browse/import/?host=1&path=repository://pdi/main&how=expanded`);
  await dark.waitForSelector('.import-table tbody tr');
  await dark.picture('browse-import-stored-zh');
  dark.check();
  await dark.close_all();
});
