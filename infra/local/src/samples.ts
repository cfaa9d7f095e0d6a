import { access, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Failure } from '@meridian/failure';
import { parse } from 'yaml';
import { z } from 'zod';

/** One photograph to show, and the labels that must be found on it for `make demo` to succeed. */
export interface Sample {
  readonly file: string;
  readonly path: string;
  readonly labels: readonly string[];
}

const schema = z.strictObject({
  samples: z
    .array(
      z.strictObject({
        file: z.string().regex(/^[\w][\w. -]{0,127}$/, 'expected a file name without folders'),
        labels: z.array(z.string().min(1)).max(20).default([]),
      }),
    )
    .min(1)
    .max(1000),
});

/** @throws Failure INVALID_ARGUMENT / SAMPLES_INVALID naming the field, or the photograph that is missing. */
export async function readSamples(listFile: string, directory: string): Promise<readonly Sample[]> {
  const text = await readFile(listFile, 'utf8').catch(() => {
    throw invalid(`${listFile} cannot be read; it lists the photographs, see infra/local/samples.yaml`);
  });
  const parsed = schema.safeParse(parse(text));
  if (!parsed.success) {
    const problems = parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`);
    throw invalid(`${listFile}: ${problems.join('; ')}`);
  }
  const samples = parsed.data.samples.map(({ file, labels }) => ({ file, labels, path: join(directory, file) }));
  for (const { path } of samples)
    await access(path).catch(() => {
      throw invalid(`${listFile} lists ${path}, which is not there`);
    });
  return samples;
}

function invalid(message: string): Failure {
  return new Failure('INVALID_ARGUMENT', message, { reason: 'SAMPLES_INVALID' });
}
