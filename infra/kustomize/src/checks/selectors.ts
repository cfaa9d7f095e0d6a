import { type Labels, type Manifest, placeOf, workloadsOf } from '../manifest.ts';
import { budgetsOf, type Check, matches, ofKind, podLabels, policiesOf, selected, servicesOf } from './rendered.ts';

interface Monitor {
  readonly spec: {
    readonly selector: { readonly matchLabels: Labels };
    readonly endpoints: readonly { port: string }[];
  };
}

/** A selector that matches nothing is a policy, budget or door that does nothing, unseen. */
export const selectors: Check = (rendered) => {
  const problems: string[] = [];
  const mustSelect = (object: Manifest, labels: Labels | undefined, what: string) => {
    if (selected(rendered, labels).length === 0)
      problems.push(`${placeOf(object)}: ${what} ${JSON.stringify(labels)} selects no pod`);
  };
  for (const workload of workloadsOf(rendered.objects))
    if (!matches(workload.spec?.selector?.matchLabels, podLabels(workload)) || !workload.spec?.selector?.matchLabels)
      problems.push(`${placeOf(workload)}: its selector does not match the labels of its own pods`);
  for (const service of servicesOf(rendered)) mustSelect(service, service.spec?.selector, 'selector');
  for (const budget of budgetsOf(rendered)) mustSelect(budget, budget.spec?.selector?.matchLabels, 'selector');
  for (const policy of policiesOf(rendered)) {
    mustSelect(policy, policy.spec?.podSelector?.matchLabels, 'podSelector');
    const peers = [
      ...(policy.spec?.ingress ?? []).flatMap(({ from }) => from ?? []),
      ...(policy.spec?.egress ?? []).flatMap(({ to }) => to ?? []),
    ];
    for (const { podSelector, namespaceSelector } of peers)
      if (podSelector !== undefined && namespaceSelector === undefined)
        mustSelect(policy, podSelector.matchLabels, 'the peer');
  }
  for (const workload of workloadsOf(rendered.objects))
    for (const spread of workload.spec?.template?.spec?.topologySpreadConstraints ?? [])
      if (!matches(spread.labelSelector?.matchLabels, podLabels(workload)))
        problems.push(`${placeOf(workload)}: its topology spread counts pods of others`);
  for (const monitor of ofKind<Monitor>(rendered.objects, 'ServiceMonitor'))
    for (const { port } of monitor.spec.endpoints) {
      const services = servicesOf(rendered).filter(({ metadata }) =>
        matches(monitor.spec.selector.matchLabels, metadata.labels ?? {}),
      );
      if (!services.some(({ spec }) => spec?.ports?.some(({ name }) => name === port)))
        problems.push(`${placeOf(monitor)}: no service that it selects has a port ${port}`);
    }
  return problems;
};
