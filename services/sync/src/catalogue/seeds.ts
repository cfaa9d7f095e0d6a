import type { Change } from '../replication/protocol.ts';
import type { ModelValue } from './model-record.ts';

/**
 * Decides which models of the installed catalogue are offered to the shared state.
 *
 * 1. A model that the state never had is added.
 * 2. A model that the state has is replaced only when the installed catalogue itself has changed since this region
 *    offered it last: otherwise every restart would undo what an operator has put in its place.
 *
 * @param offered digest by name of what this region offered last; names that it does not know count as never offered
 */
export function seedsOf(catalogue: readonly ModelValue[], offered: ReadonlyMap<string, string>): readonly Change[] {
  return catalogue.map(({ key, name, digest, value }) => {
    const before = offered.get(name);
    return { key, value, when: before === undefined || before === digest ? 'absent' : 'differs' };
  });
}
