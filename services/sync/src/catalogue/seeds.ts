import type { Change } from '../replication/protocol.ts';
import type { ModelValue } from './model-record.ts';

export interface Seed {
  readonly model: ModelValue;
  readonly change: Change;
}

/**
 * Decides which models of the installed catalogue are offered to the shared state.
 *
 * 1. A model that this region never offered is added, if the state does not have it.
 * 2. A model that the state has is replaced only when the installed catalogue itself has changed since this region
 *    offered it last: otherwise every restart would undo what an operator has put in its place.
 * 3. What was offered and has not changed is offered again only to a state without any model: elsewhere its absence means
 *    that an operator has removed it, even when the deletion itself is forgotten.
 *
 * @param offered digest by name of what this region offered last; names that it does not know count as never offered
 */
export function seedsOf(
  catalogue: readonly ModelValue[],
  offered: ReadonlyMap<string, string>,
  stateHasModels: boolean,
): readonly Seed[] {
  const due = catalogue.filter(({ name, digest }) => !stateHasModels || offered.get(name) !== digest);
  return due.map((model) => {
    const isReplaced = stateHasModels && offered.has(model.name);
    return { model, change: { key: model.key, value: model.value, when: isReplaced ? 'differs' : 'absent' } };
  });
}
