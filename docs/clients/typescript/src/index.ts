// A client of BodyScript, which turns videos into human pose data. No dependencies: fetch does the work.

export { Client } from "./client.js";
export type { ClientSettings, ProcessSettings, Progress, ResultName, WaitSettings } from "./client.js";
export { ApiError, BodyScriptError, ConnectionLost, JobCancelled, JobFailed } from "./errors.js";
export type { Format, Options } from "./options.js";
export type { Frame, Landmark, Person, PoseData, Vector } from "./pose_data.js";
export type { Status } from "./status.js";
export { Upload } from "./upload.js";
