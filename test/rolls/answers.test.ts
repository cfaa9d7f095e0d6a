import { expect, test } from '@jest/globals';
import { type Answer, type ClaimSeen, turnsOf, wrongAnswers } from './answers.ts';

/** Goal: the checker of rolls finds each way in which a task can be answered by a model that its claim does not name. */
const VERSIONS = ['one', 'two'].map((name) => ({ name, digest: `sha256:${name}`, labels: new Set([`${name} cat`]) }));
const answer = (change: Partial<Answer> = {}): Answer => ({
  ...{ door: 'beijing', taskId: 't1', model: 'one', modelDigest: 'sha256:one', labels: ['one cat'] },
  ...change,
});
const claim = (change: Partial<ClaimSeen> = {}): ClaimSeen => ({
  ...{ taskId: 't1', model: 'one', modelDigest: 'sha256:one' },
  ...change,
});

test('an answer by the model that every claim of its task names is right', () => {
  expect(wrongAnswers([answer()], [claim(), claim(), claim({ taskId: 't2' })], VERSIONS)).toEqual([]);
});

test.each([
  ['a result that names another model than its claim', answer({ model: 'two', modelDigest: 'sha256:two' }), /claim/],
  ['a worker that ran another one than it says', answer({ labels: ['two cat'] }), /two cat is no label/],
  ['one object of many by another model', answer({ labels: ['one cat', 'two cat'] }), /two cat is no label/],
  ['a task without a claim', answer({ taskId: 't3' }), /no claim was seen/],
  ['a version that nobody made', answer({ modelDigest: 'sha256:x' }), /nobody has made this version/],
  ['an answer that does not show who gave it', answer({ labels: [] }), /nothing was found/],
])('found: %s', (_, wrong, problem) => {
  expect(wrongAnswers([wrong], [claim()], VERSIONS).join('\n')).toMatch(problem);
});

test('found: a task that was placed again with another model', () => {
  const again = claim({ model: 'two', modelDigest: 'sha256:two' });
  expect(wrongAnswers([answer()], [claim(), again], VERSIONS)).toHaveLength(1);
});

test('turns are the models in order, each once while it stays', () => {
  const models = ['one', 'one', 'two', 'two', 'one'];
  expect(turnsOf(models.map((model) => answer({ model })))).toEqual(['one', 'two', 'one']);
});
