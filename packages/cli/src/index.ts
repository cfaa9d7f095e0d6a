export { formatRecognition } from './format/recognition.ts';
export { formatTable } from './format/table.ts';
export {
  type JobDoor,
  type JobPicture,
  type JobUpdate,
  type SubmitJobOptions,
  submitJob,
  type WatchJobOptions,
  watchJob,
} from './job-submission.ts';
