import type { PriorityClassName } from '@meridian/contracts';
import { PriorityClass } from '@meridian/contracts/recognition';

const NAMES: ReadonlyMap<number, PriorityClassName> = new Map([
  [PriorityClass.UNSPECIFIED, 'normal'],
  [PriorityClass.HIGH, 'high'],
  [PriorityClass.NORMAL, 'normal'],
  [PriorityClass.LOW, 'low'],
]);

const VALUES: Readonly<Record<PriorityClassName, PriorityClass>> = {
  high: PriorityClass.HIGH,
  normal: PriorityClass.NORMAL,
  low: PriorityClass.LOW,
};

/** @returns undefined for a value that this version does not know. */
export function priorityName(value: PriorityClass): PriorityClassName | undefined {
  return NAMES.get(value);
}

export function priorityValue(name: PriorityClassName): PriorityClass {
  return VALUES[name];
}
