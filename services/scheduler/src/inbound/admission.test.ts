import { describe, expect, test } from '@jest/globals';
import { Failure } from '@meridian/failure';
import fc from 'fast-check';
import { Admission } from './admission.ts';

const LIMITS = { uploadsMax: 4, openTasksMax: 100 };

function admission(more: Partial<ConstructorParameters<typeof Admission>[0]> = {}): Admission {
  return new Admission({
    limits: LIMITS,
    openTasks: () => 0,
    indexAdmits: () => undefined,
    streamAdmits: () => Promise.resolve(),
    ...more,
  });
}

describe('submissions at once', () => {
  test('are not promised the same room', async () => {
    const door = admission({ openTasks: () => 20 });
    const first = door.enter({ tasks: 60, headerBytes: 1 });
    await expect(door.enter({ tasks: 60, headerBytes: 1 })).rejects.toMatchObject({ reason: 'TASKS_OPEN' });
    (await first)();
    await expect(door.enter({ tasks: 60, headerBytes: 1 })).resolves.toBeDefined();
  });

  test('ask the stream and the index for what all of them need', async () => {
    const asked: [number, number][] = [];
    const counted: [number, number][] = [];
    const door = admission({
      streamAdmits: async (headerBytes, tasks) => void asked.push([headerBytes, tasks]),
      indexAdmits: (jobs, tasks) => void counted.push([jobs, tasks]),
    });
    await Promise.all([door.enter({ tasks: 10, headerBytes: 100 }), door.enter({ tasks: 20, headerBytes: 200 })]);
    expect(asked).toEqual([
      [100, 10],
      [300, 30],
    ]);
    expect(counted).toEqual([
      [1, 10],
      [2, 30],
    ]);
  });

  test('one that the stream refuses counts no more', async () => {
    let refuses = true;
    const full = new Failure('RESOURCE_EXHAUSTED', 'full', { reason: 'DISK_BUDGET' });
    const door = admission({ streamAdmits: () => (refuses ? Promise.reject(full) : Promise.resolve()) });
    await expect(door.enter({ tasks: 100, headerBytes: 1 })).rejects.toBe(full);
    refuses = false;
    await expect(door.enter({ tasks: 100, headerBytes: 1 })).resolves.toBeDefined();
  });

  test('whatever comes and goes, those inside never pass the limits', async () => {
    const steps = fc.array(fc.oneof(fc.nat(60), fc.constant('leave' as const)), { maxLength: 40 });
    await fc.assert(
      fc.asyncProperty(steps, async (sequence) => {
        const door = admission();
        const inside: { tasks: number; leave: () => void }[] = [];
        for (const step of sequence) {
          if (step === 'leave') inside.shift()?.leave();
          else {
            const leave = await door.enter({ tasks: step, headerBytes: 1 }).catch(() => undefined);
            if (leave !== undefined) inside.push({ tasks: step, leave });
          }
          expect(inside.length).toBeLessThanOrEqual(LIMITS.uploadsMax);
          expect(inside.reduce((sum, { tasks }) => sum + tasks, 0)).toBeLessThanOrEqual(LIMITS.openTasksMax);
        }
      }),
    );
  });
});
