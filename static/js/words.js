// Sentences about executions that more than one part of their page says.

import { t } from './t.js';
import { duration } from './state.js';

const ENDS = {
  code: t('exit code'), signal: t('signal'), killed: t('killed'), fenced: t('fenced: its host was cut off'), timed_out: t('timed out'),
  refused: t('refused by the host'), unknown: t('how it ended is not known'), lost: t('its host was lost'), abandoned: t('abandoned'),
};
export const endWords = (last) => !last?.end ? '' : [ENDS[last.end] || last.end, last.code ?? '', last.text || ''].filter((one) => one !== '').join(' ');

export const failed = (state) => state === 'failed' || state === 'timed_out';

export function waitWords(wait) {
  const what = `${wait.name}${wait.job_name ? ' / ' + wait.job_name : ''} ${wait.period}`;
  return { run: t('waits for the success of {what}', { what }), success: t('waits for a success of {what}', { what }), job: t('waits for the success of {what}', { what }),
    idle: t('waits until nothing of {what} runs', { what }), success_or_none: t('waits until {what} has succeeded, if there is one', { what }) }[wait.kind] || what;
}

/** What troubles first. */
export const RANK = ['failed', 'timed_out', 'unknown', 'running', 'stopping', 'assigned', 'queued', 'waiting', 'stopped', 'skipped', 'left_out', 'succeeded'];

/** How long a job has run. */
export const spent = (job) => job.started_ms ? duration((job.ended_ms ?? Date.now()) - job.started_ms) : '';
