import { readFileSync, writeFileSync } from 'node:fs';
import { docsSubjects } from './subjects-document.ts';

/** Writes docs/subjects.md; with `--check` only says whether it is up to date (exit code 1 when not). */
const path = new URL('../../../docs/subjects.md', import.meta.url);
const text = docsSubjects();
if (process.argv.includes('--check')) {
  if (readFileSync(path, 'utf8') !== text) {
    console.error('docs/subjects.md is not up to date: run node infra/nats/src/write-docs.ts');
    process.exitCode = 1;
  }
} else writeFileSync(path, text);
