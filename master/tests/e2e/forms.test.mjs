// Forms as people misuse them: empty, too long, nonsense, a cycle, markup, an expired login, Back, two at
// a time, and a definition on which others depend. Against real processes.

import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { closeBrowser, open, start, until } from './world.mjs';

let world;
const idOf = async (kind, name) => JSON.parse(await world.ask(`/api/v1/${kind}?name=${name}`)).items[0].id;
before(async () => { world = await start(); });
after(async () => { await closeBrowser(); await world?.stop(); });

const save = (page) => page.click('button[type=submit]:has-text("Save")');
const wrongs = (page) => page.locator('.field.bad .wrong').allTextContents();

test('what is wrong is told beside its field, in words that help, and nothing typed is lost', async () => {
  const page = await open(world);
  page.expects(/status of 422/);
  await page.goto(`${world.base}/interface/add/`);
  await save(page);
  assert.match(page.url(), /add/, 'an empty name is not sent');
  await page.evaluate(() => { for (const one of document.querySelectorAll('[maxlength], [required]')) { one.removeAttribute('maxlength'); one.required = false; } });
  const cases = [['#f-name', '', /a name is required/], ['#f-name', 'x'.repeat(300), /100|characters/], ['#f-zone', 'Mars/Olympus', /time zone|Asia\/Shanghai/],
    ['#f-wait_timeout_s', 'soon', /24h/], ['#f-params', 'no equals sign', /name=value/i], ['#f-priority', 'high', /number|whole/]];
  for (const [field, value, words] of cases) {
    await page.goto(`${world.base}/interface/add/`);
    await page.evaluate(() => { for (const one of document.querySelectorAll('[maxlength], [required]')) { one.removeAttribute('maxlength'); one.required = false; } });
    await page.fill('#f-name', 'will_not_be');
    await page.fill('#f-description', `quotes " ' and <script>alert(1)</script> 账期 🚀`);
    await page.fill(field, value);
    await save(page);
    await page.waitForSelector('.field.bad .wrong');
    const told = (await wrongs(page)).join(' ');
    assert.match(told, words, `${field} = ${value}: ${told}`);
    if (field !== '#f-name' || value) assert.equal(await page.inputValue(field), value);
    assert.equal(await page.inputValue('#f-description'), `quotes " ' and <script>alert(1)</script> 账期 🚀`);
  }
  await page.goto(`${world.base}/dispatch/add/`);
  await page.fill('#f-name', 'bad_cron');
  await page.selectOption('select[name=interface]', { index: 1 });
  for (const cron of ['61 * * * *', '* * *', '0 0 31 2 *', 'every day', '<b>']) {
    await page.fill('#f-cron', cron);
    await page.waitForSelector('#preview .notice');
    await save(page);
    await page.waitForSelector('.field.bad .wrong');
    assert.equal(await page.inputValue('#f-cron'), cron);
  }
  await page.picture('form-bad-cron');
  page.check();
  await page.close_all();
  const chinese = await open(world, { lang: 'zh' });
  chinese.expects(/status of 422/);
  for (const [field, value] of [['#f-name', '', ], ['#f-zone', 'Mars/Olympus'], ['#f-wait_timeout_s', 'soon'], ['#f-params', 'no equals sign'], ['#f-params', '1x=2'], ['#f-priority', 'high'], ['#f-priority', '9999999']]) {
    await chinese.goto(`${world.base}/interface/add/`);
    await chinese.evaluate(() => { for (const one of document.querySelectorAll('[maxlength], [required]')) { one.removeAttribute('maxlength'); one.required = false; } });
    await chinese.fill('#f-name', 'will_not_be');
    await chinese.fill(field, value);
    await chinese.click('.form-foot button[type=submit]');
    await chinese.waitForSelector('.field.bad .wrong');
    for (const told of await wrongs(chinese)) assert.match(told, /[\u4e00-\u9fff]{2}/, `${field} = ${value}`);
  }
  await chinese.goto(`${world.base}/dispatch/add/`);
  await chinese.fill('#f-name', 'bad_cron');
  for (const cron of ['61 * * * *', '* * *', '0 0 31 2 *', 'every day']) {
    await chinese.fill('#f-cron', cron);
    await chinese.click('.form-foot button[type=submit]');
    await chinese.waitForSelector('.field.bad .wrong');
    for (const told of await wrongs(chinese)) assert.match(told, /[\u4e00-\u9fff]{2}/, cron);
  }
  await chinese.goto(`${world.base}/execute/flow/`);
  await chinese.click('#run-now');
  await chinese.fill('#rn-period', 'yesterday');
  await chinese.click('.run-form [type=submit]');
  await chinese.waitForSelector('.run-form .field.bad .wrong:visible');
  assert.match(await chinese.textContent('.run-form .field.bad .wrong:visible'), /[\u4e00-\u9fff]{2}/);
  await chinese.picture('form-wrong-zh');
  chinese.check();
  await chinese.close_all();
});

