import { Failure, type FailureOptions, isCode } from '@meridian/failure';

/** A failure as headers of an answer: code, reason, message, details, retry. Texts are percent-encoded. */
const TEXT_CHARS_MAX = 1000;
const DETAILS_MAX = 16;
const DETAIL_CHARS_MAX = 200;

export function encodeFailure(failure: Failure): [name: string, value: string][] {
  const headers: [string, string][] = [
    ['meridian-code', failure.code],
    ['meridian-reason', encodeURIComponent(wellFormed(failure.reason))],
    ['meridian-message', encodeURIComponent(wellFormed(failure.message))],
    ['meridian-retryable', String(failure.retryable)],
  ];
  if (failure.retryDelayMs !== undefined) headers.push(['meridian-retrydelayms', String(failure.retryDelayMs)]);
  const details = Object.entries(failure.details)
    .slice(0, DETAILS_MAX)
    .map((pair) => pair.map((part) => wellFormed(part).slice(0, DETAIL_CHARS_MAX).toWellFormed()));
  if (details.length > 0) headers.push(['meridian-details', encodeURIComponent(JSON.stringify(details))]);
  return headers;
}

/** @returns undefined when the answer is not a failure. Text from outside never throws: what is broken is left out. */
export function decodeFailure(header: (name: string) => string): Failure | undefined {
  const code = header('meridian-code');
  if (code === '') return undefined;
  const retryDelayMs = Number(header('meridian-retrydelayms') || Number.NaN);
  const options: FailureOptions = {
    reason: text(header('meridian-reason')) || code,
    retryable: header('meridian-retryable') === 'true',
    details: parseDetails(text(header('meridian-details'))),
    ...(Number.isFinite(retryDelayMs) && { retryDelayMs }),
  };
  return new Failure(isCode(code) ? code : 'INTERNAL', text(header('meridian-message')), options);
}

/** Cut to size without a lone surrogate, which could not be encoded. */
function wellFormed(value: string): string {
  return value.slice(0, TEXT_CHARS_MAX).toWellFormed();
}

function text(encoded: string): string {
  try {
    return decodeURIComponent(encoded);
  } catch {
    return '';
  }
}

function parseDetails(json: string): Readonly<Record<string, string>> {
  try {
    const parsed: unknown = JSON.parse(json || '[]');
    const pairs = Array.isArray(parsed) ? parsed.slice(0, DETAILS_MAX).filter(isPair) : [];
    return Object.fromEntries(pairs);
  } catch {
    return {};
  }
}

function isPair(value: unknown): value is [string, string] {
  return Array.isArray(value) && value.length === 2 && value.every((part) => typeof part === 'string');
}
