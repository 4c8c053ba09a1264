// What a person does with definitions: makes an interface, a job, a dispatch and a host; finds,
// filters, edits, pauses, deletes; with the mouse and with the keyboard. Against real processes.

import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { closeBrowser, open, start, until } from './world.mjs';

let world;
const idOf = async (kind, name) => JSON.parse(await world.ask(`/api/v1/${kind}?name=${name}`)).items[0].id;
before(async () => { world = await start(); });
after(async () => { await closeBrowser(); await world?.stop(); });

test('an interface, a job and a dispatch are made by their forms; what is typed is previewed', async () => {
  const page = await open(world);
  page.expects(/status of 422/);
  await page.goto(`${world.base}/interface/`);
  await page.click('text=New interface');
  await page.fill('#f-name', 'made_by_hand');
  await page.fill('#f-wait_timeout_s', 'soon');
  await page.click('text=+ Parent');
  await page.selectOption('select[name="parents[0].interface"]', String(await idOf('interfaces', 'flights_load')));
  await page.selectOption('select[name="parents[0].map"]', 'previous');
  await page.fill('input[name="parents[0].n"]', '2');
  await page.click('button[type=submit]:has-text("Save")');
  await page.waitForSelector('.field.bad .wrong:has-text("24h")');
  assert.equal(await page.inputValue('#f-name'), 'made_by_hand', 'what was typed is still there');
  assert.equal(await page.inputValue('input[name="parents[0].n"]'), '2');
  await page.picture('interface-form-error');
  await page.fill('#f-wait_timeout_s', '2h');
  await page.click('button[type=submit]:has-text("Save")');
  await page.waitForURL(/\/interface\/\d+\/$/);
  await page.waitForSelector('text=the 2 before ours');

  await page.click('text=New job');
  await page.fill('#f-name', 'greet');
  await page.fill('[name="fields.program"]', 'echo');
  await page.fill('[name="fields.args"]', '${date}\na b');
  await page.waitForSelector('#preview pre:has-text("echo")');
  await until('the command follows what is typed', async () => /'a b'|"a b"/.test(await page.textContent('#preview')));
  await page.click('text=+ Job of another interface');
  await page.fill('.row .pick input', 'airlines');
  await page.click('.pick-list [role=option]:has-text("airlines")');
  await page.picture('job-form');
  await page.click('button[type=submit]:has-text("Save")');
  await page.waitForURL(/\/job\/\d+\/$/);
  await page.waitForSelector('.facts a:has-text("airlines")');

  await page.goto(`${world.base}/dispatch/add/`);
  await page.selectOption('select[name="interface"]', { label: await page.textContent('select[name="interface"] option:has-text("made_by_hand")') });
  await page.fill('#f-name', 'by_hand_daily');
  await page.fill('#f-cron', '15 6 * * MON-FRI');
  await until('ten firings', async () => (await page.locator('#preview .firings li').count()) === 10);
  await until('the editor follows the text', async () => (await page.inputValue('#cron-editor [data-cell=to]').catch(() => '')) === '5');
  await page.selectOption('#cron-editor > div:nth-child(2) select', 'step');
  assert.match(await page.inputValue('#f-cron'), /^15 \*\/5 \* \* 1-5$/, 'the text follows the editor');
  await page.fill('#f-cron', '15 6 * * nonsense');
  await page.waitForSelector('#preview .notice.warn');
  await page.fill('#f-cron', '15 6 * * MON-FRI');
  await until('ten firings again', async () => (await page.locator('#preview .firings li').count()) === 10);
  await page.picture('dispatch-form');
  await page.click('button[type=submit]:has-text("Save")');
  await page.waitForURL(/\/dispatch\/\d+\/$/);
  assert.equal(await page.locator('.firings li').count(), 10);
  page.check();
  await page.close_all();
});

test('leaving with changes asks, and a stale form shows both', async () => {
  const [page, other] = [await open(world), await open(world)];
  page.expects(/status of 409/);
  const id = await idOf('interfaces', 'flights_report');
  for (const one of [page, other]) {
    await one.goto(`${world.base}/interface/${id}/edit/`);
    await one.waitForSelector('#f-description');
  }
  await page.fill('#f-description', 'typed here');
  let asked = 0;
  page.on('dialog', (dialog) => { asked++; dialog.dismiss(); });
  await page.click('.tree a[href="/job/"]').catch(() => {});
  await until('it asks', async () => asked > 0);
  assert.match(page.url(), /edit/);
  await other.fill('#f-description', 'typed there');
  await other.click('button[type=submit]:has-text("Save")');
  await other.waitForURL(/\/interface\/\d+\/$/);
  await page.click('button[type=submit]:has-text("Save")');
  await page.waitForSelector('ins:has-text("typed there")');
  assert.equal(await page.inputValue('#f-description'), 'typed here');
  await page.picture('interface-form-stale');
  await page.click('button[type=submit]:has-text("Save")');
  await page.waitForURL(/\/interface\/\d+\/$/);
  await page.waitForSelector('dd:has-text("typed here")');
  page.check();
  await page.close_all();
  await other.close_all();
});