test('names may be Chinese; markup is text wherever it is shown', async () => {
  const page = await open(world);
  let boxes = 0;
  page.on('dialog', (dialog) => { boxes++; dialog.dismiss(); });
  await page.goto(`${world.base}/interface/add/`);
  await page.fill('#f-name', '航班_日报');
  await page.fill('#f-description', '<img src=x onerror=alert(1)> "quoted" 🚀');
  await page.fill('#f-owner', "O'Brien & 张三");
  await save(page);
  await page.waitForURL(/\/interface\/\d+\/$/);
  const id = /interface\/(\d+)/.exec(page.url())[1];
  await page.goto(`${world.base}/job/add/?interface=${id}`);
  await page.fill('#f-name', '加载"1"');
  await page.fill('[name="fields.program"]', 'echo');
  await page.fill('[name="fields.args"]', '<b>bold</b>\n\'; drop table x; --');
  await save(page);
  await page.waitForURL(/\/job\/\d+\/$|\/job\/add/);
  if (/add/.test(page.url())) assert.match((await wrongs(page)).join(' '), /letters|characters|name/i);
  for (const path of ['/interface/', '/interface/?q=航班', `/interface/${id}/`, `/interface/${id}/?tab=graph`, '/job/', '/']) {
    await page.goto(world.base + path);
    assert.equal(await page.locator('main img[src=x], td b:text-is("bold")').count(), 0, path);
  }
  await page.keyboard.press('/');
  await page.keyboard.type('航班');
  await page.waitForSelector('.found a:has-text("航班_日报")');
  await page.picture('form-chinese-names');
  assert.equal(boxes, 0);
  page.check();
  await page.close_all();
});

test('a cycle is refused with its path', async () => {
  const page = await open(world);
  page.expects(/status of 422/);
  const [load, report] = [await idOf('interfaces', 'flights_load'), await idOf('interfaces', 'flights_report')];
  await page.goto(`${world.base}/interface/${load}/edit/`);
  await page.click('text=+ Parent');
  await page.selectOption('select[name="parents[0].interface"]', String(report));
  await save(page);
  await page.waitForSelector('.wrong');
  assert.match((await page.locator('.wrong').allTextContents()).join(' '), /flights_load.*flights_report|flights_report.*flights_load/);
  await page.picture('form-cycle');
  page.check();
  await page.close_all();
});

test('an expired login in the middle of a form loses nothing', async () => {
  const page = await open(world);
  const id = await idOf('interfaces', 'flights_report');
  await page.goto(`${world.base}/interface/${id}/edit/`);
  await page.fill('#f-description', 'typed before the login expired');
  await page.click('text=+ Parent');
  const last = page.locator('select[name^="parents["][name$=".interface"]').last();
  await last.selectOption(String(await idOf('interfaces', 'e2e_talks')));
  await page.context().clearCookies({ name: 'hcndc' });
  await save(page);
  await page.waitForURL(/\/login\//);
  await page.fill('input[name=name]', 'admin');
  await page.fill('input[type=password]', world.password);
  await page.press('input[type=password]', 'Enter');
  await page.waitForURL(/\/edit\/$/);
  await page.waitForSelector('.notice:has-text("login had expired")');
  assert.equal(await page.inputValue('#f-description'), 'typed before the login expired');
  assert.equal(await page.locator('select[name^="parents["][name$=".interface"]').count(), 2, 'rows too');
  await page.picture('form-after-login');
  await save(page);
  await page.waitForURL(/\/interface\/\d+\/$/);
  await page.waitForSelector('dd:has-text("typed before the login expired")');
  await page.waitForSelector('a:has-text("e2e_talks")');
  await page.goto(`${world.base}/interface/${id}/edit/`);
  assert.equal(await page.locator('.notice:has-text("login had expired")').count(), 0, 'what was saved does not come back');
  page.check();
  await page.close_all();
});

test('what others depend on is shown before it is saved; Back keeps what was typed', async () => {
  const page = await open(world);
  const id = await idOf('interfaces', 'flights_clean');
  await page.goto(`${world.base}/interface/${id}/edit/`);
  await page.fill('#f-priority', '7');
  await save(page);
  await page.waitForSelector('#review');
  const review = await page.textContent('#review');
  assert.match(review, /priority/);
  assert.match(review, /flights_aggregate/);
  await page.picture('form-review');
  assert.equal(JSON.parse(await world.ask(`/api/v1/interfaces/${id}`)).spec.priority ?? 0, 0, 'not saved yet');
  await save(page);
  await page.waitForURL(/\/interface\/\d+\/$/);
  assert.equal(JSON.parse(await world.ask(`/api/v1/interfaces/${id}`)).spec.priority, 7);
  await page.goto(`${world.base}/interface/${id}/edit/`);
  await page.fill('#f-owner', 'somebody else');
  page.on('dialog', (dialog) => dialog.accept());
  await page.click('.tree a[href="/job/"]');
  await page.waitForURL(/\/job\/$/);
  await page.goBack();
  await page.waitForSelector('#f-owner');
  await until('Back brings it back', async () => (await page.inputValue('#f-owner')) === 'somebody else');
  page.check();
  await page.close_all();
});
