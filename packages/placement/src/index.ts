export { type Flow, minCostFlow } from './flow/min-cost-flow.ts';
export { type Network, NetworkBuilder } from './flow/network.ts';
