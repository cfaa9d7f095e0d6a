import { expect, test } from '@jest/globals';
import { type Beliefs, cheapest } from './cheapest.ts';

const beliefs = (more: Partial<Record<keyof Beliefs, number[]>> = {}): Beliefs => {
  const columns = {
    ...{ wayMs: [2, 50, 100], serviceMs: [30, 30, 30], workers: [2, 2, 2] },
    ...{ outstanding: [0, 0, 0], unseen: [0, 0, 0], priceMs: [0, 0, 0] },
    ...more,
  };
  const column = (name: keyof Beliefs) => Float64Array.from(columns[name]);
  return {
    ...{ wayMs: column('wayMs'), serviceMs: column('serviceMs'), workers: column('workers') },
    ...{ outstanding: column('outstanding'), unseen: column('unseen'), priceMs: column('priceMs') },
  };
};
const anywhere = () => true;

test('the nearest, until its queue or its price costs more than the way', () => {
  expect(cheapest(beliefs(), anywhere)).toBe(0);
  expect(cheapest(beliefs({ outstanding: [4, 0, 0] }), anywhere)).toBe(1);
  expect(cheapest(beliefs({ unseen: [4, 0, 0] }), anywhere)).toBe(1);
  expect(cheapest(beliefs({ priceMs: [49, 0, 0] }), anywhere)).toBe(1);
  expect(cheapest(beliefs({ priceMs: [47, 0, 0] }), anywhere)).toBe(0);
});

test('never where it may not run, and nowhere when it may run nowhere', () => {
  expect(cheapest(beliefs(), (region) => region === 2)).toBe(2);
  expect(cheapest(beliefs(), () => false)).toBe(-1);
});

test('a region without workers is the last resort, not an error', () => {
  expect(cheapest(beliefs({ workers: [0, 2, 2] }), anywhere)).toBe(1);
  expect(cheapest(beliefs({ workers: [0, 0, 0] }), anywhere)).toBe(0);
});