test('two people in one job\'s form: the second is told who was first, and loses nothing', async () => {
  const [page, other] = [await open(world), await open(world, { dark: true, lang: 'zh' })];
  other.expects(/status of 409/);
  const id = await idOf('jobs', 'report');
  for (const one of [page, other]) {
    await one.goto(`${world.base}/job/${id}/edit/`);
    await one.waitForSelector('#preview pre');
  }
  await page.fill('#f-description', 'who came first');
  await page.click('.form-foot button[type=submit]');
  await until('it is saved, after a look at who depends on it', async () => {
    if (await page.$('#review')) await page.click('.form-foot button[type=submit]');
    return /\/job\/\d+\/$/.test(page.url());
  });
  await other.fill('#f-description', 'who came second');
  await other.click('.form-foot button[type=submit]');
  await other.waitForSelector('.notice.warn:has-text("admin 在此期间保存了版本")');
  assert.equal(await other.textContent('.diff ins'), 'who came first');
  assert.equal(await other.inputValue('#f-description'), 'who came second', 'what was typed is still there');
  await other.picture('job-form-stale');
  const [theirs] = await Promise.all([other.context().waitForEvent('page'), other.click('.notice.warn a')]);
  await theirs.waitForSelector('#f-description');
  assert.equal(await theirs.inputValue('#f-description'), 'who came first', 'theirs is one click away');
  await theirs.close();
  await other.click('.form-foot button[type=submit]');
  await until('seen and decided', async () => {
    if (await other.$('#review')) await other.click('.form-foot button[type=submit]');
    return /\/job\/\d+\/$/.test(other.url());
  });
  await other.waitForSelector('dd:has-text("who came second")');
  for (const one of [page, other]) { one.check(); await one.close_all(); }
});

test('a filter is saved under a name, is one click away, and is removed', async () => {
  const page = await open(world);
  await page.goto(`${world.base}/job/`);
  assert.equal(await page.$('.saved'), null, 'nothing to save yet');
  await page.fill('.filters input[name=q]', 'carrier');
  await page.press('.filters input[name=q]', 'Enter');
  await page.waitForURL(/q=carrier/);
  await page.click('.saved summary');
  await page.fill('.saved input[name=name]', 'carriers only');
  await page.press('.saved input[name=name]', 'Enter');
  await page.waitForSelector('.chip.here:has-text("carriers only")');
  assert.match(page.url(), /\?q=carrier$/, 'the address is still the truth');
  await page.picture('jobs-saved-filter');
  await page.goto(`${world.base}/job/?sort=-id`);
  await page.click('.chip a:has-text("carriers only")');
  await page.waitForURL(/\?q=carrier$/);
  assert.equal(await page.inputValue('.filters input[name=q]'), 'carrier');
  await page.click('.chip.here button');
  await until('it is gone', async () => (await page.$$('.chip:not(.new)')).length === 0);
  await page.waitForSelector('.chip.new');
  page.check();
  await page.close_all();
});

test('days and hours are the viewer\'s, by name', async () => {
  for (const [zone, look] of [['America/New_York', {}], ['Europe/Berlin', { lang: 'zh', dark: true }], ['Asia/Shanghai', { phone: true }]]) {
    const page = await open(world, { zone, ...look });
    await page.goto(`${world.base}/`);
    const head = await page.textContent('h1');
    assert.ok(head.includes(zone), head);
    const today = new Intl.DateTimeFormat('sv-SE', { timeZone: zone }).format(new Date());
    assert.ok(head.includes(today), `${head}: it is ${today} in ${zone}`);
    const away = zone !== 'Asia/Shanghai';
    assert.equal(await page.locator('.hours-there').count(), away ? 1 : 0);
    assert.equal(await page.locator('#clock small').count(), away ? 1 : 0);
    await page.picture(`home-zone-${zone.split('/').pop()}`);
    await page.click('.figure.s-failed');
    await page.waitForURL(new RegExp(`from=${today}`));
    assert.equal(await page.inputValue('input[name=from]'), today, 'a day is written as ISO has it');
    await page.fill('input[name=until]', '29.11.2026');
    await page.press('input[name=until]', 'Enter');
    assert.match(await page.$eval('input[name=until]', (one) => one.validationMessage), look.lang === 'zh' ? /应为日期/ : /a day such as/);
    assert.ok(!page.url().includes('until'), 'it is not sent');
    page.check();
    await page.close_all();
  }
});

