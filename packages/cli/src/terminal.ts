import type { Clock } from '@meridian/runtime';
import cliProgress from 'cli-progress';

/** What a command writes to. Results go to `out`; everything about how it is going goes to `err`. */
export interface Terminal {
  readonly input: NodeJS.ReadableStream;
  readonly out: NodeJS.WritableStream;
  readonly err: NodeJS.WritableStream;
  /** Of `err`: bars are drawn for people only. */
  readonly interactive: boolean;
}

export function print(terminal: Terminal, text: string): void {
  terminal.out.write(`${text}\n`);
}

/** One JSON value a line. 64-bit integers become text, as in protobuf's JSON. */
export function printJson(terminal: Terminal, value: unknown): void {
  print(
    terminal,
    JSON.stringify(value, (_, field: unknown) => (typeof field === 'bigint' ? String(field) : field)),
  );
}

export function note(terminal: Terminal, text: string): void {
  terminal.err.write(`${text}\n`);
}

export interface Progress {
  update(value: number, remark?: string): void;
  /** Must be called, also on failure. */
  end(): void;
}

const PLAIN_LINE_EVERY_MS = 5_000;

/** A bar for people, else a plain line now and then. `format` turns values into text, e.g. bytes. */
export function startProgress(
  terminal: Terminal,
  clock: Clock,
  title: string,
  total: number,
  format: (value: number) => string,
): Progress {
  if (!terminal.interactive) return plainProgress(terminal, clock, title, total, format);
  const bar = new cliProgress.SingleBar(
    {
      stream: terminal.err,
      format: `${title} {bar} {percentage} % · {done} of {all} {remark}`,
      barCompleteChar: '█',
      barIncompleteChar: '░',
      barsize: 30,
      hideCursor: true,
      gracefulExit: false,
    },
    cliProgress.Presets.shades_classic,
  );
  bar.start(total, 0, { done: format(0), all: format(total), remark: '' });
  return {
    update: (value, remark = '') => bar.update(value, { done: format(value), remark }),
    end: () => bar.stop(),
  };
}

function plainProgress(
  terminal: Terminal,
  clock: Clock,
  title: string,
  total: number,
  format: (value: number) => string,
): Progress {
  let lastMs = clock.monotonicMs();
  return {
    update(value, remark = '') {
      const nowMs = clock.monotonicMs();
      if (nowMs - lastMs < PLAIN_LINE_EVERY_MS) return;
      lastMs = nowMs;
      note(terminal, `${title}: ${format(value)} of ${format(total)} ${remark}`.trimEnd());
    },
    end() {},
  };
}
