import { commonConfig, parseConfig } from '@meridian/runtime';
import type { Container } from 'kubernetes-types/core/v1.js';
import { z } from 'zod';
import { placeOf, type Workload, workloadsOf } from '../manifest.ts';
import { budgetsOf, type Check, matches, ofKind, podLabels, type Rendered } from './rendered.ts';

/** Of a process after its drain: components stop within 5 s each, mostly at once; the last spans take 2 s. */
const STOP_S = 10;
/** Of the broker's configuration: lame duck and the grace before it. A test compares them with what it says. */
export const LAME_DUCK_S = 32;
/** One each until jobs and the state log can be taken over by lease. */
const SINGLE = ['scheduler', 'sync'];

/** How many there are, how they come and go: nothing is cut short, nothing runs twice that may not. */
export const running: Check = (rendered) => [
  ...workloadsOf(rendered.objects).flatMap((workload) => [
    ...stopProblems(workload),
    ...countProblems(workload, rendered),
    ...spreadProblems(workload, rendered),
  ]),
  ...SINGLE.filter((name) => !workloadsOf(rendered.objects).some((one) => one.metadata.name === name)).map(
    (name) => `there is no StatefulSet/${name}`,
  ),
];

function stopProblems(workload: Workload): string[] {
  const pod = workload.spec?.template?.spec;
  const graceS = pod?.terminationGracePeriodSeconds ?? 30;
  return (pod?.containers ?? []).flatMap((container) => {
    const command = container.lifecycle?.preStop?.exec?.command;
    const place = `${placeOf(workload)}: container ${container.name}`;
    if (command === undefined) return [`${place}: stops at once, while others still send to it`];
    const neededS = command[0] === 'sleep' ? Number(command[1]) + drainS(container) + STOP_S : LAME_DUCK_S;
    return graceS > neededS ? [] : [`${place}: is killed after ${graceS} s, and needs more than ${neededS} s`];
  });
}

/** The default, unless its own variable says otherwise. */
function drainS({ env }: Container): number {
  const value = env?.find(({ name }) => name === 'MERIDIAN_DRAIN_TIMEOUT_MS')?.value;
  const schema = z.object({ drainTimeoutMs: commonConfig.drainTimeoutMs });
  return parseConfig(schema, value === undefined ? {} : { MERIDIAN_DRAIN_TIMEOUT_MS: value }).drainTimeoutMs / 1000;
}

function countProblems(workload: Workload, { objects }: Rendered): string[] {
  const { name } = workload.metadata;
  const scalers = [...ofKind<Scaler>(objects, 'HorizontalPodAutoscaler'), ...ofKind<Scaler>(objects, 'ScaledObject')];
  const own = scalers.filter(({ spec }) => spec?.scaleTargetRef.name === name);
  const replicas = workload.spec?.replicas;
  const isSingle = SINGLE.includes(name);
  const claims = workload.spec !== undefined && 'volumeClaimTemplates' in workload.spec;
  return [
    ...(own.length > 1 ? [`${placeOf(workload)}: two autoscalers pull at its number`] : []),
    ...(own.length === 1 && replicas !== undefined
      ? [`${placeOf(workload)}: says how many there are, and has an autoscaler`]
      : []),
    ...(own.length === 0 && replicas === undefined ? [`${placeOf(workload)}: does not say how many there are`] : []),
    ...(isSingle && (workload.kind !== 'StatefulSet' || replicas !== 1 || own.length > 0 || !claims)
      ? [`${placeOf(workload)}: must be a StatefulSet of one, with a claim: what it accepted is on its disk`]
      : []),
  ];
}

interface Scaler {
  readonly spec?: { readonly scaleTargetRef: { readonly name: string } };
}

function spreadProblems(workload: Workload, rendered: Rendered): string[] {
  const budgets = budgetsOf(rendered).filter(({ spec }) => matches(spec?.selector?.matchLabels, podLabels(workload)));
  const spread = workload.spec?.template?.spec?.topologySpreadConstraints ?? [];
  return [
    ...(budgets.length === 1 && budgets[0]?.spec?.maxUnavailable === 1
      ? []
      : [`${placeOf(workload)}: has not one disruption budget with maxUnavailable 1`]),
    ...(spread.length > 0 ? [] : [`${placeOf(workload)}: all its pods may be on one node`]),
  ];
}
