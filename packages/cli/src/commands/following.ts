import { Failure } from '@meridian/failure';
import { note } from '../terminal.ts';
import type { CommandContext, GlobalOptions } from './context.ts';

export interface FollowOptions {
  readonly follow?: boolean;
}

/** Whether a region has said that it may not have the work, and others may. */
export function isElsewhere(failure: Failure): boolean {
  return failure.reason === 'RESIDENCY_REGION_NOT_ALLOWED';
}

/**
 * Does it, and with `--follow` again in the regions that a refusal names, in their order, until one can be reached. Without it
 * the refusal is the end: nobody's pictures go to another region than he named unless he says so.
 */
export async function following<O extends FollowOptions & GlobalOptions>(
  options: O,
  { terminal }: Pick<CommandContext, 'terminal'>,
  use: (options: O) => Promise<void>,
): Promise<void> {
  try {
    await use(options);
  } catch (error) {
    const failure = Failure.from(error);
    if (options.follow !== true || !isElsewhere(failure)) throw error;
    note(terminal, `${failure.message}; following`);
    await useFirst(doorsIn(failure, options), options, use, failure);
  }
}

async function useFirst<O>(
  doors: readonly Partial<GlobalOptions>[],
  options: O,
  use: (options: O) => Promise<void>,
  refusal: Failure,
): Promise<void> {
  let last = refusal;
  for (const door of doors) {
    try {
      return await use({ ...options, ...door });
    } catch (error) {
      last = Failure.from(error);
      if (last.reason !== 'REGION_UNREACHABLE') throw last;
    }
  }
  throw last;
}

/** By name in a local run; by the addresses of the refusal where the system was named by one. */
function doorsIn({ details }: Failure, { address }: GlobalOptions): readonly Partial<GlobalOptions>[] {
  const names = listed(details.regions);
  if (address === undefined) return names.map((region) => ({ region }));
  return listed(details.addresses).flatMap((text) => {
    const at = text.indexOf('=');
    return at < 0 ? [] : [{ region: text.slice(0, at), address: text.slice(at + 1) }];
  });
}

function listed(text = ''): string[] {
  return text.split(',').filter((name) => name !== '');
}
