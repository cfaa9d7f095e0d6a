export { type Link, linkOf, peersOf, type Region, regionOf, roundTripMs, type Topology } from './topology.ts';
export { formatTopology, parseTopology, REGIONS_MAX } from './topology-file.ts';
