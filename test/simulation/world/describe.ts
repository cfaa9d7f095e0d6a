import type { Entry } from '@meridian/replica';
import type { Input, Output } from '../../../services/sync/src/replication/protocol.ts';

/** Canonical text of what goes into and comes out of a state machine. */
export function describeInput(input: Input): string {
  switch (input.kind) {
    case 'write': {
      const { key, value, when, seen } = input.change;
      return `> write ${input.id} ${key} ${value === undefined ? 'delete' : ''} ${when} seen ${seen ?? 'all'}`;
    }
    case 'member':
      return `> ${input.action} ${input.region} ${input.id}`;
    case 'appended':
      return `> appended ${input.id} at ${input.sequence}`;
    case 'forgotten':
      return `> forgotten ${input.id}`;
    case 'delta':
      return `> delta of ${input.origin} ${input.delta.generation}${describeEntries(input.delta.entries)} from ${input.delta.from} to ${input.delta.to}`;
    case 'head':
      return `> head of ${input.origin} ${describeHead(input.head)}`;
    case 'asked':
      return `> asked ${input.id} by ${describeRequest(input.request)}`;
    case 'fetched': {
      const { entries, vector, nextKey, isWholeRange, isRefused, generation } = input.answer;
      return `> fetched from ${input.peer} ${generation}${describeEntries(entries)} at ${vector} next ${nextKey} ${isWholeRange} ${isRefused}`;
    }
    case 'fetch-failed':
      return `> fetch from ${input.peer} failed`;
    case 'want':
      return `> want ${input.keys.join(' ')} of ${input.peer}`;
    default:
      return `> ${input.kind}`;
  }
}

export function describeOutput(output: Output): string {
  switch (output.kind) {
    case 'append': {
      const { key, entry, meta, lineage, clock } = output.record;
      const content = entry === undefined ? JSON.stringify(meta) : `${describeEntry(entry)} ctx ${entry.context}`;
      const place = `${output.id} ${output.write ?? '-'} on ${output.expectedSequence}`;
      return `< append ${place} ${key} ${content} as ${lineage.actor}=${lineage.counter} clock ${clock}`;
    }
    case 'forget':
      return `< forget ${output.id} ${output.key} ${output.sequence}`;
    case 'publish':
      return `< publish${describeEntries(output.delta.entries)} to ${output.delta.to}`;
    case 'head':
      return `< head ${describeHead(output.head)}`;
    case 'fetch':
      return `< fetch from ${output.peer}: ${describeRequest(output.request)}`;
    case 'answer': {
      const { entries, vector, nextKey, isWholeRange, isRefused } = output.answer;
      return `< answer ${output.id}${describeEntries(entries)} at ${vector} next ${nextKey} ${isWholeRange} ${isRefused}`;
    }
    case 'written':
      return `< written ${output.id} ${output.written.changed} ${output.written.vector}`;
    case 'refused':
      return `< refused ${output.id} ${output.failure.reason}`;
    case 'changed':
      return `< changed ${output.keys.join(' ')}`;
    case 'event':
      return `< event ${output.event} ${output.peer}`;
    case 'alarm':
      return `< ALARM ${output.reason} ${output.peer} ${output.detail}`;
    default:
      return `< wipe ${output.generation}`;
  }
}

function describeHead(head: Extract<Output, { kind: 'head' }>['head']): string {
  const { vector, life, sequence, generation, digest, isRecovering, rounds } = head;
  return `${life}.${sequence} ${generation} ${isRecovering ? 'recovering' : ''} ${rounds} ${digest.slice(0, 8)} ${vector}`;
}

function describeRequest(request: Extract<Output, { kind: 'fetch' }>['request']): string {
  const { region, generation, vector, afterKey, keys, isRepair } = request;
  return `${region} ${generation} after '${afterKey}' ${keys.join(' ')} ${isRepair ? 'repair' : ''} lacks ${vector}`;
}

function describeEntries(entries: readonly Entry[]): string {
  return entries.map((entry) => ` ${describeEntry(entry)}`).join('');
}

function describeEntry({ key, versions }: Entry): string {
  const texts = versions.map(({ dot, deleted, hlc }) => {
    return `${dot.actor}=${dot.counter}${deleted ? '!' : ''}~${hlc.wallMs}.${hlc.logical}`;
  });
  return `${key}{${texts.join(' ')}}`;
}
