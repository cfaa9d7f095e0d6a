import type { ResidencyRule as OnlyMessage } from '@meridian/contracts/recognition';
import { Failure } from '@meridian/failure';
import { NO_RULE, parseRule, type ResidencyRule } from '@meridian/residency';
import type { CallContext } from '@meridian/rpc';
import { type AskedRules, askedRules, onlyOf, type Residency } from '../placement/residency.ts';
import { tenantOf } from './tenant.ts';

/** Of the wire: meridian/residency/v1. */
const TENANT = 'meridian-tenant';
const RESIDENCY = 'meridian-residency';

type Headers = Pick<CallContext, 'metadata'>;

/** Methods whose messages bring pictures, their names or their digests. */
const BRING_PICTURES: ReadonlySet<string> = new Set(['recognize', 'recognizeStream', 'submitJob']);

/** Whose call it is, and the rules that came with it. */
export interface CallRules {
  readonly tenant: string;
  readonly asked: AskedRules;
  /** What came in the metadata: a job's record keeps it beside the header. */
  readonly rule: ResidencyRule;
}

/**
 * Before any message of the call is read: refuses what this region may not have, by as much as its headers tell. A call that
 * names neither a tenant nor a rule there is judged by its message.
 * @throws as Residency.requireHere; INVALID_ARGUMENT / TENANT_INVALID
 */
export function admitCall(method: string, context: Headers, residency: Residency): void {
  if (!BRING_PICTURES.has(method)) return;
  const tenant = context.metadata.get(TENANT);
  const asked = askedRules([{ of: 'the call', rule: ruleIn(context) }]);
  if (tenant !== undefined) residency.requireHere(tenantOf(tenant), asked);
  else if (asked.rules.length > 0) residency.requireByRules(asked);
}

/**
 * Headers and message together.
 * @throws Failure INVALID_ARGUMENT / TENANT_DIFFERS, TENANT_INVALID, RESIDENCY_RULE_INVALID
 */
export function callRules(
  context: Headers,
  message: { readonly tenant: string; readonly residency?: OnlyMessage | undefined },
): CallRules {
  const rule = ruleIn(context);
  const only = onlyOf(message.residency);
  const asked = askedRules([
    { of: 'the call', rule },
    { of: 'the message', rule: only },
  ]);
  return { tenant: tenantIn(context, message.tenant), asked, rule };
}

function tenantIn({ metadata }: Headers, named: string): string {
  const header = metadata.get(TENANT);
  if (header === undefined || named === '') return tenantOf(header ?? named);
  if (tenantOf(header) === tenantOf(named)) return tenantOf(named);
  throw new Failure('INVALID_ARGUMENT', `tenant: the message names another one than the metadata ${TENANT}`, {
    reason: 'TENANT_DIFFERS',
  });
}

function ruleIn({ metadata }: Headers): ResidencyRule {
  const text = metadata.get(RESIDENCY);
  return text === undefined ? NO_RULE : parseRule(text);
}
