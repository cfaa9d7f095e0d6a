import { PassThrough } from 'node:stream';
import { describe, expect, test } from '@jest/globals';
import { Failure } from '@meridian/failure';
import { VirtualClock } from '@meridian/runtime';
import { CommanderError } from 'commander';
import { exitCodeOf, reportError } from './exit.ts';
import { printJson, startProgress, type Terminal } from './terminal.ts';

function fakeTerminal(interactive = false) {
  const out = new PassThrough();
  const err = Object.assign(new PassThrough(), { isTTY: interactive });
  const text = (stream: PassThrough) => String(stream.read() ?? '');
  const terminal: Terminal = { input: new PassThrough(), out, err, interactive };
  return { terminal, out: () => text(out), err: () => text(err) };
}

describe('progress', () => {
  test('without a terminal it is a plain line at most every five seconds', () => {
    const { terminal, err } = fakeTerminal();
    const clock = new VirtualClock();
    const progress = startProgress(terminal, clock, 'uploading', 100, String);
    progress.update(10);
    clock.advance(5_000);
    progress.update(40, '· 2 failed');
    progress.update(50);
    progress.end();
    expect(err()).toBe('uploading: 40 of 100 · 2 failed\n');
  });

  test('on a terminal it is a bar on stderr', () => {
    const { terminal, out, err } = fakeTerminal(true);
    const progress = startProgress(terminal, new VirtualClock(), 'uploading', 100, String);
    progress.update(100);
    progress.end();
    expect(err()).toContain('uploading');
    expect(out()).toBe('');
  });
});

test('64-bit integers are text in JSON', () => {
  const { terminal, out } = fakeTerminal();
  printJson(terminal, { n: 2n ** 60n });
  expect(out()).toBe('{"n":"1152921504606846976"}\n');
});

describe('errors', () => {
  const report = (error: unknown, options = { debug: false, json: false }) => {
    const { terminal, err } = fakeTerminal();
    reportError(error, terminal, options);
    return err();
  };

  test('are one line without a stack; the stack comes when asked for', () => {
    expect(report(new Failure('NOT_FOUND', 'no model x:\n  see models list'))).toBe(
      'meridian: no model x: see models list\n',
    );
    expect(report(new TypeError('oops'))).toBe('meridian: oops (MERIDIAN_DEBUG=1 shows where)\n');
    expect(report(new TypeError('oops'), { debug: true, json: false })).toContain('    at ');
  });

  test('are one JSON line when asked for', () => {
    expect(JSON.parse(report(new Failure('UNAVAILABLE', 'gone'), { debug: false, json: true }))).toEqual({
      error: { code: 'UNAVAILABLE', reason: 'UNAVAILABLE', message: 'gone', retryable: true },
    });
  });

  test('of usage are commander’s: code 2, help 0, others 1', () => {
    expect(report(new CommanderError(1, 'x', 'unknown option'))).toBe('');
    expect(exitCodeOf(new CommanderError(1, 'x', 'x'))).toBe(2);
    expect(exitCodeOf(new CommanderError(0, 'commander.help', 'x'))).toBe(0);
    expect(exitCodeOf(new Failure('NOT_FOUND', 'x'))).toBe(1);
  });
});