test('an interface is frozen by its button: numbers first, then why', async () => {
  const page = await open(world);
  page.expects(/status of 422/);
  const id = await idOf('interfaces', 'flights_load');
  await page.goto(`${world.base}/interface/${id}/`);
  await page.click('button[data-turn$="/freeze"]');
  await page.waitForSelector('.plan-says li:has-text("1 dispatch starts nothing any more")');
  await page.waitForSelector('.plan-says li:has-text("wait for it")');
  await page.click('.plan-buttons .layui-btn:last-child');
  await page.waitForSelector('.field-error:visible');
  await page.fill('#plan-reason', 'the source is being moved');
  await page.picture('interface-freeze');
  await page.click('.plan-buttons .layui-btn:last-child');
  await page.waitForSelector('h1 .s-frozen');
  await page.click('button[data-turn$="/unfreeze"]');
  await page.waitForSelector('.plan-says li:has-text("1 dispatch fires again")');
  await page.fill('#plan-reason', 'it has been moved');
  await page.click('.plan-buttons .layui-btn:last-child');
  await page.waitForSelector('button[data-turn$="/freeze"]');
  await page.goto(`${world.base}/interface/${id}/?tab=versions`);
  await page.waitForSelector('td b:has-text("it has been moved")');
  page.check();
  await page.close_all();
});

test('lists by keyboard, the bulk bar, search, and the address that remembers a filter', async () => {
  const page = await open(world);
  await page.goto(`${world.base}/job/`);
  await page.keyboard.press('j');
  await page.keyboard.press('j');
  await page.waitForSelector('tr.here');
  await page.keyboard.press('x');
  await page.waitForSelector('.bulk:visible >> text=1 selected');
  await page.click('.bulk button[value=freeze]');
  await page.waitForSelector('dialog[open] >> text=Freezes 1 jobs');
  await page.fill('dialog[open] textarea', 'for the end of the year');
  await page.picture('jobs-bulk');
  await page.click('dialog[open] .layui-btn:not(.layui-btn-primary)');
  await page.waitForSelector('.state.s-frozen');
  await page.selectOption('select[name=status]', 'frozen');
  await page.waitForURL(/status=frozen/);
  assert.equal(await page.locator('tbody tr').count(), 1);
  await page.goBack();
  await page.keyboard.press('/');
  await page.keyboard.type('flights_re');
  await page.waitForSelector('.found a:has-text("flights_report")');
  await page.keyboard.press('Enter');
  await page.waitForURL(/\/interface\/\d+\/$/);
  await page.keyboard.press('g');
  await page.keyboard.press('d');
  await page.waitForURL(/\/dispatch\/$/);
  await page.keyboard.press('?');
  await page.waitForSelector('#keys-list[open]');
  await page.keyboard.press('Escape');
  page.check();
  await page.close_all();
});

