import type { ConfValue } from './conf-text.ts';
import { carriesTarget, rows, subjectsOf } from './row.ts';

/** A subject that an account offers to others: requests that it answers, or messages that it sends. */
export interface Export {
  readonly service?: string;
  readonly stream?: string;
  /** How many answers a request may have: one, when not given. */
  readonly response_type?: 'stream';
}

/** What goes to a region as its target, and what fans out from it as its origin. */
export function crossing(region: string): Export[] {
  return rows()
    .filter((row) => row.crossing !== 'none')
    .map(
      (row): Export =>
        carriesTarget(row) ? { service: subjectsOf(row, region) } : { stream: subjectsOf(row, region) },
    );
}

export function exportsTo(accounts: readonly string[], exports: readonly Export[]): ConfValue[] {
  return exports.map((one) => ({ ...one, accounts }));
}

/** @param localName another subject by which the importing account knows a service. */
export function importsFrom(
  account: string,
  exports: readonly Export[],
  localName: (subject: string) => string | undefined = () => undefined,
): ConfValue[] {
  return exports.map(({ service, stream }) => {
    if (service === undefined) return { stream: { account, subject: stream ?? '' } };
    const to = localName(service);
    return { service: { account, subject: service }, ...(to !== undefined && { to }) };
  });
}
