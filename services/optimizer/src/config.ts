import { commonConfig, durationMs, hostPort } from '@meridian/runtime';
import { z } from 'zod';

/** Environment of the optimizer: `MERIDIAN_` and the field in upper snake case. */
export const optimizerConfig = z.object({
  ...commonConfig,
  /** Where PlanService answers. */
  grpcListen: hostPort(),
  /**
   * Between two plans while nothing steps. Shorter follows demand sooner and costs a solution each; steps of topology and
   * round trips are followed at once whatever it is.
   */
  planIntervalMs: durationMs(200, 600_000).default(2_000),
});

export type OptimizerConfig = Readonly<z.output<typeof optimizerConfig>>;