test('a dispatch is paused and resumed by the leader; run now says what it would start', async () => {
  const page = await open(world);
  await page.goto(`${world.base}/dispatch/${await idOf('dispatches', 'flights_daily')}/`);
  await page.click('button:has-text("Pause")');
  await page.click('.plan-buttons .layui-btn:last-child');
  await page.waitForSelector('h1 .s-paused');
  await page.waitForSelector('text=It is paused');
  await page.click('button:has-text("Resume")');
  await page.click('.plan-buttons .layui-btn:last-child');
  await page.waitForSelector('h1 .s-active');
  await page.click('button:has-text("Run now")');
  await page.fill('dialog[open] input[name=period]', '2026-11-05');
  await page.press('dialog[open] input[name=period]', 'Tab');
  await page.waitForSelector('dialog[open] .notice:has-text("new runs")');
  await page.picture('dispatch-run-now');
  await page.click('dialog[open] button[type=submit]');
  await page.waitForURL(/\/execute\/flow\/detail\//);
  page.check();
  await page.close_all();
});

test('a host is tested, drained and taken back; home tells how things stand', async () => {
  const page = await open(world);
  await page.goto(`${world.base}/base/exec/host/`);
  await until('the host is up', async () => { await page.reload(); return page.$('.state.s-up'); });
  await page.picture('hosts');
  // How busy it is goes on by itself: the line moves, the figures are said, nothing is loaded anew.
  await page.evaluate(() => { window.still = true; document.querySelector('tbody tr').classList.add('here'); });
  const drawn = () => page.$eval('td[data-live$="-cpu"] svg', (svg) => `${svg.getAttribute('aria-label')} ${svg.querySelector('path').getAttribute('d')}`);
  const before = await drawn();
  assert.match(before, /^CPU: now \d+ %; from \d+ % to \d+ % in the last 30 minutes M/);
  await until('the line goes on', async () => await drawn() !== before);
  assert.ok(await page.evaluate(() => window.still && document.querySelector('tbody tr').matches('.here')), 'the page is still the same one');
  await page.click('a.main:has-text("local")');
  await page.waitForSelector('.spark-large svg');
  await page.click('button:has-text("Test")');
  await page.waitForSelector('#probe .notice.good');
  await page.picture('host-test');
  await page.click('button:has-text("Drain")');
  await page.click('dialog[open] .layui-btn:not(.layui-btn-primary)');
  await page.waitForSelector('h1 .s-draining');
  await page.click('button:has-text("Take work again")');
  await page.waitForSelector('h1 .s-up');
  await page.goto(`${world.base}/base/exec/host/add/`);
  await page.fill('#f-address', '127.0.0.1:1');
  await page.click('button:has-text("Test")');
  await page.waitForSelector('#probe .notice.bad');
  page.check();
  await page.close_all();
});

test('the calendar: a month by hours, a click lists one, and a form shows what it would add', async () => {
  // Next month in Shanghai is looked at. Nothing of this begins while the tests run, and it is among what is drawn ahead.
  const [year, month] = new Intl.DateTimeFormat('sv-SE', { timeZone: 'Asia/Shanghai' }).format(new Date()).split('-').map(Number);
  const first = new Date(Date.UTC(year, month, 1));
  const next = first.toISOString().slice(0, 7);
  const begins = Math.min(first.getTime() - 8 * 3600000, Date.now() + 2 * 86400000);
  const made = {};
  for (const [name, cron] of [['cal_quarterly', '*/15 1-5 * * *'], ['cal_seconds', '*/10 * 2 * * MON'], ['cal_weekly', '0 4 * * MON'], ['cal_office', '5,35 8-18 * * 1-5']]) {
    const spec = { interface: await idOf('interfaces', 'e2e_talks'), cron, zone: 'Asia/Shanghai', from_ms: begins };
    made[name] = JSON.parse(await world.ask('/api/v1/dispatches', { name, spec })).id;
  }
  await world.ask('/api/v1/commands', { verb: 'pause_dispatch', dispatch: made.cal_office });
  const cell = (hour) => `.heat a[href*="day=${next}-05&hour=${hour}#"]`;
  const looks = [['light', {}], ['dark-zh', { dark: true, lang: 'zh' }]];
  for (const [look, how] of looks) {
    const page = await open(world, { zone: 'Asia/Shanghai', ...how });
    await page.goto(`${world.base}/dispatch/`);
    await page.click('.head-buttons a[href^="/dispatch/calendar/"]');
    await page.waitForSelector('.heat tbody tr');
    await page.click('.head-buttons [rel=next]');
    await page.waitForURL(new RegExp(`month=${next}`));
    assert.equal(await page.locator('.heat tbody tr').count(), new Date(Date.UTC(year, month + 1, 0)).getUTCDate());
    const drawn = Number(await page.textContent(cell(2)));
    await page.evaluate(() => { window.still = true; });
    await page.click(cell(2));
    await page.waitForSelector('#firings a.main:has-text("cal_quarterly")');
    assert.equal(await page.locator('#firings tbody tr').count(), Math.min(drawn, 200), 'as many as the cell says');
    assert.ok(await page.evaluate(() => window.still), 'the page is still the same one');
    assert.match(page.url(), /&hour=2#firings$/);
    await page.picture(`calendar-${look}`);
    await page.evaluate(() => scrollTo(0, 0));
    await page.picture(`calendar-top-${look}`);
    await page.reload();
    await page.waitForSelector('#firings a.main:has-text("cal_quarterly")');
    const monday = [...Array(7).keys()].map((at) => new Date(Date.UTC(year, month, 1 + at))).find((day) => day.getUTCDay() === 1).toISOString().slice(0, 10);
    await page.click(`.heat a[href*="day=${monday}&hour=9#"]`);
    await page.waitForSelector('#firings .state.s-paused');
    assert.ok(await page.$(`.heat a.held[href*="day=${monday}&hour=9#"]`), 'what is paused is shown apart');
    await page.selectOption('select[name=dispatch]', { label: 'cal_weekly' });
    await page.waitForURL(/dispatch=\d+/);
    await page.waitForSelector('.filters a[href^="?month="]');
    assert.equal(await page.locator('.heat tbody td a').count(), await page.locator('.heat tbody th').filter({ hasText: /(Mon|一)\s*$/ }).count());
    await page.picture(`calendar-one-${look}`);

    await page.goto(`${world.base}/dispatch/add/`);
    await page.selectOption('select[name=interface]', String(await idOf('interfaces', 'flights_load')));
    await page.fill('#f-zone', 'Asia/Shanghai');
    await page.fill('#f-cron', '0 2,3 * * *');
    await until('two a day are drawn', async () => (await page.locator('.ahead rect.own').count()) >= 60);
    assert.ok(await page.locator('.ahead rect[class^=o]:not(.own)').count() > 60, 'and the others behind them');
    await page.locator('#preview').scrollIntoViewIfNeeded();
    await page.picture(`dispatch-ahead-${look}`);
    page.check();
    await page.close_all();
  }
  const told = world.hcndc('dispatch', 'calendar', '--month', next, '--zone', 'Asia/Shanghai', '--dispatch', 'cal_quarterly');
  const line = told.split('\n').find((one) => one.startsWith(`${next}-05`)).split(/\s+/);
  assert.deepEqual(line.slice(1, 8), ['20', '.', '4', '4', '4', '4', '4']);
});

test('a page that is open is told that the database takes nothing, and that it does again', async () => {
  const page = await open(world);
  await page.goto(`${world.base}/job/`);
  let away = true;
  let asked = 0;
  await page.route('**/api/v1/counters', (route) => route.fulfill({ json: { running: 7, waiting: 0, failed: 0, away } }));
  await page.route('**/away/', (route) => { asked += 1; return route.fulfill({ contentType: 'text/html', body: '<div class="notice warn" id="away" role="alert">since <time datetime="2026-11-20T02:30:00Z">2026-11-20 02:30:00</time></div>' }); });
  const look = () => page.evaluate(() => document.dispatchEvent(new Event('visibilitychange')));
  await look();
  await page.waitForSelector('main > #away time[data-local]');
  assert.equal(await page.textContent('[data-count=running]'), '7', 'it can be read');
  away = false;
  await look();
  await until('the banner goes', async () => !await page.$('#away'));
  assert.ok(asked >= 1);
  await page.unrouteAll({ behavior: 'wait' });
  await look();
  await until('what is counted is true again', async () => await page.textContent('[data-count=running]') !== '7');
  assert.equal(await page.evaluate(async () => (await (await fetch('/away/')).text()).trim()), '', 'all is well');
  page.check();
  await page.close_all();
});

test('every page in both languages and themes, on a desk and on a phone: nothing spills', async () => {
  const interface_ = `/interface/${await idOf('interfaces', 'flights_aggregate')}/`;
  const job = `/job/${await idOf('jobs', 'report')}/`;
  const dispatch = `/dispatch/${await idOf('dispatches', 'flights_daily')}/`;
  const host = `/base/exec/host/${await idOf('hosts', 'local')}/`;
  const paths = ['/', '/interface/', interface_, `${interface_}?tab=graph`, `${interface_}?tab=versions`, `${interface_}edit/`, '/job/', job, `${job}edit/`,
    '/dispatch/', '/dispatch/calendar/', dispatch, `${dispatch}edit/`, '/base/exec/host/', host, '/account/'];
  const looks = [['light', {}], ['dark-zh', { dark: true, lang: 'zh' }], ['phone-zh', { phone: true, lang: 'zh' }]];
  for (const [look, how] of looks) {
    const page = await open(world, how);
    for (const path of paths) {
      await page.goto(world.base + path);
      if (path.includes('graph')) await page.waitForSelector('canvas.mesh-canvas');
      const spills = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth + 1);
      assert.ok(!spills, `${path} is wider than the screen (${look})`);
      const cut = await page.evaluate(() => [...document.querySelectorAll('.table-box')].some(box => box.scrollWidth > box.clientWidth + 1));
      assert.ok(!cut || how.phone, `${path} has a table with columns cut off (${look})`);
      const name = path.replace(/[^a-z0-9]+/g, '-').replace(/^-|-$/g, '') || 'home';
      await page.picture(`definitions-${name}-${look}`);
    }
    page.check();
    await page.close_all();
  }
});
