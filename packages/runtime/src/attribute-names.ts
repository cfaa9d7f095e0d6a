/** Names of span attributes, metric labels and log fields: the telemetry schema, declared once. */
export const attributeNames = {
  taskId: 'meridian.task.id',
  /** Task whose answer another one got. */
  cachedTaskId: 'meridian.cached.task.id',
  jobId: 'meridian.job.id',
  tenant: 'meridian.tenant',
  priority: 'meridian.priority',
  /** Region of the emitting process. */
  region: 'meridian.region',
  /** Region that a task was placed in, or that a call goes to. */
  targetRegion: 'meridian.target.region',
  worker: 'meridian.worker',
  model: 'meridian.model',
  modelDigest: 'meridian.model.digest',
  attempt: 'meridian.attempt',
  fence: 'meridian.fence',
  /** Why something ended or was refused. */
  reason: 'meridian.reason',
  outcome: 'meridian.outcome',
  /** Name of a gRPC status. */
  code: 'meridian.code',
  pictureBytes: 'meridian.picture.bytes',
  objects: 'meridian.objects',
  /** Parts of a task, in milliseconds with two decimals. */
  queueMs: 'meridian.queue.ms',
  transferMs: 'meridian.transfer.ms',
  decodeMs: 'meridian.decode.ms',
  inferenceMs: 'meridian.inference.ms',
  returnMs: 'meridian.return.ms',
  /** In a worker: from the announcement until the picture was there; what it waited then, before and between its work. */
  fetchMs: 'meridian.fetch.ms',
  waitMs: 'meridian.wait.ms',
  stream: 'meridian.stream',
  subject: 'messaging.destination.name',
  eventType: 'meridian.event.type',
  eventId: 'meridian.event.id',
  method: 'rpc.method',
  peer: 'meridian.peer',
} as const;
